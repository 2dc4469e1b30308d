"""The control plane over HTTP: one method per route, answers as structs, refusals as errors.

Errors: `TryLater` for everything that may pass (no connection, a time-out, 408, 429, 5xx, an answer that is not
Interlock's), `Unauthenticated` and `Forbidden` for the key, `NotFound`, `Conflict` and `Superseded`, and
`InvalidRequest` for any other refusal of what was sent.
"""

import asyncio
import contextlib
import math
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, NamedTuple, Self, TypeVar
from urllib.parse import quote

import aiohttp
import msgspec

from interlock.agent.settings import AgentSettings
from interlock.agent.text import clean
from interlock.agent.trouble import MAX_DETAIL, network_sentence
from interlock.errors import (
    Conflict,
    Forbidden,
    InterlockError,
    InvalidRequest,
    NotFound,
    RateLimited,
    Superseded,
    Unauthenticated,
    Unavailable,
)
from interlock.fleet import Config
from interlock.ids import HostId, InstanceId, JobRunId
from interlock.wire import (
    AssetAnswer,
    EvidenceAnswer,
    EvidenceIn,
    Heartbeat,
    HeartbeatAnswer,
    LogLineIn,
    Logs,
    Progress,
    Report,
    ReportAnswer,
    RunState,
    TakenJob,
)

T = TypeVar("T")
CONNECT_SECONDS = 10.0  # to establish a connection; a SYN is repeated after 1, 3 and 7 s
CLOSE_SECONDS = 1.0  # to say goodbye on a socket that is being closed
MAX_FRAME_BYTES = 16 * 1024 * 1024  # of one frame from the server; payloads have their own limit there
REQUEST_TIMEOUT = 408  # the request came too slowly: the line's fault, not the request's


class Poll(NamedTuple):
    """The answer to a poll: a job, or perhaps the run that the server would like to see stopped."""

    job: TakenJob | None
    cancel: JobRunId | None


class _Problem(msgspec.Struct):
    """The part of problem+json that the agent reads."""

    code: str
    detail: str = ""
    current: Any = None


class _Answer(NamedTuple):
    status: int
    headers: Mapping[str, str]
    body: bytes


class ControlPlane:
    """One HTTP session with the server at `url`, as host `host_id` with `key`. An async context manager."""

    def __init__(self, url: str, key: str, host_id: HostId, settings: AgentSettings) -> None:
        self._url = url.rstrip("/")
        self._base = f"{self._url}/api/agent/hosts/{host_id}"
        self._headers = {
            "Authorization": f"Bearer {key}",
            "Accept": "application/json",
            "User-Agent": "interlock-agent",
        }
        self._settings = settings
        self._http: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        self._http = aiohttp.ClientSession(headers=self._headers, raise_for_status=_refused_upgrade)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._http is not None:
            await self._http.close()

    async def poll(self, instance_id: InstanceId, *, at_most: float = math.inf) -> Poll:
        """Ask for the next job, declaring that nothing runs here; the server may hold the request.

        It holds it for `poll_wait_seconds`, and for no more than `at_most` seconds, rounded up.
        """
        wait = math.ceil(min(self._settings.poll_wait_seconds, at_most))
        query = {"wait": str(wait), "instanceId": instance_id, "running": ""}
        answer = await self._send("GET", "/jobs", query=query, extra_seconds=wait)
        if answer.status == 204:  # noqa: PLR2004 - No Content
            return Poll(None, answer.headers.get("Interlock-Cancel"))
        return Poll(_read(answer, TakenJob), None)

    async def report(self, job_run_id: JobRunId, report: Report) -> ReportAnswer:
        """Hand over a result."""
        return _read(await self._send("POST", f"/jobs/{job_run_id}/result", body=report), ReportAnswer)

    async def heartbeat(self, instance_id: InstanceId, running: list[JobRunId]) -> HeartbeatAnswer:
        """Say that this agent lives and what it runs."""
        body = Heartbeat(instance_id=instance_id, running=running)
        return _read(await self._send("POST", "/heartbeat", body=body), HeartbeatAnswer)

    async def logs(self, job_run_id: JobRunId, lines: list[LogLineIn]) -> RunState:
        """Add lines to the run's log; lines that are known by their `seq` are passed over."""
        return _read(await self._send("POST", f"/jobs/{job_run_id}/logs", body=Logs(lines=lines)), RunState)

    async def progress(self, job_run_id: JobRunId, progress: Progress) -> RunState:
        """Say how far the run is."""
        return _read(await self._send("POST", f"/jobs/{job_run_id}/progress", body=progress), RunState)

    async def evidence(self, job_run_id: JobRunId, items: list[msgspec.Raw]) -> EvidenceAnswer:
        """Hand over what was found; what is known already is named a duplicate."""
        body = EvidenceIn(evidence=items)
        return _read(await self._send("POST", f"/jobs/{job_run_id}/evidence", body=body), EvidenceAnswer)

    async def asset(self, job_run_id: JobRunId, name: str, content: Path | bytes, content_type: str) -> AssetAnswer:
        """Store a file beside the job; a path is read as it is sent. `InvalidRequest` when it cannot be read."""
        path = f"/jobs/{job_run_id}/assets/{quote(name, safe='')}"
        if isinstance(content, bytes):
            return _read(await self._send("PUT", path, body=content, content_type=content_type), AssetAnswer)
        try:
            with content.open("rb") as file:
                return _read(await self._send("PUT", path, body=file, content_type=content_type), AssetAnswer)
        except OSError as error:
            raise InvalidRequest(f"{content} cannot be read: {error.strerror}") from error

    async def config(self) -> Config:
        """The organization's settings and connectors, with their version."""
        return _read(await self._send("GET", f"{self._url}/api/agent/config"), Config)

    async def upgrade(self, instance_id: InstanceId, running: list[JobRunId]) -> aiohttp.ClientWebSocketResponse:
        """Open a socket, declaring what runs here; a refusal is the error that its status stands for."""
        timeout = aiohttp.ClientWSTimeout(ws_close=CLOSE_SECONDS)
        query = {"instanceId": instance_id, "running": ",".join(running)}
        async with _network_errors(self._url), asyncio.timeout(self._settings.request_timeout_seconds):
            try:
                return await self._session().ws_connect(
                    f"{self._url}/agent", params=query, timeout=timeout, max_msg_size=MAX_FRAME_BYTES
                )
            except aiohttp.WSServerHandshakeError as error:
                raise _refusal(_Answer(error.status, error.headers or {}, b"")) from error

    def _session(self) -> aiohttp.ClientSession:
        if self._http is None:
            raise RuntimeError("the control plane is used outside its context")
        return self._http

    async def _send(
        self,
        method: str,
        path: str,
        *,
        body: msgspec.Struct | bytes | BinaryIO | None = None,
        content_type: str = "application/json",
        query: dict[str, str] | None = None,
        extra_seconds: float = 0.0,
    ) -> _Answer:
        """The answer when it is a 200, 201 or 204, else the error that it stands for. A path may be a whole URL."""
        timeout = aiohttp.ClientTimeout(
            total=self._settings.request_timeout_seconds + extra_seconds, sock_connect=CONNECT_SECONDS
        )
        headers = {"Content-Type": content_type} if body is not None else {}
        data = msgspec.json.encode(body) if isinstance(body, msgspec.Struct) else body
        async with (
            _network_errors(self._url),
            self._session().request(
                method,
                path if path.startswith(self._url) else self._base + path,
                data=data,
                params=query,
                headers=headers,
                timeout=timeout,
                allow_redirects=False,
            ) as response,
        ):
            answer = _Answer(response.status, response.headers, await response.read())
        if answer.status in {200, 201, 204}:
            return answer
        raise _refusal(answer)


