"""Ending what is open on a host before it, or an instance on it, goes away."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from actors.messages import CancelJob
from interlock.errors import InvalidState, NotFound, Unavailable
from store.fleet import open_jobs_of
from web.access import Member
from web.services import Services

Result = TypeVar("Result")

AT_ONCE = 500  # jobs that are cancelled together
TRIES = 20  # looks for what has not ended yet
PAUSE = 0.1  # seconds between them


async def once_nothing_is_open(remove: Callable[[], Awaitable[Result | None]]) -> Result:
    """The result of `remove`, which is tried again while it gives None, since something is open; but not for long."""
    for _ in range(TRIES):
        result = await remove()
        if result is not None:
            return result
        await asyncio.sleep(PAUSE)  # another node ends what runs, or a job was just made
    raise Unavailable("Not all jobs have ended yet: ask again", retry_after=2)


async def cancel_open_jobs(
    s: Services, who: Member, host_id: str, why: str, *, force: bool, instance_id: str | None = None
) -> None:
    """Cancel the host's open jobs, or those about one of its instances; returns early while another node is asked to."""
    while job_ids := await s.store.fetch(lambda db: open_jobs_of(db, host_id, AT_ONCE, instance_id)):
        cancels = [CancelJob(job_id=job_id, by=who.by, force=force, reason=why) for job_id in job_ids]
        done = await asyncio.gather(*(s.directory.ask(host_id, each) for each in cancels), return_exceptions=True)
        for each in done:
            if isinstance(each, BaseException) and not isinstance(each, InvalidState | NotFound):
                raise each
        if not all(done):
            return
