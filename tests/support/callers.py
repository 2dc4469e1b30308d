"""Users, agents and dashboards of a running server, as tests speak for them over HTTP."""

import asyncio
import io
from collections.abc import AsyncIterator, Coroutine, Iterable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, NamedTuple

import aiohttp
import msgspec
from yarl import URL

from tests.support.reality import disagreements, misfits, surprises
from tests.support.server import Rows, Server

PATIENCE = 30.0  # seconds until an answer or event that must come is missed
Document = dict[str, Any]


class Reply(NamedTuple):
    """An answer, read to its end."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return msgspec.json.decode(self.body)

    @property
    def code(self) -> str:
        """The problem's code; checks that it is a whole problem."""
        problem = self.json
        assert self.headers["Content-Type"] == "application/problem+json"
        assert self.headers["X-Request-Id"] == problem["requestId"]
        assert problem["status"] == self.status
        assert {"type", "title", "detail"} <= set(problem)
        return str(problem["code"])

    @property
    def refusal(self) -> tuple[int, str]:
        """Status and code; no code when it is no refusal."""
        return self.status, self.code if self.status >= 400 else ""


class Caller:
    """Somebody with a credential, or without."""

    def __init__(self, session: aiohttp.ClientSession, url: str, token: str | None) -> None:
        self.session = session
        self.url = url
        self.token = token

    async def ask(
        self, method: str, path: str, body: Any = None, *, headers: Mapping[str, str] | None = None, **query: Any
    ) -> Reply:
        """Send it; `body` may be bytes to be sent as they are, and `path` is never touched up."""
        sent = {"Accept-Encoding": "identity"}  # long answers would be compressed
        sent |= {} if self.token is None else {"Authorization": f"Bearer {self.token}"}
        data = body if isinstance(body, bytes | None) else msgspec.json.encode(body)
        if data is not None:
            sent["Content-Type"] = "application/json"
        sent.update(headers or {})
        url = URL(self.url + path, encoded=True)
        url = url.update_query({name: str(value) for name, value in query.items()}) if query else url
        async with (
            asyncio.timeout(PATIENCE + float(query.get("wait", 0))),
            self.session.request(method, url, data=_stream(data), headers=sent, allow_redirects=False) as response,
        ):
            reply = Reply(response.status, response.headers, await response.read())
        said = disagreements(method, url.raw_path, reply.status, reply.headers, reply.body)
        said += surprises(method, url.raw_path, reply.status, data)
        assert not said, said
        return reply

    async def get(self, path: str, *, headers: Mapping[str, str] | None = None, **query: Any) -> Reply:
        return await self.ask("GET", path, headers=headers, **query)

    async def post(
        self, path: str, body: Any = None, *, headers: Mapping[str, str] | None = None, **query: Any
    ) -> Reply:
        return await self.ask("POST", path, body, headers=headers, **query)


def _stream(data: bytes | None) -> Any:
    """Large bodies in portions, as the client library wants them."""
    return io.BytesIO(data) if data is not None and len(data) > 2**20 else data


