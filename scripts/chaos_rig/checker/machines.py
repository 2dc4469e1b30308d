"""One run at a time on a machine, by the machine's own diary and by the rows."""

from collections import defaultdict
from collections.abc import Iterator
from itertools import pairwise

from chaos_rig.checker.ledger import Ledger, Violation
from chaos_rig.final import FinalRun
from chaos_rig.history import Clashed, Ended, Started, Taken


def overlapping(ledger: Ledger) -> Iterator[Violation]:
    """No run begins on a machine while another is at it: real time, whatever any server believed."""
    at_work: dict[str, set[str]] = defaultdict(set)
    for entry in ledger.entries:
        if isinstance(entry, Ended):
            at_work[entry.host].discard(entry.run)
        elif isinstance(entry, Clashed):
            yield Violation("overlap", f"run {entry.run} found the lock of host {entry.host} held", entry.at)
        elif isinstance(entry, Started):
            others = set() if entry.alone else at_work[entry.host] - {entry.run}
            if others:
                said = f"run {entry.run} began on host {entry.host} while {', '.join(sorted(others))} ran"
                yield Violation("overlap", said, entry.at)
            at_work[entry.host] = {*others, entry.run}


def started_twice(ledger: Ledger) -> Iterator[Violation]:
    """A run is begun at most once; trying again is another run."""
    begun: set[str] = set()
    for entry in ledger.each(Started):
        if entry.run in begun:
            yield Violation("doubled", f"run {entry.run} was begun twice on host {entry.host}", entry.at)
        begun.add(entry.run)


def handed_out_while_busy(ledger: Ledger) -> Iterator[Violation]:
    """Nothing new is handed out to a machine that is at work. A poll's late answer with an old run is none."""
    at_work: dict[str, str] = {}
    begun: set[str] = set()
    for entry in ledger.entries:
        if isinstance(entry, Started):
            at_work[entry.host] = entry.run
            begun.add(entry.run)
        elif isinstance(entry, Ended) and at_work.get(entry.host) == entry.run:
            del at_work[entry.host]
        elif isinstance(entry, Taken) and entry.run not in begun:
            current = at_work.get(entry.host)
            if current is not None and not (entry.late and _over_before(ledger, entry.run, current)):
                said = f"run {entry.run} was handed out to host {entry.host} while {current} ran"
                yield Violation("overlap", said, entry.at)


def _over_before(ledger: Ledger, run_id: str, other: str) -> bool:
    run, later = ledger.runs.get(run_id), ledger.runs.get(other)
    if run is None or later is None or run.finished_at is None or later.started_at is None:
        return False
    return run.finished_at <= later.started_at


def run_numbers(ledger: Ledger) -> Iterator[Violation]:
    """They name one run each, and rise with the takes."""
    for host, runs in _runs_by_host(ledger).items():
        for (earlier, number), (later, following) in pairwise((run_id, run.run_no) for run_id, run in runs):
            if number is None or following is None or following <= number:
                said = f"host {host}: run {later} has number {following} after {earlier} with {number}"
                yield Violation("overlap", said)
    for entry in ledger.each(Taken):
        known = ledger.runs.get(entry.run)
        if known is not None and known.run_no != entry.run_no:
            said = f"run {entry.run} was handed out as number {entry.run_no}, but is {known.run_no}"
            yield Violation("overlap", said, entry.at)


def rows_apart(ledger: Ledger) -> Iterator[Violation]:
    """By the servers' own stamps no two runs of a host overlap either."""
    for host, runs in _runs_by_host(ledger).items():
        for (earlier, before), (later, after) in pairwise(runs):
            end, start = before.finished_at, after.started_at
            if start is not None and (end is None or end > start):
                yield Violation(
                    "overlap", f"host {host}: by the rows {earlier} ended at {end}, {later} began at {start}"
                )


def _runs_by_host(ledger: Ledger) -> dict[str, list[tuple[str, FinalRun]]]:
    """The runs that have begun, by the number of their take, or by their stamp when that is the same."""
    found: dict[str, list[tuple[str, FinalRun]]] = defaultdict(list)
    for job in ledger.final.jobs:
        for run in job.runs:
            if run.started_at is not None:
                found[job.host].append((run.id, run))
    for runs in found.values():
        runs.sort(key=lambda pair: (pair[1].started_at or 0, pair[1].run_no or 0))
    return found
