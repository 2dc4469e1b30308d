"""Files that no row leads to any more, or never did: their jobs were removed, or a crash came between file and row.

A file that is being uploaded gets its name before its row. So only files that nobody has written for an hour are looked
at, and each is first set aside, then looked at again: an upload of the same content that came in between wrote it anew,
and it is put back. What a crash leaves aside is put back by the next sweep.
"""

import contextlib
import fcntl
import logging
import os
import re
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

from interlock.clock import Clock, Millis
from store.retention import files_in_use

log = logging.getLogger(__name__)

UNTOUCHED: Millis = 3_600_000  # since it was written: far longer than anything between a file and its row
AT_ONCE = 200  # files that are looked up together
PREFIXES = [f"{number:02x}" for number in range(256)]
_SHA256 = re.compile(r"[0-9a-f]{64}", re.ASCII)


class Orphans:
    """Of one folder of files, which several servers may share."""

    def __init__(self, folder: Path, clock: Clock) -> None:
        self._folder = folder
        self._aside = folder / "aside"
        self._clock = clock
        self._next = 0

    def sweep(self, database: Any, *, whole: bool = False) -> int:
        """Remove orphans from the next of the 256 folders, or from all; how many. None while somebody holds the files."""
        with hold_files(self._folder, alone=True) as held:
            if not held:
                return 0
            self._put_back_all()
            if whole:
                return sum(self._sweep(database, prefix) for prefix in PREFIXES)
            prefix, self._next = PREFIXES[self._next], (self._next + 1) % len(PREFIXES)
            return self._sweep(database, prefix)

    def count(self, database: Any) -> int:
        """How many there are."""
        return sum(1 for prefix in PREFIXES for _ in self._orphans(database, prefix))

    def _sweep(self, database: Any, prefix: str) -> int:
        return sum(self._remove(database, path) for path in self._orphans(database, prefix))

    def _orphans(self, database: Any, prefix: str) -> Iterator[Path]:
        old = self._old_files(prefix)
        while some := list(islice(old, AT_ONCE)):
            used = files_in_use(database, [path.name for path in some])
            yield from (path for path in some if path.name not in used)

    def _old_files(self, prefix: str) -> Iterator[Path]:
        folder = self._folder / prefix
        if not folder.is_dir():
            return
        with os.scandir(folder) as entries:
            for entry in entries:
                if _SHA256.fullmatch(entry.name) and self._is_old(Path(entry.path)):
                    yield Path(entry.path)

    def _is_old(self, path: Path) -> bool:
        try:
            return path.stat().st_mtime * 1000 <= self._clock.now() - UNTOUCHED
        except FileNotFoundError:
            return False

    def _remove(self, database: Any, path: Path) -> int:
        self._aside.mkdir(mode=0o700, exist_ok=True)
        aside = self._aside / path.name
        try:
            path.rename(aside)
        except FileNotFoundError:
            return 0
        if not self._is_old(aside) or files_in_use(database, [path.name]):
            self._put_back(aside)
            return 0
        aside.unlink()
        log.info("A file that nothing leads to is removed: %s", path.name)
        return 1

    def _put_back_all(self) -> None:
        if self._aside.is_dir():
            for aside in list(self._aside.iterdir()):
                self._put_back(aside)

    def _put_back(self, aside: Path) -> None:
        """Under its name, unless the same content has come again meanwhile."""
        place = self._folder / aside.name[:2] / aside.name
        with contextlib.suppress(FileExistsError):
            os.link(aside, place)
        aside.unlink()


@contextlib.contextmanager
def hold_files(folder: Path, *, alone: bool) -> Iterator[bool]:
    """While no file goes: whether that could be had. Who removes wants it `alone`, and does without while others have it; a
    backup waits for whoever removes.
    """
    if not folder.is_dir():
        yield not alone
        return
    with (folder / "sweep.lock").open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB if alone else fcntl.LOCK_SH)
        except BlockingIOError:
            yield False
        else:
            yield True
