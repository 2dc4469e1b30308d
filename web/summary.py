"""An organization at a glance, for its dashboard: one answer serves all who look within two seconds."""

import asyncio
from collections import Counter
from collections.abc import Iterable

from aiohttp import web

from actors.documents import encode
from actors.host_state import SEEN_SAVED_EVERY, HostState
from interlock.clock import Millis, rfc3339
from interlock.states import RunStatus
from interlock.summary import DOINGS, Doing, HostGlance, JobCounts, Summary
from store.summary import Glance, HostAtWork, glance
from web.access import Member
from web.rate_book import RateBook
from web.services import Services

COUNTED = 50_000  # jobs of a status, and hosts, at most
SHOWN = 1000  # hosts by name
ENDED_WITHIN: Millis = 24 * 3_600_000  # how young ended jobs are that are counted
KEPT: Millis = 2000  # how old an answer may be
TOGETHER = 1000  # hosts that are looked at before others have a turn
_MOST_ORGS = 1000  # whose answers are kept
_IN_SLOT: dict[str | None, Doing] = {
    RunStatus.RUNNING: "running",
    RunStatus.CANCELLING: "running",
    RunStatus.OFFERED: "offered",
}


class Summaries:
    """What was answered last, by org."""

    def __init__(self, rates: RateBook) -> None:
        self.rates = rates
        self._made: dict[str, tuple[Millis, asyncio.Task[bytes]]] = {}

    async def of(self, s: Services, org_id: str) -> bytes:
        """The org's summary as JSON, from two seconds ago at most."""
        made_at, task = self._made.get(org_id, (0, None))
        failed = task is not None and task.done() and (task.cancelled() or task.exception() is not None)
        if task is None or failed or not 0 <= s.clock.now() - made_at < KEPT:
            if len(self._made) >= _MOST_ORGS:
                self._made.clear()
            task = asyncio.create_task(self._make(s, org_id))
            self._made[org_id] = s.clock.now(), task
        return await asyncio.shield(task)

    async def _make(self, s: Services, org_id: str) -> bytes:
        now = s.clock.now()
        seen = await s.store.fetch(lambda db: glance(db, org_id, now - ENDED_WITHIN, COUNTED))
        hosts = await _doings(s, seen.hosts)
        by_doing = Counter(doing for _, doing in hosts)
        return encode(
            Summary(
                at=rfc3339(now),
                since=rfc3339(now - ENDED_WITHIN),
                counted_to=COUNTED,
                jobs=_counts(seen),
                rates=self.rates.of(org_id),
                host_counts={doing: by_doing[doing] for doing in DOINGS},
                hosts=[HostGlance(id=host.id, name=host.name, doing=doing) for host, doing in hosts[:SHOWN]],
            )
        )


SUMMARIES: web.AppKey[Summaries] = web.AppKey("summaries", Summaries)


async def show(request: web.Request, s: Services, who: Member) -> web.Response:
    """200 with the summary."""
    body = await request.app[SUMMARIES].of(s, who.org_id)
    return web.Response(body=body, content_type="application/json", headers={"Cache-Control": "no-store"})


def _counts(seen: Glance) -> JobCounts:
    return JobCounts(
        waiting_for_user=seen.waiting_for_user, **{name.lower(): number for name, number in seen.counts.items()}
    )


async def _doings(s: Services, hosts: Iterable[HostAtWork]) -> list[tuple[HostAtWork, Doing]]:
    """Each host with what it does, from its actor where that is here. Many hosts leave the loop to others in between."""
    now, found = s.clock.now(), []
    silent_since = now - s.limits.offline_after_ms - SEEN_SAVED_EVERY
    for number, host in enumerate(hosts, 1):
        actor = s.directory.hosts.get(host.id)
        found.append((host, doing(host, None if actor is None else actor.state, now, silent_since)))
        if number % TOGETHER == 0:
            await asyncio.sleep(0)
    return found


def doing(host: HostAtWork, state: HostState | None, now: Millis, silent_since: Millis) -> Doing:
    """What the host does, in one word: trouble first, then its work, then why it gets none.

    Args:
        host: As the database knows it.
        state: As its actor does; None if that is not alive here.
        now: The present instant.
        silent_since: Who was not heard of since then is offline, if no actor knows better.
    """
    presence = _presence(host, silent_since) if state is None else state.presence()
    if presence == "unreachable":
        return "unreachable"
    if host.unhealthy is not None:
        return "unhealthy"
    at_work = _IN_SLOT.get(host.live_status)
    if at_work is not None:
        return at_work
    if presence != "online":
        return "never_connected" if presence == "never_connected" else "offline"
    if host.draining:
        return "draining"
    paused = host.paused and (host.paused_until is None or host.paused_until > now)
    return "paused" if paused else "idle"


def _presence(host: HostAtWork, silent_since: Millis) -> str:
    if host.live_status == RunStatus.UNREACHABLE:
        return "unreachable"
    if host.last_seen_at is None:
        return "never_connected"
    return "online" if host.last_seen_at > silent_since else "offline"
