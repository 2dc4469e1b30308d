"""Who follows a job is woken by its events, and by no others."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import msgspec

from interlock.clock import SystemClock
from interlock.wire import HostEvent, LogEvent
from web.event_stream import EventStream, EventStreams, encode_event
from web.followers import Followers

JOB, OTHER = "0" * 36, "1" * 36


def streams() -> EventStreams:
    return EventStreams(SystemClock(), history=10)


def news(job_id: str) -> LogEvent:
    return LogEvent(job_id=job_id, job_run_id="run", lines=1)


async def settled() -> None:
    """Let all that can run, run."""
    for _ in range(10):
        await asyncio.sleep(0)


async def test_only_the_jobs_own_events_wake() -> None:
    events = streams()
    followers = Followers(events)
    async with followers.follow("org", JOB) as mine, followers.follow("org", OTHER) as others:
        events.publish("org", "job.log", news(JOB))
        events.publish("org", "host.online", HostEvent(host_id="h", presence="", health="", awaiting_idle=False))
        events.publish("another", "job.log", news(OTHER))
        await settled()
        assert (mine.is_set(), others.is_set()) == (True, False)


async def test_many_may_follow_one_job_and_each_leaves_by_himself() -> None:
    events = streams()
    followers = Followers(events)
    async with followers.follow("org", JOB) as first:
        async with followers.follow("org", JOB) as second:
            events.publish("org", "job.log", news(JOB))
            await asyncio.wait_for(second.wait(), 10)
        first.clear()
        events.publish("org", "job.log", news(JOB))
        await asyncio.wait_for(first.wait(), 10)


async def test_events_of_other_nodes_wake_too() -> None:
    events = streams()
    followers = Followers(events)
    async with followers.follow("org", JOB) as mine, followers.follow("org", OTHER) as others:
        events.stream("org").adopt([encode_event("job.log", 0, news(JOB)).decode()])
        await asyncio.wait_for(mine.wait(), 10)
        assert not others.is_set()


async def test_a_gap_or_a_stream_that_ran_away_wakes_all() -> None:
    events = streams()
    followers = Followers(events)
    async with followers.follow("org", JOB) as changed:
        for _ in range(20):  # more than the history
            events.publish("org", "job.log", news(OTHER))
        await asyncio.wait_for(changed.wait(), 10)
        changed.clear()
        events.stream("org").reborn(10**18, 0)
        await asyncio.wait_for(changed.wait(), 10)


async def test_a_server_that_stops_wakes_all() -> None:
    events = streams()
    async with Followers(events).follow("org", JOB) as changed:
        events.wake_all()
        await asyncio.wait_for(changed.wait(), 10)


async def test_nothing_runs_on_when_nobody_follows_any_more() -> None:
    followers = Followers(streams())
    before = asyncio.all_tasks()
    for _ in range(3):
        async with followers.follow("org", JOB), followers.follow("org", OTHER):
            assert len(asyncio.all_tasks() - before) == 1
    await settled()
    assert asyncio.all_tasks() == before


class Broken(EventStreams):
    """Whose streams cannot be watched."""

    @asynccontextmanager
    async def watching(self, org_id: str) -> AsyncIterator[EventStream]:
        yield msgspec.json.decode(b"{}", type=dict)[org_id]


async def test_streams_that_cannot_be_watched_let_nobody_hang() -> None:
    followers = Followers(Broken(SystemClock(), history=1))
    for _ in range(2):
        async with followers.follow("org", JOB) as changed:
            await asyncio.wait_for(changed.wait(), 10)


async def test_who_waits_for_an_end_alone_is_not_woken_by_what_is_none() -> None:
    events = streams()
    followers = Followers(events)
    async with followers.follow("org", JOB, ends_only=True) as end, followers.follow("org", JOB) as anything:
        events.publish("org", "job.log", news(JOB))
        events.stream("org").adopt([encode_event("job.updated", 0, news(JOB)).decode()])
        await asyncio.wait_for(anything.wait(), 10)
        await settled()
        assert not end.is_set()
        events.stream("org").adopt([encode_event("job_run.done", 0, news(JOB)).decode()])
        await asyncio.wait_for(end.wait(), 10)
        end.clear()
        events.publish("org", "job.cancelled", news(JOB))
        await asyncio.wait_for(end.wait(), 10)
