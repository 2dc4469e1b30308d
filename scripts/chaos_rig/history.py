"""What happened, a line of JSON each: who asked, what was answered, what ran on which machine, and what was broken.

`at` is the machine's monotonic clock in nanoseconds: one clock for all processes of the machine, never stepped.
An entry is written when its author knows of it: asking before the request leaves, an answer once it has arrived.
"""

import time
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import IO, TypeAlias

import msgspec


def now() -> int:
    """The present instant, as entries carry it."""
    return time.monotonic_ns()


class _Entry(msgspec.Struct, frozen=True, kw_only=True, tag_field="what", tag=True, omit_defaults=True):
    at: int


# ---- the run itself ----------------------------------------------------------------------------------------------


class Began(_Entry, frozen=True):
    """The first entry. `wall_ns` is the wall clock at `at`: it lets server stamps be placed on our clock."""

    seed: int
    mode: str
    wall_ns: int
    mutant: str = ""


class Fault(_Entry, frozen=True):
    """Something was broken: `kill`, `writer`, `pause`, `outage`, `flush`; `target` is a node, an engine or an agent."""

    kind: str
    target: str
    seconds: float = 0.0  # how long it is meant to last


class Recovered(_Entry, frozen=True):
    """The first answer of a node that rests on a commit, so long after its last fault was over."""

    node: str
    kind: str
    seconds: float


class Healed(_Entry, frozen=True):
    """Nothing is broken from here on."""


class Settled(_Entry, frozen=True):
    """Nothing waits or runs any more, or patience is over; `left` jobs have not ended then."""

    left: int


class Wrong(_Entry, frozen=True):
    """Somebody was told what nobody must be told, such as a 500."""

    who: str
    said: str


# ---- users -------------------------------------------------------------------------------------------------------


class Asked(_Entry, frozen=True):
    """A job is about to be asked for, for the first time; `tag` is in its payload and is its Idempotency-Key."""

    tag: str
    host: str
    priority: int
    later: bool = False  # it has a runAt


class Accepted(_Entry, frozen=True):
    """A 201."""

    tag: str
    job: str
    replayed: bool = False


class CancelAsked(_Entry, frozen=True):
    """A cancel is about to be asked for, for the first time."""

    job: str
    force: bool = False


class CancelAnswered(_Entry, frozen=True):
    """Its answer: 200, 202 or 409."""

    job: str
    status: int


class RetryAsked(_Entry, frozen=True):
    """A user is about to have an ended job tried afresh, for the first time."""

    job: str


class RetryAnswered(_Entry, frozen=True):
    """Its answer: 200 or 409."""

    job: str
    status: int


# ---- agents and machines -----------------------------------------------------------------------------------------


class Taken(_Entry, frozen=True):
    """A run was handed out. `late`: by a poll that its agent had already given up."""

    host: str
    agent: str
    job: str
    run: str
    run_no: int
    asked_at: int  # when the poll or report left that brought it
    node: str = ""
    late: bool = False


class Started(_Entry, frozen=True):
    """The machine begins to do it. `alone`: the machine's own lock proves that nothing else ran then."""

    host: str
    agent: str
    run: str
    alone: bool = False


class Ended(_Entry, frozen=True):
    """The machine no longer does it: `success`, `failed`, `rejected`, `cancelled`, `abandoned`, or `died`."""

    host: str
    agent: str
    run: str
    how: str


class Clashed(_Entry, frozen=True):
    """The machine's own lock says that another run is still at it."""

    host: str
    run: str


class ReportSent(_Entry, frozen=True):
    """A result is about to be reported, for the first time by this process."""

    host: str
    run: str
    status: str


class ReportAnswered(_Entry, frozen=True):
    """What a report came to: 200, 404 or 409. The last four fields are the 200's."""

    host: str
    run: str
    sent: str
    answer: int
    asked_at: int  # when the request left that was answered
    ended: bool = False  # a 409's `current` says that the run had ended
    status: str = ""
    job_status: str = ""
    will_retry: bool = False
    replayed: bool = False


# ---- dashboards --------------------------------------------------------------------------------------------------


class Watching(_Entry, frozen=True):
    """A dashboard is connected; `after` is what it asked to be replayed from."""

    watcher: str
    after: int | None = None


class Seen(_Entry, frozen=True):
    """A frame arrived. `gap` frames are frames too."""

    watcher: str
    event: str
    seq: int
    job: str = ""
    run: str = ""
    status: str = ""
    job_status: str = ""


Entry: TypeAlias = (
    Began
    | Fault
    | Recovered
    | Healed
    | Settled
    | Wrong
    | Asked
    | Accepted
    | CancelAsked
    | CancelAnswered
    | RetryAsked
    | RetryAnswered
    | Taken
    | Started
    | Ended
    | Clashed
    | ReportSent
    | ReportAnswered
    | Watching
    | Seen
)

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Entry).decode


class History:
    """Writes entries down as they come."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.counts: Counter[str] = Counter()  # entries by their kind
        self._file: IO[bytes] = path.open("ab")

    def note(self, entry: Entry) -> None:
        """One more."""
        self.counts[type(entry).__name__] += 1
        self._file.write(_encode(entry) + b"\n")

    def wrong(self, who: str, said: str) -> None:
        """Somebody was told what nobody must be told."""
        self.note(Wrong(at=now(), who=who, said=said[:500]))

    def close(self) -> None:
        """Nothing more comes."""
        self._file.close()


def read(paths: Iterable[Path]) -> list[Entry]:
    """All entries of these files, in the order of their instants. A torn last line is what a killed writer leaves."""
    entries: list[Entry] = []
    for path in paths:
        lines = path.read_bytes().split(b"\n")
        entries += [_decode(line) for line in lines[:-1]]
    entries.sort(key=lambda entry: entry.at)
    return entries
