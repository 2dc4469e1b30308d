"""Files in a folder, each under its SHA-256: `ab/abcdef…`. What has a name there is whole and durable.

A file is received under a name of its own in `partial/`, and renamed when all of it is on the disk. What a crash leaves
there is swept at the next start. All of it is done on a few threads, for disks may be slow.
"""

import asyncio
import hashlib
import logging
import os
import re
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, BinaryIO, ParamSpec, TypeVar

from interlock.clock import Clock, Millis
from interlock.errors import Unavailable
from interlock.ids import Ids

log = logging.getLogger(__name__)

THREADS = 4
PORTION = 262_144  # bytes that are read at once
ABANDONED: Millis = 3_600_000  # without a write, after which a partial file of another server's is taken to be nobody's
_SHA256 = re.compile(r"[0-9a-f]{64}", re.ASCII)
P = ParamSpec("P")
Result = TypeVar("Result")


class AssetFolder:
    """One folder; several servers may share it. `start` makes it, `stop` lets the threads go."""

    def __init__(self, folder: Path, clock: Clock, ids: Ids, *, alone: bool) -> None:
        self.folder = folder
        self._clock = clock
        self._ids = ids
        self._partial = folder / "partial"
        self._alone = alone  # nobody else uses it: whatever is partial at the start is nobody's
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="assets")

    def start(self) -> None:
        """Make the folder and sweep what was never finished. A folder that cannot be made is found out by the first file:
        jobs run without one.
        """
        try:
            self._partial.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._sweep(0 if self._alone else ABANDONED)
        except OSError as error:
            log.warning("Files cannot be kept in %s: %s", self.folder, error.strerror)

    def stop(self) -> None:
        """Wait for what is being written."""
        self._threads.shutdown()

    def _sweep(self, silent: Millis) -> None:
        before = self._clock.now() - silent
        for left in self._partial.iterdir():
            if silent == 0 or left.stat().st_mtime * 1000 <= before:
                left.unlink()
                log.info("A file that was never finished is swept: %s", left.name)

    def path_of(self, sha256: str) -> Path:
        """Where the file with that SHA-256 is, if it is kept; `ValueError` for what is none."""
        if not _SHA256.fullmatch(sha256):
            raise ValueError(f"not a SHA-256 in hex: {sha256!r}")
        return self.folder / sha256[:2] / sha256

    async def draft(self) -> "FolderDraft":
        """Begin to receive a file."""
        file, path = await self.run(self._begin)
        return FolderDraft(self, file, path)

    async def open(self, sha256: str) -> "FolderReader | None":
        """The file, or None when it is not in this folder."""
        path = self.path_of(sha256)
        try:
            return FolderReader(self, *await self.run(_opened, path))
        except Unavailable as error:
            if isinstance(error.__cause__, FileNotFoundError):
                return None
            raise

    async def run(self, work: Callable[P, Result], *given: P.args, **named: P.kwargs) -> Result:
        """The result of `work` on one of the threads; `Unavailable` for what the disk does not do. A caller that is
        cancelled does not stop the thread: what shares a file takes turns.
        """
        loop = asyncio.get_running_loop()
        try:
            return await loop.run_in_executor(self._threads, lambda: work(*given, **named))
        except OSError as error:
            if not isinstance(error, FileNotFoundError):
                log.warning("Files cannot be kept or read in %s: %s", self.folder, error)
            raise Unavailable(f"The file cannot be kept or read: {error.strerror}", retry_after=5) from error
        except RuntimeError as error:
            raise Unavailable("The server is stopping", retry_after=2) from error

    def _begin(self) -> tuple[BinaryIO, Path]:
        self._partial.mkdir(parents=True, exist_ok=True, mode=0o700)
        path = self._partial / self._ids.new()
        return path.open("xb", buffering=0), path


class FolderDraft:
    """A partial file."""

    def __init__(self, folder: AssetFolder, file: BinaryIO, path: Path) -> None:
        self.size_bytes = 0
        self._folder = folder
        self._file: BinaryIO | None = file
        self._path = path
        self._hash = hashlib.sha256()
        self._turn = threading.Lock()

    @property
    def sha256(self) -> str:
        """Of what was written so far."""
        return self._hash.hexdigest()

    async def write(self, data: bytes) -> None:
        """Append, and hash it on the way."""
        await self._folder.run(self._write, data)
        self.size_bytes += len(data)

    def _write(self, data: bytes) -> None:
        with self._turn:
            file, left = self._open(), memoryview(data)
            while left:
                left = left[file.write(left) :]
            self._hash.update(data)

    async def keep(self) -> None:
        """On the disk first, then under its name: a name never leads to half a file."""
        await self._folder.run(self._keep, self._folder.path_of(self.sha256))

    def _keep(self, path: Path) -> None:
        with self._turn:
            file = self._open()
            os.fsync(file.fileno())
            file.close()
            self._file = None
            if not path.parent.exists():
                path.parent.mkdir(mode=0o700, exist_ok=True)
                _fsync_folder(path.parent.parent)
            self._path.replace(path)  # the same content again replaces itself, which heals a file that was damaged
            _fsync_folder(path.parent)

    async def discard(self) -> None:
        """Take the partial file away."""
        await self._folder.run(self._discard)

    def _discard(self) -> None:
        with self._turn:
            if self._file is not None:
                self._file.close()
                self._file = None
            self._path.unlink(missing_ok=True)

    def _open(self) -> BinaryIO:
        if self._file is None:
            raise FileNotFoundError(2, "it has been let go", str(self._path))
        return self._file


class FolderReader:
    """A kept file."""

    def __init__(self, folder: AssetFolder, file: BinaryIO, size_bytes: int) -> None:
        self.size_bytes = size_bytes
        self._folder = folder
        self._file = file
        self._turn = threading.Lock()

    async def read(self) -> bytes:
        """The next portion."""
        return await self._folder.run(self._read)

    def _read(self) -> bytes:
        with self._turn:
            return b"" if self._file.closed else self._file.read(PORTION)

    async def close(self) -> None:
        """Let go of it."""
        await self._folder.run(self._close)

    def _close(self) -> None:
        with self._turn:
            self._file.close()


def _opened(path: Path) -> tuple[BinaryIO, int]:
    file = path.open("rb", buffering=0)
    return file, os.fstat(file.fileno()).st_size


def _fsync_folder(folder: Path) -> None:
    """A name is durable once its folder is."""
    handle: Any = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