@contextlib.asynccontextmanager
async def _network_errors(url: str) -> AsyncIterator[None]:
    """Errors of the network and its library on the way to `url`, in the agent's words."""
    try:
        yield
    except TimeoutError as error:
        raise Unavailable("no answer in time", retry_after=0.0) from error
    except (aiohttp.ClientError, OSError, asyncio.IncompleteReadError) as error:
        raise Unavailable(network_sentence(error, url), retry_after=0.0) from error


async def _refused_upgrade(response: aiohttp.ClientResponse) -> None:
    """Raise what a refusal of a socket says: the library throws its body away. Other answers are left alone."""
    if aiohttp.hdrs.UPGRADE in response.request_info.headers and response.status >= 400:  # noqa: PLR2004 - refusals
        raise _refusal(_Answer(response.status, response.headers, await response.read()))


def _read(answer: _Answer, kind: type[T]) -> T:
    """The answer's body; `Unavailable` when something else than Interlock must have answered."""
    try:
        return msgspec.json.decode(answer.body, type=kind)
    except (msgspec.MsgspecError, RecursionError) as error:
        raise Unavailable(f"the answer is not Interlock's: {error}", retry_after=0.0) from error


def _refusal(answer: _Answer) -> InterlockError:
    """The error that a status and its problem document stand for.

    A 404 or 409 without a problem document comes from something in between, such as a proxy whose server is
    away: a result must not be dropped on its word.
    """
    status, retry_after = answer.status, _retry_after(answer)
    problem = _problem(answer)
    said = f"{status} {clean(problem.detail)[:MAX_DETAIL]}" if problem else f"{status} without a problem document"
    if status == Unauthenticated.status:
        return Unauthenticated(said)
    if status == Forbidden.status:
        return Forbidden(said)
    if status == RateLimited.status:
        return RateLimited(said, retry_after=retry_after)
    if problem is None or status == REQUEST_TIMEOUT or not 400 <= status < 500:  # noqa: PLR2004 - the refusals' range
        return Unavailable(said, retry_after=retry_after)
    return _known_refusal(status, problem, said)


def _known_refusal(status: int, problem: _Problem, said: str) -> InterlockError:
    if status == NotFound.status:
        return NotFound(said)
    if problem.code == Superseded.code:
        return Superseded(said, problem.current)
    if status == 409:  # noqa: PLR2004 - Conflict
        return Conflict(said, problem.current)
    return InvalidRequest(said)


def _problem(answer: _Answer) -> _Problem | None:
    try:
        return msgspec.json.decode(answer.body, type=_Problem)
    except (msgspec.MsgspecError, RecursionError):
        return None


def _retry_after(answer: _Answer) -> float:
    """Seconds; 0 when the server does not say, or says a date."""
    try:
        seconds = float(answer.headers.get("Retry-After", "0"))
    except ValueError:
        return 0.0
    return seconds if math.isfinite(seconds) and seconds > 0 else 0.0
