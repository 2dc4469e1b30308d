"""`Prefer: wait=N`: the answer about a job comes when the job has ended, or after N seconds with the job as it is then.

Who waits is woken by the job's events and looks at the database only then. It holds no place at the gate of the creates, and
the deadline of ordinary answers does not count meanwhile. There is a bound on how many may wait, and a smaller one for each
organization; whoever finds no place is answered at once: a preference may be passed over, and the answer says so by having
no `Preference-Applied`.
"""

import asyncio
import contextlib
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from aiohttp import web

from interlock.errors import Unavailable
from interlock.ids import is_id
from store.jobs import org_and_host_of_job
from store.logs import is_over
from web.deadlines import Deadlines
from web.gate import Held
from web.preferences import preferred_wait
from web.services import Services

AGAIN = 5  # seconds
# What a create holds at the gate while it is under way: whoever waits lets go of it first.
PLACE: web.RequestKey[Held] = web.RequestKey("place", Held)


class JobEnds:
    """Those who wait in this process, to be used on the loop's thread only."""

    def __init__(self, deadlines: Deadlines, most: int, most_per_org: int) -> None:
        self._deadlines = deadlines
        self._most, self._most_per_org = most, most_per_org
        self._of_org: Counter[str] = Counter()
        self.waiting = 0

    async def wait(self, request: web.Request, s: Services, org_id: str, job_id: str) -> str | None:
        """Return when the org's job has ended, or the request has waited for as long as it prefers: what was applied. None,
        at once, when it prefers nothing, nobody may wait any more, or the org has no such job.
        """
        preferred = preferred_wait(request)
        if preferred is None:
            return None
        seconds = min(preferred, s.web_limits.job_wait_max_seconds)
        if not self._is_free(org_id):
            return None
        with self._held(org_id):
            if not await _belongs(s, org_id, job_id):
                return None
            place = request.get(PLACE)
            if place is not None:
                place.close()
            with self._deadlines.apart():
                await _until_over(s, org_id, job_id, seconds)
        return f"wait={seconds:g}"

    @contextmanager
    def place(self, org_id: str) -> Iterator[None]:
        """For one who waits for something else of a job's, among the others; `Unavailable` when there is none: whoever follows
        a log comes again at once when he is told that there is nothing new.
        """
        if not self._is_free(org_id):
            raise Unavailable("Too many requests wait for news of jobs already", retry_after=AGAIN)
        with self._held(org_id):
            yield

    def _is_free(self, org_id: str) -> bool:
        return self.waiting < self._most and self._of_org[org_id] < self._most_per_org

    @contextmanager
    def _held(self, org_id: str) -> Iterator[None]:
        self.waiting += 1
        self._of_org[org_id] += 1
        try:
            yield
        finally:
            self.waiting -= 1
            self._of_org[org_id] -= 1
            if not self._of_org[org_id]:
                del self._of_org[org_id]


async def _belongs(s: Services, org_id: str, job_id: str) -> bool:
    found = await s.store.fetch(lambda db: org_and_host_of_job(db, job_id)) if is_id(job_id) else None
    return found is not None and found[0] == org_id


async def _until_over(s: Services, org_id: str, job_id: str, seconds: float) -> None:
    loop = asyncio.get_running_loop()
    deadline = loop.time() + seconds
    async with s.followers.follow(org_id, job_id, ends_only=True) as changed:
        while True:
            changed.clear()
            over = await s.store.fetch(lambda db: is_over(db, job_id))
            left = deadline - loop.time()
            if over or left <= 0 or s.stopping.is_set():
                return
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(left):
                    await changed.wait()


ENDS: web.AppKey[JobEnds] = web.AppKey("job_ends", JobEnds)
