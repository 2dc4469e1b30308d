"""Passwords: what may be one, and argon2id on a few threads of their own, never on the loop.

Each check costs some tens of ms of a processor and `memory_mib`: so few run at once, few may wait, and others are told to
come again.
"""

import asyncio
from base64 import b64encode
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from importlib import import_module
from typing import Any, NamedTuple, TypeVar
from unicodedata import normalize

from interlock.errors import InvalidRequest, Unavailable

LONGEST = 1024  # characters
LANES = 1  # the threads are the parallelism

Result = TypeVar("Result")


class Cost(NamedTuple):
    """What a hash costs whoever makes one, or tries to find its password; described in `runtime/settings.py`."""

    memory_mib: int = 19
    passes: int = 2


class Checked(NamedTuple):
    """The outcome of a check; `outdated`: the hash was made at another cost than is wanted now."""

    fits: bool
    outdated: bool


def cleaned(password: str) -> str:
    """As it is hashed: the same whatever keyboard it came from. `InvalidRequest` when it is too long."""
    if len(password) > LONGEST:
        raise InvalidRequest.at("$.password", f"up to {LONGEST} characters")
    return normalize("NFC", password)


def acceptable(password: str, least: int) -> str:
    """A new password, cleaned; `InvalidRequest` when it is too short. Nothing else is asked of it."""
    clean = cleaned(password)
    if len(clean) < least:
        raise InvalidRequest.at("$.password", f"at least {least} characters")
    return clean


def make_hash(password: str, cost: Cost) -> str:
    """The hash of an acceptable password, made on this thread."""
    return str(_argon().make_hash(password, cost))


class Passwords:
    """A small pool of threads. `stop` lets them go."""

    def __init__(self, cost: Cost, *, threads: int, waiting: int, least: int) -> None:
        self._cost = cost
        self._most = threads + waiting
        self._least = least
        self._under_way = 0
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="password")
        self._nobodys = _hash_of_nobody(cost)

    async def make(self, password: str) -> str:
        """The hash of a new password; `InvalidRequest` when it may not be one, `Unavailable` when too many wait."""
        return await self._on_thread(partial(make_hash, acceptable(password, self._least), self._cost))

    async def renew(self, password: str) -> str:
        """A new hash of a password that was accepted once."""
        return await self._on_thread(partial(make_hash, cleaned(password), self._cost))

    async def check(self, password: str, known: str | None) -> Checked:
        """Whether it is the password of that hash. Without a hash the answer is no, and takes as long."""
        return await self._on_thread(partial(_check, cleaned(password), known, self._nobodys, self._cost))

    def stop(self) -> None:
        """Wait for those under way; nobody is there any more for those that wait."""
        self._pool.shutdown(cancel_futures=True)

    async def _on_thread(self, work: Callable[[], Result]) -> Result:
        if self._under_way >= self._most:
            raise Unavailable("Too many passwords are being checked", retry_after=2)
        self._under_way += 1
        try:
            running = asyncio.get_running_loop().run_in_executor(self._pool, work)
        except RuntimeError as error:
            self._under_way -= 1
            raise Unavailable("The server is stopping") from error
        running.add_done_callback(self._done)
        return await asyncio.shield(running)

    def _done(self, _: object) -> None:
        """Whoever asked may have gone: the thread was busy until now all the same."""
        self._under_way -= 1


def _argon() -> Any:
    return import_module("web.argon")


def _check(password: str, known: str | None, nobodys: str, cost: Cost) -> Checked:
    argon = _argon()
    fits = argon.fits(password, nobodys if known is None else known) and known is not None
    return Checked(fits, fits and known is not None and argon.is_outdated(known, cost))


def _hash_of_nobody(cost: Cost) -> str:
    """A hash of this cost that no password has: what it should hold is all zeros."""
    salt, held = (b64encode(bytes(size)).decode().rstrip("=") for size in (16, 32))
    return f"$argon2id$v=19$m={cost.memory_mib * 1024},t={cost.passes},p={LANES}${salt}${held}"
