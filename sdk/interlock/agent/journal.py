"""The book on disk: one JSON line per entry, on stable storage before the call returns.

The order that makes it safe: *started* before the command may act, *finished* before the result is reported,
*acknowledged* after the server's answer. Killed between any two, the agent knows on its next start what it may
not do again and what it still owes.

Opening rewrites the file whole (aside, then renamed), which also heals a last line that was cut short. Calls block
for one fsync: a few per job, on purpose on the event loop, so that nothing happens in between.
"""

import contextlib
import os
from collections.abc import Iterable
from pathlib import Path

import msgspec

from interlock.agent.book import Acknowledged, Book, Entry, Finished, Opened, Spawned, Started
from interlock.agent.errors import StateUnusable
from interlock.agent.identity import ProcessIdentity
from interlock.ids import HostId, JobRunId
from interlock.wire import Report, TakenJob

JOURNAL_NAME = "journal.jsonl"
COMPACT_AFTER = 256  # entries appended since the file was last written whole: some 60 jobs


class Journal:
    """Append-only while open. After a failed write it takes nothing more: the end of the file is then unknown."""

    def __init__(self, directory: Path, host_id: HostId, *, kept: int) -> None:
        """Read what is there and start a fresh file; `StateUnusable` when that cannot be done safely."""
        self._path = directory / JOURNAL_NAME
        self._broken: str | None = None  # why nothing more can be written
        self.book = Book(host_id, kept=kept)
        for entry in _read(self._path):
            if isinstance(entry, Opened) and entry.host_id != host_id:
                raise StateUnusable(f"{directory} belongs to host {entry.host_id}, this key to {host_id}")
            self.book.apply(entry)
        self._descriptor = -1
        self._compact()

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
            _write(self._descriptor, [entry])
        except OSError as error:
            raise self._break(error) from error
        self._appended += 1
        if self._appended >= COMPACT_AFTER:
            self._compact()

    def _compact(self) -> None:
        """Write the book as a new file and put it in the place of the old one."""
        aside = self._path.with_suffix(".new")
        try:
            descriptor = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND | os.O_CLOEXEC, 0o600)
            try:
                _write(descriptor, self.book.entries())
                aside.replace(self._path)
                _sync_directory(self._path.parent)
            except BaseException:
                os.close(descriptor)
                raise
        except OSError as error:
            raise self._break(error) from error
        self.close()
        self._descriptor = descriptor
        self._appended = 0

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


def _write(descriptor: int, entries: Iterable[Entry]) -> None:
    """All of `entries`, on stable storage."""
    data = memoryview(b"".join(msgspec.json.encode(entry) + b"\n" for entry in entries))
    while data:
        data = data[os.write(descriptor, data) :]
    os.fsync(descriptor)


def _sync_directory(directory: Path) -> None:
    """Make the rename itself durable; some file systems cannot, and need not."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_CLOEXEC)
    try:
        with contextlib.suppress(OSError):
            os.fsync(descriptor)
    finally:
        os.close(descriptor)
