"""Among what was pending at the moment of a take: the highest priority, then the lowest place in line."""

import heapq
import math
from collections import defaultdict
from collections.abc import Iterator
from itertools import pairwise
from typing import NamedTuple

from chaos_rig.checker.ledger import Ledger, Violation
from chaos_rig.final import FinalJob, FinalRun
from chaos_rig.work import HOLDING

_OFFERED_MS = 30_000.0  # up to which an agent may take to accept what it was offered, as by default
_ROUNDING_MS = 2.0  # server stamps are whole milliseconds, and the two clocks are read one after the other


class _Waiting(NamedTuple):
    """A job that certainly stood in line from one instant to another, ms of the wall clock; the best rank first."""

    rank: tuple[int, int]
    id: str
    since: float
    until: float
    job: FinalJob


def by_rank(ledger: Ledger) -> Iterator[Violation]:
    """Only what certainly stood in line counts: its 201 had arrived, and nobody had yet asked for its cancel."""
    later = {tag for tag, asked in ledger.asked.items() if asked.later}
    by_host: dict[str, list[FinalJob]] = defaultdict(list)
    for job in ledger.final.jobs:
        if job.id not in ledger.retried:  # a job that is tried afresh has lost the place that it had
            by_host[job.host].append(job)
    for host, jobs in by_host.items():
        yield from _of_host(ledger, host, jobs, later)


def _of_host(ledger: Ledger, host: str, jobs: list[FinalJob], later: set[str]) -> Iterator[Violation]:
    takes = [(run.started_at, job, run) for job in jobs for run in job.runs if run.started_at is not None]
    takes.sort(key=lambda take: take[0])
    certain = sorted(
        ((ledger.wall_ms(ledger.accepted[job.id].at), job) for job in jobs if _counts(ledger, job, later)),
        key=lambda pair: pair[0],
    )
    waiting: list[_Waiting] = []
    arrived = 0
    for at, job, run in takes:
        while arrived < len(certain) and certain[arrived][0] < at - _ROUNDING_MS:
            since, other = certain[arrived]
            heapq.heappush(waiting, _Waiting(_rank(other), other.id, since, _until(ledger, other), other))
            arrived += 1
        while waiting and waiting[0].until <= at + _ROUNDING_MS:
            heapq.heappop(waiting)
        overtaken = _overtaken(ledger, waiting, job, at - (_OFFERED_MS if run.offers else 0.0))
        if overtaken is not None:
            yield Violation("order", _sentence(host, job, run, overtaken))


def _overtaken(ledger: Ledger, waiting: list[_Waiting], job: FinalJob, at: float) -> FinalJob | None:
    """The first in line, if it should have been taken instead; `at` is no later than the moment of the choice."""
    if not waiting or waiting[0].rank >= _rank(job) or waiting[0].since >= at - _ROUNDING_MS:
        return None
    first = waiting[0]
    by_seq = first.job.priority == job.priority  # then its lower number tells any owner that it is there
    known = by_seq or first.since < at - _ROUNDING_MS - ledger.promises.doorbell_ms
    return first.job if known else None


def _counts(ledger: Ledger, job: FinalJob, later: set[str]) -> bool:
    return job.id in ledger.accepted and job.tag not in later and bool(job.runs)


def _until(ledger: Ledger, job: FinalJob) -> float:
    """Up to when it certainly waited, ms of the wall clock."""
    first = job.runs[0]
    ends = [first.started_at, first.finished_at]
    asked = ledger.cancelled_from.get(job.id)
    known = [float(end) for end in ends if end is not None]
    if asked is not None:
        known.append(ledger.wall_ms(asked))
    return min(known, default=math.inf)


def _rank(job: FinalJob) -> tuple[int, int]:
    return -job.priority, job.seq


def _sentence(host: str, job: FinalJob, run: FinalRun, overtaken: FinalJob) -> str:
    return (
        f"host {host} took {job.tag} (priority {job.priority}, place {job.seq}, attempt {run.attempt}) "
        f"while {overtaken.tag} (priority {overtaken.priority}, place {overtaken.seq}) stood before it"
    )


def held(ledger: Ledger) -> Iterator[Violation]:
    """A retry that holds its host lets nothing else begin there until it is due."""
    starts: dict[str, list[tuple[int, str]]] = defaultdict(list)
    for job in ledger.final.jobs:
        starts[job.host] += [(run.started_at, run.id) for run in job.runs if run.started_at is not None]
    for job in ledger.final.jobs:
        if job.type != HOLDING or job.id in ledger.retried:
            continue
        for failed, following in pairwise(job.runs):
            since, due = failed.finished_at, following.available_at
            if since is None or due is None:
                continue
            until = min(due, following.finished_at or due)  # it may have been cancelled before it was due
            for at, run in starts[job.host]:
                if since < at < until:
                    yield Violation("order", f"run {run} began while host {job.host} was held for {following.id}")
