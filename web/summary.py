"""An organization at a glance, for its dashboard: one answer serves all who look within the next seconds."""

import asyncio
from collections import Counter
from collections.abc import Iterable
from itertools import islice

from aiohttp import web

from actors.documents import encode
from actors.host_state import SEEN_SAVED_EVERY, HostState
from interlock.clock import Millis, rfc3339
from interlock.states import RunStatus
from interlock.summary import DOINGS, Doing, HostGlance, JobCounts, Summary
from store.summary import Glance, HostAtWork, glance
from web.access import Member
from web.heeded import heeded
from web.rate_book import RateBook
from web.services import Services

COUNTED = 50_000  # jobs of a status, and hosts, at most
SHOWN = 1000  # hosts by name
TROUBLED = 20  # hosts that take no jobs
_GRAVEST: tuple[Doing, ...] = ("unreachable", "unhealthy", "offline", "never_connected", "paused", "draining")
ENDED_WITHIN: Millis = 24 * 3_600_000  # how young ended jobs are that are counted
KEPT: Millis = 2000  # how old an answer may be, at least
SHARE = 10  # times as long as it took to make it is an answer kept: so much of the time nothing is made
TOGETHER = 1000  # hosts that are looked at before others have a turn
_MOST_ORGS = 1000  # whose answers are kept
_IN_SLOT: dict[str | None, Doing] = {
    RunStatus.RUNNING: "running",
    RunStatus.CANCELLING: "running",
    RunStatus.OFFERED: "offered",
}


class _Made:
    """An answer, or one that is being made."""

    task: "asyncio.Task[bytes]"

    def __init__(self, begun_at: Millis) -> None:
        self.begun_at = begun_at
        self._kept: Millis | None = None  # how old it may get, once it is made

    def ended(self, now: Millis) -> None:
        """It is made, or could not be."""
        failed = self.task.cancelled() or self.task.exception() is not None
        self._kept = 0 if failed else max(KEPT, SHARE * (now - self.begun_at))

    def serves(self, now: Millis) -> bool:
        """Whether it will do for somebody who asks now."""
        return self._kept is None or 0 <= now - self.begun_at < self._kept


class Summaries:
    """What was answered last, by org."""

    def __init__(self, rates: RateBook) -> None:
        self.rates = rates
        self._made: dict[str, _Made] = {}

    async def of(self, s: Services, org_id: str) -> bytes:
        """The org's summary as JSON, from two seconds ago, or from ten times as long ago as it took to make."""
        made = self._made.get(org_id)
        if made is None or not made.serves(s.clock.now()):
            if len(self._made) >= _MOST_ORGS:
                self._made.clear()
            made = self._made[org_id] = _Made(s.clock.now())
            made.task = heeded(asyncio.create_task(self._make(s, org_id)))
            made.task.add_done_callback(lambda _: made.ended(s.clock.now()))
        return await asyncio.shield(made.task)

    async def _make(self, s: Services, org_id: str) -> bytes:
        now = s.clock.now()
        seen = await s.store.fetch(lambda db: glance(db, org_id, now - ENDED_WITHIN, COUNTED))
        hosts = await _doings(s, seen.hosts)
        by_doing = Counter(each.doing for each in hosts)
        return encode(
            Summary(
                at=rfc3339(now),
                since=rfc3339(now - ENDED_WITHIN),
                counted_to=COUNTED,
                jobs=_counts(seen),
                rates=self.rates.of(org_id),
                host_counts={doing: by_doing[doing] for doing in DOINGS},
                hosts=hosts[:SHOWN],
                troubled=list(islice((each for word in _GRAVEST for each in hosts if each.doing == word), TROUBLED)),
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


async def _doings(s: Services, hosts: Iterable[HostAtWork]) -> list[HostGlance]:
    """Each host with what it does, as its actor knows it where that is here. Many hosts leave the loop to others in between."""
    now, found = s.clock.now(), []
    silent_since = now - s.limits.offline_after_ms - SEEN_SAVED_EVERY
    for number, host in enumerate(hosts, 1):
        actor = s.directory.hosts.get(host.id)
        word = doing(host, None if actor is None else actor.state, now, silent_since)
        found.append(HostGlance(id=host.id, name=host.name, doing=word))
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
