"""A run: requests, then frames, then a look at what is left of them."""

import asyncio
import random
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import aiohttp

from fuzzer.crowd import Crowd, gather
from fuzzer.frames import SOCKETS, Frames
from fuzzer.requests import Hostile, Requests
from fuzzer.vitals import Vitals, look, settled
from fuzzer.wire import Reply, Wire
from fuzzer.words import happens
from tests.support.callers import Plane
from tests.support.reality import disagreements
from tests.support.server import Rows, Server

SETTINGS: dict[str, float] = {  # so that nobody waits long, and passwords cost little
    "passivate_after_seconds": 1,
    "offline_after_seconds": 2,
    "poll_wait_max_seconds": 1,
    "job_wait_max_seconds": 1,
    "socket_auth_seconds": 1,
    "request_head_seconds": 2,
    "request_body_seconds": 2,
    "sign_ins_per_address": 0,
    "password_memory_mib": 8,
    "password_passes": 1,
    "event_history": 1000,
}
ANSWER_SECONDS = 8.0  # then an answer is missing
SETTLE_SECONDS = 40.0  # until nothing may be left
A_CROWD_FOR = 1500  # requests: by then much of it is deleted and revoked
A_TALK = 40  # frames on one socket at most
WIRES = 8  # connections at once
SERVER_ERROR = 500
# What is said, with 503, to a report that crosses the deletion of its host: come again, and be told that the key is revoked.
RACES = (b"The host's actor is being rebuilt from its rows",)
MOST_RACES = 0.001  # of all answers


