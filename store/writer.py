"""The committer in a process of its own, beside the server's.

What the database and Python around it take of a job is a third of what the job takes in all, and of the threads of one process
only one at a time runs Python: while the journal's worked, the loop stood still. Here the journal's thread hands each
batch to a process that was forked before any thread began, and waits for the outcomes, so one batch at a time is under way
and nothing else changes: the queue, its order, transactions of their own and the poison stay where they are.

If that process ends, nobody knows what became of the batch it had: its incarnations are poisoned, as after any commit of
unknown outcome, and from then on the journal's thread writes by itself. When the server ends, however it does, the process
reads the end of its socket and goes. What it still commits at that moment was decided under an epoch that the next server
has not raised yet, or it misses the fence.
"""

import contextlib
import gc
import itertools
import logging
import os
import signal
import socket
import struct
from collections.abc import Callable, Sequence
from operator import not_
from typing import Any, NoReturn

import msgspec
from peewee import Database

from store.committer import BEHIND, Committer, Written, told_apart
from store.database import connected, lay_out_log, open_database
from store.entries import (
    Append,
    AskToStop,
    Change,
    Claim,
    Committed,
    Entry,
    Exclusive,
    Incarnation,
    JobChange,
    Missed,
    Outcome,
    Refused,
    RunChange,
)
from store.errors import DRIVER_ERRORS
from store.journal import run_exclusive
from store.pool import NotWritten, PoolWrite, is_of_one_row
from store.rows import job_from, job_image, run_from, run_image

log = logging.getLogger(__name__)

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder().decode
MOST_READ = 1 << 16  # bytes at once: what is longer costs a call for its memory
_LENGTH = struct.Struct("<Q")
_JOB, _RUN, _APPEND, _ASK = range(4)
_COMMITTED, _MISSED, _REFUSED = range(3)
Plain = Any  # what msgpack knows: tuples and lists of texts, numbers and None


class Writer:
    """The process, as the server sees it. To be begun before any thread is, and closed when nothing is written any more."""

    def __init__(self) -> None:
        self.socket, theirs = socket.socketpair()
        self._come = bytearray()  # of an answer
        self.pid = os.fork()
        if not self.pid:
            self.socket.close()
            _serve(theirs)
        theirs.close()

    def send(self, message: bytes) -> None:
        """Hand it a message; `OSError` when it has ended."""
        _send(self.socket, message)

    def receive(self) -> bytes | None:
        """Its answer, once it is there whole: what has come of it is kept. `OSError` when it has ended."""
        part = self.socket.recv(MOST_READ)
        if not part:
            raise ConnectionResetError("it has ended")
        self._come += part
        if len(self._come) < _LENGTH.size:
            return None
        (length,) = _LENGTH.unpack_from(self._come)
        if len(self._come) < _LENGTH.size + length:
            return None
        answer, self._come = bytes(self._come[_LENGTH.size :]), bytearray()
        return answer

    def close(self) -> None:
        """Let it go, and return when it has; twice does no harm."""
        self.socket.close()
        if self.pid:
            os.waitpid(self.pid, 0)
            self.pid = 0

    def kill(self) -> None:
        """End it at once: whatever it is at, it writes nothing from now on."""
        if self.pid:
            os.kill(self.pid, signal.SIGKILL)
        self.close()


