"""Where pruned rows go before they are removed: a file per day, a JSON object per line, only ever appended to."""

import os
from collections.abc import Iterable
from pathlib import Path

import msgspec

from interlock.clock import Clock, rfc3339
from store.exports import Record


class ExportFolder:
    """Appends to `pruned-2026-11-22.jsonl` in a folder, which it makes for this user alone."""

    def __init__(self, folder: Path, clock: Clock) -> None:
        self._folder = folder
        self._clock = clock
        self._lines: list[bytes] = []

    def write(self, records: Iterable[Record]) -> None:
        """Keep them in memory until `flush`."""
        self._lines += map(msgspec.json.encode, records)

    def flush(self) -> None:
        """All of them on the disk; `OSError` when that cannot be: then nothing may be removed."""
        if not self._lines:
            return
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        path = self._folder / f"pruned-{rfc3339(self._clock.now())[:10]}.jsonl"
        fresh = not path.exists()
        lines, self._lines = self._lines, []
        descriptor = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o600)
        with os.fdopen(descriptor, "r+b", buffering=0) as file:
            if not _ends_a_line(descriptor):
                lines.insert(0, b"")  # what a full disk has cut off stays a line of its own
            rest = memoryview(b"\n".join([*lines, b""]))
            while rest:
                rest = rest[file.write(rest) :]
            os.fsync(descriptor)
        if fresh:
            _fsync_folder(self._folder)


def _ends_a_line(descriptor: int) -> bool:
    size = os.fstat(descriptor).st_size
    return size == 0 or os.pread(descriptor, 1, size - 1) == b"\n"


def _fsync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
