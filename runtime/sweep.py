"""Every two seconds: look in the rows for what is due. It is the guarantee behind every alarm and every timer."""

import asyncio
import logging

from peewee import Database

from actors import Directory
from actors.org import CountPending
from interlock.clock import Clock
from interlock.errors import InterlockError
from runtime.alarms import HORIZON, DramatiqAlarms
from store import Store
from store.claims import due_by, expired_by
from store.jobs import pending_counts

log = logging.getLogger(__name__)

MOST = 500  # hosts that one round brings to life


class Sweep:
    """Runs until stopped; a round that fails is logged and the next one comes anyway."""

    def __init__(self, store: Store, directory: Directory, alarms: DramatiqAlarms, clock: Clock, every: float) -> None:
        self._store = store
        self._directory = directory
        self._alarms = alarms
        self._clock = clock
        self._every = every
        self._task: asyncio.Task[None] | None = None
        self.rounds = 0

    def start(self) -> None:
        """Begin."""
        self._task = asyncio.create_task(self._run(), name="sweep")

    async def stop(self) -> None:
        """End; twice does no harm."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(self._every)
            try:
                await self.once()
            except InterlockError as error:
                log.warning("The sweep could not look: %s", error.detail)
            except Exception:
                log.exception("A round of the sweep failed")

    async def once(self) -> None:
        """One round: wake what is due, set alarms for what soon will be, count what quotas need."""
        now = self._clock.now()
        orgs = [org.org_id for org in self._directory.orgs.values() if org.max_pending]

        def look(database: Database) -> tuple[list[tuple[str, int]], list[str], dict[str, int]]:
            counts = pending_counts(database, orgs) if orgs else {}
            return due_by(database, now + HORIZON, MOST), expired_by(database, now, MOST), counts

        due, expired, counts = await self._store.fetch(look)
        for host_id, due_at in due:
            if due_at > now:
                self._alarms.set_alarm(host_id, due_at)
        self._directory.sweep([host_id for host_id, due_at in due if due_at <= now] + expired)
        for org_id in orgs:
            self._directory.orgs[org_id].actor_ref.tell(CountPending(pending=counts.get(org_id, 0)))
        self.rounds += 1