class CommitterElsewhere(Committer):
    """Has batches written by the process, for as long as that lives. Its own connection is for all that is no batch.

    `message`, `send`, `receive` and `written` are the steps of `write`, for who does not wait in between. One batch at a
    time; changes to pools go the same way.
    """

    def __init__(self, database: Database, owner: str, writer: Writer, url: str) -> None:
        super().__init__(database, owner)
        self.url = url
        self._writer: Writer | None = writer
        self._hello: tuple[str, str] | None = (url, owner)  # goes with the first batch
        self._poisoned: list[bool] = []  # of the batch that is under way: what was, and so was not sent
        self.channel = writer.socket  # readable when an answer comes

    def write(self, entries: Sequence[Entry]) -> Written:
        """As the committer does it."""
        message = None if self._writer is None or not entries else self.message(entries)
        if message is None:
            return super().write(entries)
        self.send(message)
        answer = None
        while answer is None:
            try:
                answer = self.receive()
            except OSError as error:
                return self.lost(entries, error)
        return self.written(entries, answer)

    def message(self, entries: Sequence[Entry]) -> bytes | None:
        """What to send for this batch; None where it cannot be put into words, and is to be written here."""
        poisoned = self._poisoned = [entry.incarnation.poisoned for entry in entries]
        sound = list(itertools.compress(entries, map(not_, poisoned))) if any(poisoned) else entries
        return self._message(lambda: (_plain_entries(sound), None))

    def pool_message(self, work: Callable[[Any], Any]) -> bytes | None:
        """What to send for a transaction of its own; None where it is to be run here, as nearly all are."""
        if self._writer is None or not isinstance(work, PoolWrite):
            return None
        return self._message(lambda: (None, [list(map(_plain_change, changes)) for changes in work.wanted]))

    def _message(self, plain: Callable[[], Plain]) -> bytes | None:
        try:
            return _encode((self._hello, *plain()))
        except (UnicodeEncodeError, OverflowError, TypeError):
            return None

    def send(self, message: bytes) -> None:
        """Hand it over. If the process has ended, the reading of its answer tells."""
        if self._writer is not None:
            with contextlib.suppress(OSError):
                self._writer.send(message)

    def receive(self) -> bytes | None:
        """The answer to what was sent; None while it is not there whole. `OSError` when the process has ended."""
        answer = None if self._writer is None else self._writer.receive()
        if answer is not None:
            self._hello = None
        return answer

    def written(self, entries: Sequence[Entry], answer: bytes) -> Written:
        """What has become of this batch."""
        told = iter(_decode(answer))
        outcomes = [Refused(BEHIND) if was else _outcome_from(next(told)) for was in self._poisoned]
        for entry, outcome in zip(entries, outcomes, strict=True):
            if isinstance(outcome, Refused):
                entry.incarnation.poisoned = True
        return told_apart(entries, outcomes)

    def pool_written(self, answer: bytes) -> tuple[list[bool] | None, Exception | None]:
        """What has become of the changes to pools, as of any transaction of its own: the result, or what went wrong."""
        fits, refused = _decode(answer)
        return fits, None if refused is None else NotWritten(refused[0], of_one_row=refused[1])

    def lost(self, entries: Sequence[Entry], error: OSError) -> Written:
        """The process has ended: nobody knows what became of the batch, and all others are written here."""
        log.error("The writing process has ended; this one writes by itself from now on: %s", error)
        if self._writer is not None:
            self._writer.kill()
        self._writer = None
        for entry in entries:
            entry.incarnation.poisoned = True
        said = "the outcome of the commit is unknown: the writing process has ended"
        return Written(list(entries), [Refused(said, unknown=True) for _ in entries], [])


# ---- what goes to and fro ----------------------------------------------------------------------------------------------


def _plain_entries(entries: Sequence[Entry]) -> Plain:
    lives: dict[int, int] = {}
    return [
        (
            lives.setdefault(id(entry.incarnation), len(lives)),
            entry.incarnation.host_id,
            entry.incarnation.epoch,
            entry.host,
            [_plain_change(change) for change in entry.changes],
            None if entry.claim is None else (job_image(entry.claim.job), run_image(entry.claim.run)),
            entry.expects,
        )
        for entry in entries
    ]


def _plain_change(change: Change) -> Plain:
    if isinstance(change, JobChange):
        return _JOB, change.id, change.was, change.image, change.new_seq, change.wide, change.leaves
    if isinstance(change, RunChange):
        return _RUN, change.id, change.was, change.image, change.wide
    if isinstance(change, Append):
        return _APPEND, change.table, change.values
    return _ASK, change.id, change.how