class Sizes(NamedTuple):
    """How much is sent, and by how much the memory (RSS) may grow in the second half of the requests: by `growth_bytes` for
    each, and by `slack_mib` once, for what happens to be under way at a look.

    What is kept for each new organization, of which there is one every 750 requests, is 100 bytes a request: its newest
    events and what is remembered of rows, all of it bounded. Before leaks were mended and glibc was told to give back what
    was freed, it were 300 to 1,000.
    """

    requests: int = 50_000
    frames: int = 10_000
    seed: int = 1
    growth_bytes: float = 200
    slack_mib: float = 4

    @property
    def growth_mib(self) -> float:
        """What the memory may grow by in the second half."""
        return self.slack_mib + self.growth_bytes * (self.requests - self.requests // 2) / 2**20


@dataclass
class Outcome:
    """What came of it; `findings` are what should not be, with the request where there is one."""

    statuses: Counter[int] = field(default_factory=Counter)
    frames: int = 0
    talks: int = 0
    races: int = 0  # answers 503 to what crossed something that ended it
    closed: int = 0  # answers that did not come since the server closed the connection
    findings: list[str] = field(default_factory=list)
    vitals: dict[str, Vitals] = field(default_factory=dict)
    seconds: float = 0

    @property
    def requests(self) -> int:
        """How many were answered, or cut off."""
        return sum(self.statuses.values()) + self.closed


class Fuzz:
    """One server and who is at it."""

    def __init__(self, server: Server, plane: Plane, document: dict[str, Any], sizes: Sizes) -> None:
        self._server, self._plane, self._sizes = server, plane, sizes
        self._requests = Requests(document, server.url)
        self._frames = Frames(document)
        self._crowds: list[Crowd] = []
        self.outcome = Outcome()

    async def run(self) -> Outcome:
        """All of it."""
        began = time.monotonic()
        await self._wake_socketio()
        start = await self._look("at the start")
        half = self._sizes.requests // 2
        await self._send_requests(0, half)
        await self._look("half-way")
        await self._send_requests(half, self._sizes.requests)
        after = await self._look("after the requests")
        grown = after.rss_mib - self.outcome.vitals["half-way"].rss_mib
        if grown > self._sizes.growth_mib:
            self.outcome.findings.append(
                f"The memory has grown by {grown:.0f} MiB in the second half of the requests, "
                f"and not by {self._sizes.growth_mib:.0f} at most"
            )
        await self._send_frames()
        await self._look("after the frames")
        await self._all_cancelled()
        end = await settled(self._server.url, self._server.pid, start, SETTLE_SECONDS)
        self.outcome.vitals["at the end"] = end
        if self.outcome.races > self._sizes.requests * MOST_RACES + 1:
            self.outcome.findings.append(f"{self.outcome.races} reports crossed the deletion of their host: too many")
        if left := end.beyond(start):
            self.outcome.findings += [*left, await self._actors()]
        self.outcome.findings += await self._health()
        self.outcome.findings += [f"The log says: {line[:1500]}" for line in self._server.tracebacks()[:10]]
        self.outcome.seconds = time.monotonic() - began
        return self.outcome

    async def _wake_socketio(self) -> None:
        """Its library begins a task with the first visitor, for all who follow. Nobody is let in before there are accounts."""
        await self._fresh_crowd()
        wire = Wire(self._server.port)
        await wire.upgrade(SOCKETS["socketio"][0], None, ANSWER_SECONDS)
        await wire.close()
        await asyncio.sleep(SETTINGS["socket_auth_seconds"])

    async def _look(self, when: str) -> Vitals:
        now = self.outcome.vitals[when] = await look(self._server.url, self._server.pid)
        return now

    async def _send_requests(self, first: int, last: int) -> None:
        for begin in range(first, last, A_CROWD_FOR):
            crowd = await self._fresh_crowd()
            numbers = iter(range(begin, min(begin + A_CROWD_FOR, last)))
            await asyncio.gather(*(self._ask(numbers, crowd) for _ in range(WIRES)))

    async def _ask(self, numbers: Any, crowd: Crowd) -> None:
        wire = Wire(self._server.port)
        for number in numbers:
            hostile = self._requests.make(random.Random(f"{self._sizes.seed}:{number}"), crowd)  # noqa: S311 - to be repeated
            reply = await wire.ask(hostile.data, hostile.method, ANSWER_SECONDS)
            self._judge(hostile, reply, late=wire.late)
            if not hostile.sound:
                await wire.close()  # what is left of it would be taken for the next request
        await wire.close()

    def _judge(self, hostile: Hostile, reply: Reply | None, *, late: bool) -> None:
        if reply is None:
            self.outcome.closed += 1
            if late and hostile.sound:
                self.outcome.findings.append(f"No answer within {ANSWER_SECONDS:g} s to {hostile}")
            return
        self.outcome.statuses[reply.status] += 1
        if reply.status >= SERVER_ERROR and any(text in reply.body for text in RACES):
            self.outcome.races += 1
        elif reply.status >= SERVER_ERROR:
            self.outcome.findings.append(f"{reply.status} {reply.body[:300]!r} to {hostile}")
        elif hostile.sound and hostile.method != "HEAD" and "content-encoding" not in reply.headers:
            headers = {"Content-Type": reply.headers.get("content-type", "")}
            path = hostile.path.partition("?")[0]
            said = disagreements(hostile.method, path, reply.status, headers, reply.body)
            self.outcome.findings += [f"{each}, to {hostile}" for each in said]

    async def _send_frames(self) -> None:
        talks = iter(range(self._sizes.frames))
        crowd = await self._fresh_crowd()
        while self.outcome.frames < self._sizes.frames:
            await asyncio.gather(*(self._talk(next(talks), crowd) for _ in range(WIRES)))
            if self.outcome.talks % (WIRES * 20) == 0:
                crowd = await self._fresh_crowd()

    async def _talk(self, number: int, crowd: Crowd) -> None:
        chance = random.Random(f"{self._sizes.seed}:talk:{number}")  # noqa: S311 - to be repeated
        kind = chance.choice(list(SOCKETS))
        path, _ = SOCKETS[kind]
        token = crowd.tokens[{"agent": "agent", "dashboard": "owner"}.get(kind, "agent")]
        wire = Wire(self._server.port)
        self.outcome.talks += 1
        known = token if kind in {"agent", "dashboard"} and happens(chance, 0.9) else None
        if not await wire.upgrade(path.format(org=crowd.ids["org"]), known, ANSWER_SECONDS):
            self.outcome.frames += 1
            return
        said = self._frames.first(kind, chance, crowd)
        said += [self._frames.make(kind, chance, crowd) for _ in range(chance.randint(1, A_TALK))]
        for each in said:
            if not await wire.say(each):
                break
            self.outcome.frames += 1
            await asyncio.sleep(0)
        heard = await wire.heard(chance.choice((0.0, 0.05, 0.2)))
        if b"Traceback" in heard:
            self.outcome.findings.append(f"A socket was told of a traceback: {heard[-500:]!r}")
        await wire.close()

    async def _fresh_crowd(self) -> Crowd:
        crowd = await gather(self._server, self._plane, len(self._crowds))
        self._crowds.append(crowd)
        return crowd

    async def _all_cancelled(self) -> None:
        """Nothing is left to do for any host, so that all of them may leave the memory."""
        for crowd in self._crowds:
            tenant = crowd.own.tenant
            owner = self._plane.caller(self._plane.rows.token(self._plane.rows.user(tenant.id, "owner")))
            reply = await owner.post(f"{tenant.jobs_path}/bulk", {"op": "cancel", "filter": {}, "force": True})
            if reply.status != 200 or reply.json["failed"]:  # noqa: PLR2004 - OK
                self.outcome.findings.append(f"Not all jobs could be cancelled: {reply}")

    async def _actors(self) -> str:
        admin = self._plane.rows.user(self._crowds[0].own.tenant.id, "viewer", platform_admin=True)
        reply = await self._plane.caller(self._plane.rows.token(admin)).get("/debug/actors")
        return f"These live: {reply.body.decode()[:2000]}"

    async def _health(self) -> list[str]:
        """What does not work any more, of what a newcomer would do."""
        for path in ("/healthz", "/readyz"):
            if (reply := await self._plane.stranger.get(path)).status != 200:  # noqa: PLR2004 - OK
                return [f"{path} says {reply}"]
        tenant = self._plane.tenant()
        host = tenant.host()
        job = await tenant.create(host)
        await host.finish((await host.take())["jobRunId"])
        done = await tenant.show(job)
        return [] if done["status"] == "COMPLETED" else [f"A job does not go through any more: {done}"]


async def fuzz(sizes: Sizes, folder: Path | None = None) -> Outcome:
    """A run against a server of its own, whose data are in that folder."""
    with tempfile.TemporaryDirectory() as spare, Server(folder or Path(spare), **SETTINGS) as server:
        connector = aiohttp.TCPConnector(force_close=True)  # what stays open would be counted
        async with aiohttp.ClientSession(connector=connector, auto_decompress=False) as session:
            plane = Plane(server, Rows(server.data_dir), session)
            document = (await plane.stranger.get("/openapi.json")).json
            return await Fuzz(server, plane, document, sizes).run()
