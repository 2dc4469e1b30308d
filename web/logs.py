"""A job's log for users: line by line, and as it is written."""

import asyncio
import contextlib
from collections.abc import Callable
from typing import Any

from aiohttp import web

from actors.documents import encode
from interlock.clock import rfc3339
from interlock.wire import LogLine, LogPage
from store.jobs import log_lines
from store.logs import is_over
from web.access import Member
from web.evidence import job_of_path
from web.job_ends import ENDS
from web.parsing import whole_number
from web.services import Services

PAGE = 1000
FOLLOW_SECONDS = 25.0


async def show(request: web.Request, s: Services, who: Member) -> web.Response:
    """Lines in order; with `follow=1` an empty page waits for the next line, or for the job's end. `Unavailable` when too many
    wait.
    """
    query = request.query
    after = whole_number(query.get("after"), "after", least=0, most=2**53, default=0)
    limit = whole_number(query.get("limit"), "limit", least=1, most=PAGE, default=PAGE)
    job_id = await job_of_path(request, s, who)

    def read(database: Any) -> list[Any]:
        return log_lines(database, job_id, after, limit)

    follow = query.get("follow") in {"1", "true"}
    if follow:
        with request.app[ENDS].place(who.org_id):
            rows = await _follow(s, who.org_id, job_id, read)
    else:
        rows = await s.store.fetch(read)
    items = [
        LogLine(seq=seq, job_run_id=run_id, level=level, message=text, progress=progress, created_at=rfc3339(at))
        for seq, run_id, level, text, progress, at in rows
    ]
    cursor = str(items[-1].seq) if items else None
    return web.Response(body=encode(LogPage(items=items, next_cursor=cursor)), content_type="application/json")


async def _follow(s: Services, org_id: str, job_id: str, read: Callable[[Any], list[Any]]) -> list[Any]:
    """What there is to read, once there is something, or the job is over; the job's events say when it is time to look."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + FOLLOW_SECONDS
    async with s.followers.follow(org_id, job_id) as changed:
        while True:
            changed.clear()
            over, rows = await s.store.fetch(lambda db: (is_over(db, job_id), read(db)))  # what comes first is older
            left = deadline - loop.time()
            if rows or over or left <= 0 or s.stopping.is_set():
                return rows
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(left):
                    await changed.wait()
