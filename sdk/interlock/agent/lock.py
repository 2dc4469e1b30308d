"""One agent per state directory: an advisory lock that dies with its holder, however it dies."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from interlock.agent.errors import StateInUse, StateUnusable

LOCK_NAME = "agent.lock"


@contextmanager
def state_lock(directory: Path) -> Iterator[None]:
    """Hold `directory` (made if absent, mode 0700); `StateInUse` when another process does.

    The descriptor is closed on exec, as Python's are: a daemon that a job leaves behind must not inherit the lock.
    """
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(directory / LOCK_NAME, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except (FileExistsError, NotADirectoryError) as error:
        raise StateUnusable(f"the state directory {directory} cannot be used: it is, or is in, a file") from error
    except OSError as error:
        raise StateUnusable(f"the state directory {directory} cannot be used: {error.strerror}") from error
    try:
        _take(descriptor, directory)
        yield
    finally:
        os.close(descriptor)


def _take(descriptor: int, directory: Path) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        holder = os.pread(descriptor, 32, 0).decode("ascii", "replace").strip()
        raise StateInUse(directory, f"process {holder}" if holder else "a process that did not say which") from error
    except OSError as error:
        raise StateUnusable(f"{directory} cannot be locked: {error.strerror}") from error
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, f"{os.getpid()}\n".encode("ascii"), 0)  # for the other's message; the lock is the truth