def _entries_from(plain: Plain) -> list[Entry]:
    lives: dict[int, Incarnation] = {}
    entries = []
    for life, host_id, epoch, host, changes, claim, expects in plain:
        incarnation = lives.get(life)
        if incarnation is None:
            incarnation = lives[life] = Incarnation(host_id, epoch)
        claimed = None if claim is None else Claim(job_from(claim[0]), run_from(claim[1]))
        entries.append(Entry(incarnation, host, [_change_from(*each) for each in changes], _nobody, claimed, expects))
    return entries


def _nobody(*_: object) -> None:
    """Who waits for the outcome is in the other process."""


def _change_from(kind: int, name: str, *rest: Any) -> Change:
    if kind == _JOB:
        return JobChange(name, *rest)
    if kind == _RUN:
        return RunChange(name, *rest)
    return Append(name, *rest) if kind == _APPEND else AskToStop(name, *rest)


def _plain_outcome(outcome: Outcome) -> Plain:
    if isinstance(outcome, Refused):
        return _REFUSED, outcome.why, outcome.unknown, outcome.fenced
    kind = _MISSED if isinstance(outcome, Missed) else _COMMITTED
    return kind, outcome.rev, outcome.first_seq, outcome.seqs


def _outcome_from(plain: Plain) -> Outcome | None:
    """None: it was held."""
    if plain is None:
        return None
    kind, *rest = plain
    return (Committed, Missed, Refused)[kind](*rest)


def _send(to: socket.socket, message: bytes) -> None:
    to.sendall(_LENGTH.pack(len(message)) + message)


def _receive(source: socket.socket) -> bytes:
    """A whole message; `OSError` when there will be none."""
    (length,) = _LENGTH.unpack(_exactly(source, _LENGTH.size))
    return _exactly(source, length)


def _exactly(source: socket.socket, length: int) -> bytes:
    first = source.recv(length)
    if len(first) == length:
        return first
    parts = bytearray(first)
    while len(parts) < length:
        part = source.recv(min(length - len(parts), 1 << 20))
        if not part:
            raise ConnectionResetError("the other process has ended")
        parts += part
    return bytes(parts)


# ---- the process itself ------------------------------------------------------------------------------------------------


def _serve(server: socket.socket) -> NoReturn:
    """Write what comes until the server has gone. It is the server that is told to stop, not this."""
    code = 1
    try:
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_IGN)
        gc.freeze()
        _write_all(server)
    except OSError:
        code = 0  # the server has gone
    except BaseException:
        log.exception("The writing process ends")
    finally:
        os._exit(code)


def _write_all(server: socket.socket) -> NoReturn:
    committer: Committer | None = None
    try:
        while True:
            hello, plain, pools = _decode(_receive(server))
            committer = committer or _opened(*hello)
            _send(server, answer_to(committer, plain, pools))
    finally:
        if committer is not None:
            with contextlib.suppress(*DRIVER_ERRORS):  # whoever leaves last puts SQLite's log away
                committer.database.close()


def _opened(url: str, owner: str) -> Committer:
    committer = Committer(open_database(url), owner)
    with contextlib.suppress(*DRIVER_ERRORS):  # whoever writes will be told
        connected(committer.database)
        lay_out_log(committer.database)
    return committer


def answer_to(committer: Committer, plain: Plain, pools: Plain) -> bytes:
    """Write the batch, or the changes to pools, and say what has become of it."""
    return _encode(_outcomes(committer, plain) if pools is None else _pools(committer, pools))


def _outcomes(committer: Committer, plain: Plain) -> Plain:
    entries = _entries_from(plain)
    written = committer.write(entries)
    known = {id(entry): outcome for entry, outcome in zip(written.entries, written.outcomes, strict=True)}
    outcomes = (known.get(id(entry)) for entry in entries)
    return [None if outcome is None else _plain_outcome(outcome) for outcome in outcomes]


def _pools(committer: Committer, plain: Plain) -> Plain:
    work = PoolWrite([[_change_from(*each) for each in changes] for changes in plain])
    fits, error = run_exclusive(committer, Exclusive(work, _nobody))
    return fits, None if error is None else (f"{type(error).__name__}: {error}", is_of_one_row(error))