class Agent(Caller):
    """What speaks for one host."""

    def __init__(self, session: aiohttp.ClientSession, url: str, host_id: str, key: str, instance_id: str) -> None:
        super().__init__(session, url, key)
        self.id = host_id
        self.path = f"/api/agent/hosts/{host_id}"
        self.server_instance = instance_id

    async def poll(
        self,
        wait: float | None = None,
        *,
        running: Iterable[str] | None = None,
        instance: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Reply:
        """Ask for the next job; None leaves a parameter out."""
        query = {
            "wait": wait,
            "instanceId": instance,
            "running": None if running is None else ",".join(running),
        }
        given = {name: value for name, value in query.items() if value is not None}
        return await self.get(f"{self.path}/jobs", headers=headers, **given)

    async def take(self, wait: float = 10, *, running: Iterable[str] | None = None, instance: str | None = None) -> Any:
        """The next job, which must come."""
        reply = await self.poll(wait, running=running, instance=instance)
        assert reply.status == 200, reply
        return reply.json

    async def result(self, run_id: str, status: str = "success", *, take_next: bool = False, **fields: Any) -> Reply:
        query: dict[str, Any] = {"next": 1} if take_next else {}
        return await self.post(f"{self.path}/jobs/{run_id}/result", {"status": status, **fields}, **query)

    async def finish(self, run_id: str, status: str = "success", **fields: Any) -> Any:
        """A result that must be taken."""
        reply = await self.result(run_id, status, **fields)
        assert reply.status == 200, reply
        return reply.json

    async def progress(self, run_id: str, progress: float, **fields: Any) -> Reply:
        return await self.post(f"{self.path}/jobs/{run_id}/progress", {"progress": progress, **fields})

    async def logs(self, run_id: str, *lines: Document) -> Reply:
        return await self.post(f"{self.path}/jobs/{run_id}/logs", {"lines": lines})

    async def beat(self, **fields: Any) -> Reply:
        return await self.post(f"{self.path}/heartbeat", fields)


class Watch:
    """A dashboard's socket."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self.socket = socket
        self.seen: list[Document] = []

    async def next(self) -> Document:
        """The next frame."""
        async with asyncio.timeout(PATIENCE):
            frame: Document = await self.socket.receive_json()
        said = misfits("/ws", frame["event"], frame["data"])
        assert not said, said
        self.seen.append(frame)
        return frame

    async def until(self, *events: str, **data: Any) -> Document:
        """The next frame of these events whose data has these values; what comes before it is only kept in `seen`."""
        while True:
            frame = await self.next()
            if frame["event"] in events and all(frame["data"].get(name) == value for name, value in data.items()):
                return frame

    @property
    def events(self) -> list[str]:
        return [frame["event"] for frame in self.seen]


class Tenant:
    """An org with a user of each role."""

    def __init__(self, plane: "Plane") -> None:
        self.plane = plane
        self.id = plane.rows.org()
        self.path = f"/api/orgs/{self.id}"
        self.jobs_path = f"{self.path}/jobs"
        self._callers: dict[str, Caller] = {}
        self.user_ids: dict[str, str] = {}
        self.as_role("operator")  # a server without any account answers nobody

    def as_role(self, role: str) -> Caller:
        """The org's user of that role."""
        if role not in self._callers:
            self.user_ids[role] = self.plane.rows.user(self.id, role)
            self._callers[role] = self.plane.caller(self.plane.rows.token(self.user_ids[role]))
        return self._callers[role]

    @property
    def user(self) -> Caller:
        """An operator, who may do what most tests need."""
        return self.as_role("operator")

    def host(self, name: str = "eu-1") -> Agent:
        """A new host with one server instance, and who speaks for it."""
        rows = self.plane.rows
        host_id, key = rows.host(self.id, name)
        return Agent(self.plane.session, self.plane.url, host_id, key, rows.instance(self.id, host_id))

    async def create(self, host: Agent, *, job_type: str = "SERVER_START", **fields: Any) -> Document:
        """A job for that host, which must be accepted."""
        reply = await self.user.post(self.jobs_path, {"type": job_type, "hostId": host.id, **fields})
        assert reply.status == 201, reply
        made: Document = reply.json
        return made

    async def pool(self, **fields: Any) -> Document:
        """A job for whoever takes it first, which must be accepted."""
        reply = await self.user.post(self.jobs_path, {"type": "SEARCH_SINGLE", **fields})
        assert reply.status == 201, reply
        made: Document = reply.json
        return made

    async def show(self, job: Document) -> Document:
        """The job as it is now."""
        reply = await self.user.get(f"{self.jobs_path}/{job['id']}")
        assert reply.status == 200, reply
        shown: Document = reply.json
        return shown

    async def cancel(self, job: Document, body: Any = None) -> Reply:
        return await self.user.post(f"{self.jobs_path}/{job['id']}/cancel", body)

    async def retry(self, job: Document) -> Reply:
        return await self.user.post(f"{self.jobs_path}/{job['id']}/retry")

    async def queue(self, host: Agent) -> Document:
        """The host's own snapshot."""
        reply = await self.user.get(f"{self.path}/hosts/{host.id}/queue")
        assert reply.status == 200, reply
        snapshot: Document = reply.json
        return snapshot

    def parked(self, host: Agent, **declared: Any) -> "AbstractAsyncContextManager[asyncio.Task[Reply]]":
        """A long-poll of that host which the server has parked; left alone, it is given up at the end."""
        return self.parking(host, host.poll(50, **declared))

    @asynccontextmanager
    async def parking(self, host: Agent, asking: Coroutine[Any, Any, Reply]) -> AsyncIterator["asyncio.Task[Reply]"]:
        """The same for a poll in whatever form."""
        poll = asyncio.create_task(asking)
        try:
            async with asyncio.timeout(PATIENCE):
                while not poll.done():
                    if (await self.queue(host))["connections"]:
                        break
            yield poll
        finally:
            poll.cancel()
            await asyncio.gather(poll, return_exceptions=True)

    async def in_line(self, job: Document) -> None:
        """Return when a job that waits for its time has come into line."""
        async with asyncio.timeout(PATIENCE):
            while True:
                if (await self.show(job))["jobRuns"][-1]["status"] != "scheduled":
                    return

    @asynccontextmanager
    async def watch(self, **query: Any) -> AsyncIterator[Watch]:
        """A dashboard of this org."""
        headers = {"Authorization": f"Bearer {self.as_role('viewer').token}"}
        url = URL(f"{self.plane.url}/ws").with_query(orgId=self.id, **query)
        async with self.plane.session.ws_connect(url, headers=headers) as socket:
            yield Watch(socket)


class Plane:
    """A running server and how tests reach it."""

    def __init__(self, server: Server, rows: Rows, session: aiohttp.ClientSession) -> None:
        self.server = server
        self.rows = rows
        self.session = session
        self.url = server.url
        self.stranger = self.caller(None)

    def caller(self, token: str | None) -> Caller:
        """Who holds that token."""
        return Caller(self.session, self.url, token)

    def tenant(self) -> Tenant:
        """A new org."""
        return Tenant(self)
