"""Hosts are claimed in batches: all that are asked for in one turn of the loop, or while others are being claimed, share a
transaction. A fleet that comes back after a restart asks for its hosts one by one; each alone would cost it a commit.
"""

import logging
from collections.abc import Callable
from typing import Any

from actors.loop_actor import LoopFuture
from actors.ports import LoopPort
from actors.surroundings import Surroundings
from store.claims import Claimed, claim, claim_free, release
from store.entries import Done

log = logging.getLogger(__name__)

Rows = dict[str, Claimed]
Found = Callable[[str, Claimed | None, BaseException | None, bool], None]


class Claims:
    """`found` is called once for each host that was asked for: with its rows, or with the error, or with neither when
    there is no such host or, of one that was only wanted `free`, when a living node owns it.
    """

    def __init__(self, around: Surroundings, loop: LoopPort, owner: str, found: Found) -> None:
        self._around = around
        self._loop = loop
        self._owner = owner
        self._found = found
        self._wanted: list[tuple[str, bool]] = []  # and whether only while no living node owns it
        self._under_way: set[str] = set()
        self._waiters: list[LoopFuture] = []

    @property
    def open(self) -> bool:
        """Whether any host's rows are still to be read."""
        return bool(self._wanted or self._under_way)

    def soon(self, host_id: str, *, free: bool = False) -> None:
        """Claim it with the others of this turn; behind those that are being claimed, for one transaction runs at a time."""
        if not self._wanted and not self._under_way:
            self._loop.call_soon(self._claim)
        self._wanted.append((host_id, free))

    async def progress(self) -> None:
        """Return when the next batch is there."""
        waiter = LoopFuture()
        self._waiters.append(waiter)
        await waiter

    def release(self, claims: list[tuple[str, int]]) -> None:
        """Give up hosts, each under the epoch of its claim."""
        for batch in self._batches(claims):
            self._around.journal.exclusive(_releasing(self._owner, batch), _log_failure)

    def _batches(self, hosts: list[Any]) -> list[list[Any]]:
        size = self._around.limits.claims_per_batch
        return [hosts[start : start + size] for start in range(0, len(hosts), size)]

    def _claim(self) -> None:
        wanted, self._wanted = self._wanted, []
        for free in (False, True):
            for batch in self._batches([host_id for host_id, only_free in wanted if only_free is free]):
                self._under_way.update(batch)
                work = _claiming_free(self._owner, batch, self._around) if free else _claiming(self._owner, batch)
                self._around.journal.exclusive(work, self._claimed(batch, free=free))

    def _claimed(self, batch: list[str], *, free: bool) -> Done:
        def done(rows: Rows | None, error: BaseException | None) -> None:
            self._under_way.difference_update(batch)
            for host_id in batch:
                self._found(host_id, (rows or {}).get(host_id), error, free)
            waiters, self._waiters = self._waiters, []
            for waiter in waiters:
                waiter.set()
            if self._wanted and not self._under_way:
                self._claim()

        return done


def _claiming_free(owner: str, host_ids: list[str], around: Surroundings) -> Callable[[Any], Rows]:
    ownership = around.ownership
    return lambda database: claim_free(database, owner, host_ids, ownership.now(database))


def _claiming(owner: str, host_ids: list[str]) -> Callable[[Any], Rows]:
    return lambda database: claim(database, owner, host_ids)


def _releasing(owner: str, released: list[tuple[str, int]]) -> Callable[[Any], None]:
    return lambda database: release(database, owner, released)


def _log_failure(_: Any, error: BaseException | None) -> None:
    if error is not None:
        log.warning("Hosts could not be released: %s", error)
