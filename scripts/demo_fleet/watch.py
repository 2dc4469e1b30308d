"""Listens to the organization's events, tells them as lines, and lets the story wait for a job's end."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

import aiohttp
import msgspec

from demo_fleet.control_plane import Account, ControlPlane
from demo_fleet.fleet import Fleet
from demo_fleet.processes import DemoFailed
from demo_fleet.screen import Screen
from interlock.ids import JobId
from interlock.states import JobStatus
from interlock.wire import EvidenceEvent, HostEvent, JobEvent

HEARTBEAT_SECONDS = 20.0  # between two pings; a stream without an answer to one breaks off

_ENDED = frozenset({JobStatus.COMPLETED, JobStatus.FAILED, JobStatus.CANCELLED})
_JOB_EVENTS = frozenset({"job.created", "job_run.started", "job_run.done", "job.cancelled"})
_HOST_EVENTS = frozenset({"host.online", "host.offline"})


class _Frame(msgspec.Struct):
    event: str
    data: msgspec.Raw = msgspec.Raw(b"{}")


class Watch:
    """What has been heard so far."""

    def __init__(self, fleet: Fleet, screen: Screen) -> None:
        self._names = fleet.names()
        self._screen = screen
        self._ended: dict[JobId, asyncio.Event] = {}
        self._calls: dict[JobId, asyncio.Event] = {}
        self._doing: dict[JobId, str] = {}  # who does it

    async def until_ended(self, job_id: JobId) -> None:
        """Return once the job has ended, whether or not that was heard before."""
        await self._ending(job_id).wait()

    async def until_it_calls(self, job_id: JobId) -> None:
        """Return once the job has called for its user."""
        await self._calling(job_id).wait()

    def hear(self, text: str) -> None:
        """Take in one frame."""
        frame = msgspec.json.decode(text, type=_Frame)
        if frame.event in _JOB_EVENTS:
            self._hear_job(frame.event, msgspec.json.decode(frame.data, type=JobEvent))
        elif frame.event == "job.updated":
            self._hear_progress(msgspec.json.decode(frame.data, type=JobEvent))
        elif frame.event == "evidence.added":
            self._hear_evidence(msgspec.json.decode(frame.data, type=EvidenceEvent))
        elif frame.event in _HOST_EVENTS:
            host = msgspec.json.decode(frame.data, type=HostEvent)
            self._screen.event(self._name(host.host_id), frame.event.removeprefix("host."))

    def _hear_job(self, name: str, event: JobEvent) -> None:
        self._screen.event(self._name(event.host_id), *_told(name, event))
        if name in {"job_run.done", "job.cancelled"} and event.job_status in _ENDED:
            self._ending(event.job_id).set()

    def _hear_progress(self, event: JobEvent) -> None:
        self._doing[event.job_id] = self._name(event.host_id)
        if event.needs_user_action:
            self._screen.event(self._name(event.host_id), f"{event.type} waits for its user", "magenta")
            self._calling(event.job_id).set()
        elif event.progress is not None:
            self._screen.event(self._name(event.host_id), f"{event.type} {event.progress} %")

    def _hear_evidence(self, event: EvidenceEvent) -> None:
        what = f"{event.created} pieces of evidence" if event.created else f"{event.assets} file"
        self._screen.event(self._doing.get(event.job_id, "somebody"), f"brought {what}")

    def _name(self, host_id: str | None) -> str:
        return self._names.get(host_id or "", "any host")

    def _calling(self, job_id: JobId) -> asyncio.Event:
        return self._calls.setdefault(job_id, asyncio.Event())

    def _ending(self, job_id: JobId) -> asyncio.Event:
        return self._ended.setdefault(job_id, asyncio.Event())


def _told(name: str, event: JobEvent) -> tuple[str, str]:
    """The line for an event, and its style."""
    if name == "job.created":
        return f"{event.type} created", ""
    if name == "job_run.started":
        return f"{event.type} attempt {event.attempt} started", "cyan"
    if name == "job.cancelled":
        return f"{event.type} cancelled", "magenta"
    took = "" if event.duration_ms is None else f" in {event.duration_ms / 1000:.2f} s"
    if event.status == "success":
        return f"{event.type} attempt {event.attempt} succeeded{took}", "green"
    then = "will be tried again" if event.will_retry else "was the last one"
    why = f": {event.error_message}" if event.error_message else ""
    return f"{event.type} attempt {event.attempt} {event.status}{why}; {then}", "yellow"


@contextlib.asynccontextmanager
async def watch(plane: ControlPlane, account: Account, fleet: Fleet, screen: Screen) -> AsyncIterator[Watch]:
    """Events from now on; a stream that breaks off ends the block with an `ExceptionGroup` of a `DemoFailed`."""
    heard = Watch(fleet, screen)
    headers = {"Authorization": f"Bearer {account.token}"}
    url = f"{plane.url}/ws?orgId={account.org}"
    async with (
        aiohttp.ClientSession(headers=headers) as session,
        session.ws_connect(url, heartbeat=HEARTBEAT_SECONDS) as socket,
        asyncio.TaskGroup() as group,
    ):
        listener = group.create_task(_listen(socket, heard))
        yield heard
        listener.cancel()


async def _listen(socket: aiohttp.ClientWebSocketResponse, heard: Watch) -> None:
    async for message in socket:
        if message.type is aiohttp.WSMsgType.TEXT:
            heard.hear(message.data)
    raise DemoFailed(f"The event stream broke off (close code {socket.close_code})")
