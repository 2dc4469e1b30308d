"""Every two seconds: look in the rows for what is due. It is the guarantee behind every alarm and every timer."""

from collections.abc import Callable
from typing import NamedTuple

from peewee import Database

from actors import Directory
from actors.org import CountPending
from actors.org_pool import PREFIX
from actors.ports import AlarmPort
from interlock.clock import Clock, Millis
from runtime.alarms import HORIZON
from runtime.cluster import Cluster
from runtime.watch import Watch
from store import Store
from store.claims import due_by, expired_by
from store.jobs import pending_counts
from store.keys import forget_old_keys
from store.pool import pools_due, pools_expired

KEPT: Millis = 24 * 3600 * 1000  # how long an Idempotency-Key's answer is remembered
KEYS_EVERY = 30  # rounds between two looks for keys whose day is over
KEYS_AT_ONCE = 1000  # deleted in one short transaction
KEY_PORTIONS = 10  # such transactions in one round; what is left is for the next one, which must not be late
MOST = 500  # hosts that one round brings to life


class Due(NamedTuple):
    """What a round has found."""

    runs: list[tuple[str, Millis]]  # hosts and when something of theirs is due, the earliest first
    expired: list[str]  # hosts with a job that should have started
    pending_by_org: dict[str, int]
    pools: list[tuple[str, Millis]] = []  # noqa: RUF012 - orgs and when something in their pools is due; never changed
    pools_expired: list[str] = []  # noqa: RUF012 - orgs in whose pools something should have started


class Sweep(Watch):
    """A round every so many seconds."""

    def __init__(
        self,
        store: Store,
        directory: Directory,
        alarms: AlarmPort,
        clock: Clock,
        every: float,
        *,
        cluster: Cluster | None = None,
    ) -> None:
        super().__init__("sweep", every, self.once)
        self._cluster = cluster
        self._store = store
        self._directory = directory
        self._alarms = alarms
        self._clock = clock
        self.rounds = 0
        self.late = 0  # hosts and pools for which no alarm had rung in time
        self._keys_left = False  # the last look for old keys did not get to their end

    async def once(self) -> None:
        """One round."""
        now = self._clock.now()
        self.act(await self._store.fetch(self.looking(now)), now)
        if self._keys_left or self.rounds % KEYS_EVERY == 0:
            self._keys_left = await self._forget_keys(now - KEPT)

    async def _forget_keys(self, before: Millis) -> bool:
        """Delete old keys in portions, with whatever else is to be written in between; whether some may be left."""
        for _ in range(KEY_PORTIONS):
            forgotten = await self._store.change(lambda database: forget_old_keys(database, before, KEYS_AT_ONCE))
            if forgotten < KEYS_AT_ONCE:
                return False
        return True

    def looking(self, now: Millis) -> Callable[[Database], Due]:
        """What to ask the rows: what is due, what soon will be, and what quotas need."""
        cluster = self._cluster
        orgs = [org.org_id for org in self._directory.orgs.values() if org.max_pending]

        def look(database: Database) -> Due:
            counts = dict.fromkeys(orgs, 0) | (pending_counts(database, orgs) if orgs else {})
            who, alive_at = (cluster.node, cluster.now(database)) if cluster is not None else (None, 0)
            due = due_by(database, now + HORIZON, MOST, owner=who, now=alive_at)
            expired = expired_by(database, now, MOST, owner=who, now=alive_at)
            pools = pools_due(database, now + HORIZON, MOST), pools_expired(database, now, MOST)
            return Due(due, expired, counts, *pools)

        return look

    def act(self, found: Due, now: Millis) -> None:
        """Wake what is due, and set alarms for what soon will be."""
        for host_id, due_at in found.runs:
            if due_at > now:
                self._alarms.set_alarm(host_id, due_at)
        due = [host_id for host_id, due_at in found.runs if due_at <= now]
        self.late += len(due)
        self._directory.sweep(dict.fromkeys(due + found.expired))
        for org_id, due_at in found.pools:
            if due_at > now:
                self._alarms.set_alarm(PREFIX + org_id, due_at)
        pools = [org_id for org_id, due_at in found.pools if due_at <= now]
        self.late += len(pools)
        self._directory.sweep_pools(dict.fromkeys(pools + found.pools_expired))
        for org_id, pending in found.pending_by_org.items():
            self._directory.supervisor(org_id).actor_ref.tell(CountPending(pending=pending))
        self.rounds += 1
