"""What is known of a file's jobs from one start to the next: a line is added before each batch is sent, and after.

So a job is made once, however often the command is killed: a batch whose answer is not known is sent again under its
own key, which the server remembers for a day.
"""

import os
from pathlib import Path
from typing import IO, Any

import msgspec

from interlock.clock import Clock, Millis
from interlock.errors import Conflict, InterlockError
from interlock.ids import Ids, JobId, OrgId

KEYS_HOLD: Millis = 23 * 3600 * 1000  # the server keeps a key for a day; an hour is left for clocks that differ


class Start(msgspec.Struct, tag_field="is", tag="start", rename="camel"):
    """The first line: to which server and organization the file goes."""

    url: str
    org: OrgId


class Sent(msgspec.Struct, tag_field="is", tag="sent", rename="camel"):
    """A batch that is about to be sent at `at`, under `key`: the marks of its jobs in their order."""

    key: str
    at: Millis
    marks: list[str]


class Answered(msgspec.Struct, tag_field="is", tag="answered", rename="camel"):
    """Its answer: which marks have which job; the rest were refused."""

    key: str
    made: dict[str, JobId]


_decoder = msgspec.json.Decoder(Start | Sent | Answered)


class BulkState:
    """The file of that name, or only memory when there is none."""

    def __init__(self, path: Path | None, clock: Clock, ids: Ids) -> None:
        self.made: dict[str, JobId] = {}
        self.open: dict[str, Sent] = {}
        self._path = path
        self._clock = clock
        self._ids = ids
        self._file: IO[bytes] | None = None

    def begin(self, url: str, org: OrgId) -> None:
        """Read what is known and open the file to go on; an `InterlockError` when it is another server's, or damaged."""
        start = Start(url.rstrip("/"), org)
        if self._path is None:
            return
        try:
            known = self._path.read_bytes() if self._path.exists() else b""
            # What a power cut left of the last line is written over: it says nothing that was relied upon.
            whole = known[: known.rfind(b"\n") + 1]
            self._take_in(whole, start)
            self._file = self._path.open("r+b" if known else "w+b")
            self._file.truncate(len(whole))
            self._file.seek(len(whole))
            if not whole:
                self._write(start)
        except OSError as error:
            raise InterlockError(f"{self._path} cannot be used: {error.strerror}") from error

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def send(self, marks: list[str]) -> Sent:
        """A batch with a key of its own, written down before it is sent."""
        batch = Sent(self._ids.new(), self._clock.now(), marks)
        self._write(batch)
        self.open[batch.key] = batch
        return batch

    def answered(self, batch: Sent, made: dict[str, JobId]) -> None:
        """Its answer is known."""
        self._write(Answered(batch.key, made))
        self.open.pop(batch.key, None)
        self.made |= made

    def check(self, marks: set[str]) -> None:
        """`Conflict` when a batch whose answer is not known cannot be sent again as it was."""
        for batch in self.open.values():
            if self._clock.now() - batch.at > KEYS_HOLD:
                why = "was sent more than a day ago"
            elif not marks.issuperset(batch.marks):
                why = "has jobs that were changed in the file since"
            else:
                continue
            raise Conflict(
                f"A batch of {len(batch.marks)} jobs {why}, and its answer never came: look with `interlock jobs list`"
                f" which of them were made, and go on with the rest in a new file (state: {self._path})"
            )

    def _take_in(self, whole: bytes, start: Start) -> None:
        for number, line in enumerate(whole.splitlines(), 1):
            try:
                entry: Any = _decoder.decode(line)
            except msgspec.MsgspecError as error:
                raise InterlockError(f"{self._path} is no state of ours (line {number}: {error})") from error
            if isinstance(entry, Start) and entry != start:
                raise Conflict(f"{self._path} belongs to {entry.org} at {entry.url}: name another file with --state")
            if isinstance(entry, Sent):
                self.open[entry.key] = entry
            elif isinstance(entry, Answered):
                self.open.pop(entry.key, None)
                self.made |= entry.made

    def _write(self, entry: Start | Sent | Answered) -> None:
        if self._file is not None:
            self._file.write(msgspec.json.encode(entry) + b"\n")
            self._file.flush()
            os.fsync(self._file.fileno())
