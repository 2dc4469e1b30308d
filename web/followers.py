"""Who waits for news of one job is woken by that job's events alone: one task per org looks at them for all who wait."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from web.event_stream import EventStream, Frame
from web.ports import EventStreamsPort

log = logging.getLogger(__name__)

_MARK = '"jobId":"'
_ID = 36  # characters
_EVENT = '"event":"'
_NO_END = frozenset({"job.created", "job.updated", "job.log", "job_run.started", "evidence.added"})


class _Org:
    """Those who wait in one org, by job."""

    def __init__(self) -> None:
        self.jobs: dict[str, dict[asyncio.Event, bool]] = {}  # and whether the job's end alone is waited for
        self.ready = asyncio.Event()  # from now on nothing is missed
        self.task: asyncio.Task[None] | None = None

    def wake(self, job_id: str, event: str = "") -> None:
        for changed, ends_only in self.jobs.get(job_id, {}).items():
            if not ends_only or event not in _NO_END:
                changed.set()

    def wake_all(self) -> None:
        for job_id in self.jobs:
            self.wake(job_id)


class Followers:
    """To be used on the loop's thread only."""

    def __init__(self, streams: EventStreamsPort) -> None:
        self._streams = streams
        self._orgs: dict[str, _Org] = {}

    @asynccontextmanager
    async def follow(self, org_id: str, job_id: str, *, ends_only: bool = False) -> AsyncIterator[asyncio.Event]:
        """An event that is set whenever the job has news, or only when it may have ended; whoever waits clears it, looks, and
        then waits.
        """
        org = self._orgs.get(org_id)
        if org is None:
            org = self._orgs[org_id] = _Org()
            org.task = asyncio.create_task(self._watch(org_id, org), name="followers")
        changed = asyncio.Event()
        org.jobs.setdefault(job_id, {})[changed] = ends_only
        try:
            await org.ready.wait()
            yield changed
        finally:
            del org.jobs[job_id][changed]
            if not org.jobs[job_id]:
                del org.jobs[job_id]
            if not org.jobs:
                self._end(org_id, org)

    def _end(self, org_id: str, org: _Org) -> None:
        if self._orgs.get(org_id) is org:
            del self._orgs[org_id]
        if org.task is not None:
            org.task.cancel()

    async def _watch(self, org_id: str, org: _Org) -> None:
        try:
            async with self._streams.watching(org_id) as stream:
                await _tell(stream, org)
        except Exception:
            log.exception("Events of an org cannot be watched")
        finally:
            if self._orgs.get(org_id) is org:
                del self._orgs[org_id]  # who comes next begins afresh
            org.ready.set()
            org.wake_all()


async def _tell(stream: EventStream, org: _Org) -> None:
    cursor = stream.end
    org.ready.set()
    while True:
        await stream.wait(cursor)
        frames = stream.after(cursor)
        if not frames:  # the server stops, or the stream has moved past us
            cursor = stream.end
            org.wake_all()
            continue
        for frame in frames:
            job_id = _job_of(frame)
            if job_id is not None:
                org.wake(job_id, frame.event or _event_of(frame))
            elif frame.event == "gap":
                org.wake_all()
        cursor += len(frames)


def _event_of(frame: Frame) -> str:
    return (frame.encoded or "").partition(_EVENT)[2].partition('"')[0]


def _job_of(frame: Frame) -> str | None:
    """The job that an event is about; one that came from another node is only there as text."""
    if frame.data is not None:
        job_id: str | None = getattr(frame.data, "job_id", None)
        return job_id
    _, found, after = (frame.encoded or "").partition(_MARK)
    return after[:_ID] if found else None
