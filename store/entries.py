"""What an actor hands to the journal, and what comes back. Frozen at the moment of the decision."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from interlock.states import JobStatus, RunStatus
from store.rows import Image, JobRow, RunRow, job_image, run_image

Work = Callable[[Any], Any]  # on a database
Done = Callable[[Any, BaseException | None], None]  # told what came of it, or what went wrong


class Incarnation:
    """One life of a host's actor: from its claim to its end. Poisoned, nothing of it is ever written again.

    With epoch None it is somebody who owns nothing and appends one fact to a host of another node: its entries pass the
    fence whoever owns the host, and its changes are held by the rows' own states alone.
    """

    __slots__ = ("epoch", "host_id", "poisoned")

    def __init__(self, host_id: str, epoch: int | None) -> None:
        self.host_id = host_id
        self.epoch = epoch
        self.poisoned = False


@dataclass(slots=True)
class JobChange:
    """A job row's new image; `was` is the status that the row must still have, None for a new row."""

    id: str
    was: JobStatus | None
    image: Image
    new_seq: bool = False  # the commit allots its place in line
    wide: bool = True  # False: it has made the one move, and changed nothing that does not go with it
    leaves: bool = False  # its host too: it goes back to its org's pool


@dataclass(slots=True)
class RunChange:
    """A run row's new image; `was` is the status that the row must still have, None for a new row."""

    id: str
    was: RunStatus | None
    image: Image
    wide: bool = True


@dataclass(slots=True)
class Append:
    """A row that is only ever inserted; one that is there already is left as it is."""

    table: str
    values: Image


@dataclass(slots=True)
class AskToStop:
    """A word to the owner of the run's host, in a column that the owner never writes; for open runs only."""

    id: str
    how: str  # "cancel" or "force"


@dataclass(slots=True)
class Claim:
    """A job taken out of its org's pool for the host of the decision: the rows as they will be, if it still waits there."""

    job: JobRow
    run: RunRow


Change: TypeAlias = JobChange | RunChange | Append | AskToStop


def job_change(job: JobRow, was: JobStatus | None, *, new_seq: bool = False) -> JobChange:
    """The job as it is now, to be written where it still `was`."""
    return JobChange(job.id, was, job_image(job), new_seq)


def run_change(run: RunRow, was: RunStatus | None) -> RunChange:
    """The run as it is now, to be written where it still `was`."""
    return RunChange(run.id, was, run_image(run))


@dataclass(slots=True)
class Committed:
    """It is durable. `seqs` are the places in line that its new jobs got, in their order; `first_seq` is the host's
    counter just before them, by which an owner sees that somebody else appended.
    """

    rev: int
    first_seq: int
    seqs: dict[str, int] = field(default_factory=dict)


@dataclass(slots=True)
class Missed(Committed):
    """All else is durable, with the host's counters as they are now; but what it claimed does not wait in the pool any
    more, or somebody else is just at it. The incarnation lives on, and its memory has not changed yet.
    """


@dataclass(slots=True)
class Refused:
    """It is not written, or nobody knows (`unknown`): the incarnation is poisoned either way."""

    why: str
    unknown: bool = False
    fenced: bool = False  # another process owns the host now


Outcome: TypeAlias = Committed | Refused


@dataclass(slots=True)
class Entry:
    """One decision of one incarnation, to be committed whole or not at all. `done` is called on the loop."""

    incarnation: Incarnation
    host: Image  # the owner's columns as the decision leaves them
    changes: list[Change]
    done: Callable[[Outcome], None]
    claim: Claim | None = None  # a decision with a claim changes no rows of jobs and runs beside those
    expects: int | None = None  # the host's `next_seq`, where the decision is wrong if anybody has appended meanwhile


@dataclass(slots=True)
class Exclusive:
    """A short transaction of its own on the journal's connection: claims, and changes to tenants and fleets."""

    work: Work
    done: Done
