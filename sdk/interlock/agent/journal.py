"""The book on disk: one JSON line per entry, on stable storage before the call returns.

The order that makes it safe: *started* before the command may act, *finished* before the result is reported,
*acknowledged* after the server's answer. Killed between any two, the agent knows on its next start what it may
not do again and what it still owes.

Opening rewrites the file whole (aside, then renamed), which also heals a last line that was cut short. So does growing
beyond a limit: what is owed stays, of what the server has answered the oldest goes. Calls block for one fsync: a few
per job, on purpose on the event loop, so that nothing happens in between.
"""

import contextlib
import logging
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

import msgspec

from interlock.agent.book import Acknowledged, Book, Entry, Finished, Opened, Spawned, Started
from interlock.agent.errors import StateUnusable
from interlock.agent.identity import ProcessIdentity
from interlock.ids import HostId, JobRunId
from interlock.wire import Report, TakenJob

logger = logging.getLogger(__name__)

JOURNAL_NAME = "journal.jsonl"
COMPACT_AFTER = 256  # entries appended since the file was last written whole: some 60 jobs


class Journal:
    """Append-only while open. After a failed write it takes nothing more: the end of the file is then unknown."""

    def __init__(self, directory: Path, host_id: HostId, *, kept: int, most_bytes: int) -> None:
        """Read what is there and start a fresh file; `StateUnusable` when that cannot be done safely.

        The file is written afresh when it outgrows `most_bytes`; `kept` is how many answered results it remembers.
        """
        self._path = directory / JOURNAL_NAME
        self._most_bytes = most_bytes
        self._bytes = 0  # in the file
        self._appended = 0  # entries since it was last written afresh
        self._broken: str | None = None  # why nothing more can be written
        self.book = Book(host_id, kept=kept)
        for entry in _read(self._path):
            if isinstance(entry, Opened) and entry.host_id != host_id:
                raise StateUnusable(f"{directory} belongs to host {entry.host_id}, this key to {host_id}")
            self.book.apply(entry)
        self._descriptor = -1
        try:
            self._compact()
        except OSError as error:
            raise self._break(error) from error

    def free_bytes(self) -> int:
        """The room on its disk; `StateUnusable` when even that cannot be told."""
        try:
            disk = os.statvfs(self._path.parent)
        except OSError as error:
            raise StateUnusable(f"{self._path.parent} cannot be looked at: {error.strerror}") from error
        return disk.f_bavail * disk.f_frsize

    def started(self, job: TakenJob) -> None:
        """Note that the run may act from now on."""
        self._append(Started(run_no=job.run_no, job_run_id=job.job_run_id, job_id=job.job_id, type=job.type))

    def spawned(self, job_run_id: JobRunId, process: ProcessIdentity) -> None:
        """Note which process to stop should the agent die before it does."""
        self._append(Spawned(job_run_id=job_run_id, process=process))

    def finished(self, job_run_id: JobRunId, report: Report) -> None:
        """Note what the run came to; from now on the report is owed."""
        self._append(Finished(job_run_id=job_run_id, report=report))

    def acknowledged(self, job_run_id: JobRunId) -> None:
        """Note that the server has answered the report."""
        self._append(Acknowledged(job_run_id=job_run_id))

    def close(self) -> None:
        """Let go of the file; nothing is written."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def _append(self, entry: Entry) -> None:
        """Take `entry` into the book and onto the disk; `StateUnusable` when the disk refuses.

        The book comes first, so that a result which cannot be written can at least still be reported.
        """
        self.book.apply(entry)
        if self._broken is not None:
            raise StateUnusable(self._broken)
        try:
            self._bytes += _write(self._descriptor, [entry])
        except OSError as error:
            raise self._break(error) from error
        self._appended += 1
        if self._appended >= COMPACT_AFTER or self._bytes > self._most_bytes:
            self._tidy()

    def _tidy(self) -> None:
        """Write the file afresh; when the disk has no room for that, the old one serves on."""
        self._appended = 0
        try:
            self._compact()
        except OSError as error:
            logger.warning("%s cannot be written afresh and grows: %s", self._path, error.strerror)

    def _compact(self) -> None:
        """Write the book as a new file and put it in the place of the old one; on an `OSError` that one is as it was."""
        while sum(map(len, map(_line, self.book.entries()))) > self._most_bytes // 2 and self.book.forget_half():
            pass
        aside = self._path.with_suffix(".new")
        with _directory(self._path.parent) as directory:  # opened first: once renamed, nothing may fail any more
            descriptor = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND | os.O_CLOEXEC, 0o600)
            try:
                written = _write(descriptor, self.book.entries())
                aside.replace(self._path)
            except BaseException:
                os.close(descriptor)
                with contextlib.suppress(OSError):
                    aside.unlink()
                raise
            _sync_directory(directory)
        self.close()
        self._descriptor, self._bytes = descriptor, written

    def _break(self, error: OSError) -> StateUnusable:
        self._broken = f"{self._path} cannot be written: {error.strerror}"
        return StateUnusable(self._broken)


def _read(path: Path) -> Iterable[Entry]:
    """The entries in the file, without a last one that was cut short; `StateUnusable` for any other damage."""
    try:
        lines = path.read_bytes().split(b"\n")
    except FileNotFoundError:
        return
    except OSError as error:
        raise StateUnusable(f"{path} cannot be read: {error.strerror}") from error
    lines.pop()  # what follows the last newline: nothing, or an entry whose write never returned
    for number, line in enumerate(lines, start=1):
        try:
            entry = msgspec.json.decode(line, type=Entry)
        except msgspec.MsgspecError as error:
            if number == len(lines):
                return
            raise StateUnusable(
                f"{path} is damaged in line {number} of {len(lines)}: {error}. "
                "Make sure that no job of this agent still runs, then move the file away and start again"
            ) from error
        yield entry


def _line(entry: Entry) -> bytes:
    return msgspec.json.encode(entry) + b"\n"


def _write(descriptor: int, entries: Iterable[Entry]) -> int:
    """All of `entries`, on stable storage; how many bytes they took."""
    data = memoryview(b"".join(map(_line, entries)))
    written = len(data)
    while data:
        data = data[os.write(descriptor, data) :]
    os.fsync(descriptor)
    return written


@contextlib.contextmanager
def _directory(path: Path) -> Iterator[int]:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _sync_directory(descriptor: int) -> None:
    """Make the rename itself durable; some file systems cannot, and need not."""
    with contextlib.suppress(OSError):
        os.fsync(descriptor)
