"""The history by what the checks ask for, and what a violation is."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import TypeVar

import msgspec

from chaos_rig.final import Final, FinalJob, FinalRun
from chaos_rig.history import Accepted, Asked, Began, CancelAsked, Entry, ReportAnswered, RetryAsked, Wrong, now

Kind = TypeVar("Kind", bound=msgspec.Struct)


class Violation(msgspec.Struct, frozen=True):
    """What is not as promised; `kind` is a row of the summary."""

    kind: str  # overlap, trespass, lost, doubled, outcome, report, order, event, wrong
    said: str
    at: int = 0  # the instant in the history, when there is one


class Promises(msgspec.Struct, frozen=True, kw_only=True):
    """What depends on the topology."""

    gap_causes: frozenset[str] = frozenset({"kill", "writer"})  # faults after which a dashboard may be told of a gap
    gap_lag_ms: int = 0  # how long after its cause a gap may be told on a connection that was made meanwhile
    rises: bool = True  # whether numbers of events rise over a gap as well
    doorbell_ms: int = 0  # how long an owner may overlook what another node has appended, unless its order tells


class Ledger:
    """Indexes over a history and the rows that it ended with."""

    def __init__(self, entries: Sequence[Entry], final: Final, promises: Promises) -> None:
        self.entries = entries
        self.final = final
        self.promises = promises
        self.began = next(self.each(Began), None) or Began(at=now(), seed=0, mode="", wall_ns=0)
        self.jobs: dict[str, FinalJob] = {job.id: job for job in final.jobs}
        self.runs: dict[str, FinalRun] = {run.id: run for job in final.jobs for run in job.runs}
        self.job_of: dict[str, FinalJob] = {run.id: job for job in final.jobs for run in job.runs}
        self.asked: dict[str, Asked] = {entry.tag: entry for entry in self.each(Asked)}
        self.accepted: dict[str, Accepted] = {}
        for entry in self.each(Accepted):
            self.accepted.setdefault(entry.job, entry)
        self.cancelled_from: dict[str, int] = {}
        for asked in self.each(CancelAsked):
            self.cancelled_from.setdefault(asked.job, asked.at)
        self.retried = frozenset(entry.job for entry in self.each(RetryAsked))
        self.answers: dict[str, list[ReportAnswered]] = defaultdict(list)
        for answer in self.each(ReportAnswered):
            self.answers[answer.run].append(answer)

    def each(self, kind: type[Kind]) -> Iterator[Kind]:
        """All entries of a kind, in their order."""
        return (entry for entry in self.entries if isinstance(entry, kind))

    def wall_ms(self, at: int) -> float:
        """An instant of the history as the servers' clock had it."""
        return (self.began.wall_ns + at - self.began.at) / 1e6

    def monotonic_ns(self, wall_ms: int) -> int:
        """An instant of the servers' clock as the history has it."""
        return self.began.at + wall_ms * 1_000_000 - self.began.wall_ns


def wrongs(ledger: Ledger) -> Iterator[Violation]:
    """What nobody must ever be told."""
    return (Violation("wrong", f"{entry.who}: {entry.said}", entry.at) for entry in ledger.each(Wrong))
