"""Clients that begin a request and do not finish it lose the connection, and nobody else notices."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import NamedTuple

import pytest
from aiohttp import web

from runtime.control_plane import ControlPlane
from runtime.settings import Settings
from tests.support.raw import PATIENCE, RawReply, _answer, request
from tests.support.server import Rows
from web.app import make_app
from web.edge import EdgeRunner, Patience

SHORT = Patience(head_seconds=0.2, body_seconds=0.2)
BODY = b'{"type":"SERVER_START","hostId":"%s","payload":{}}'


class Wire(NamedTuple):
    """One connection."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def answer(self) -> RawReply:
        async with asyncio.timeout(PATIENCE):
            return await _answer(self.reader)

    async def rest(self) -> bytes:
        """What comes until the server closes the connection."""
        async with asyncio.timeout(PATIENCE):
            return await self.reader.read()


class Place(NamedTuple):
    """Where to send what."""

    port: int
    user: str
    agent: str
    jobs: str
    poll: str
    body: bytes

    @asynccontextmanager
    async def wire(self) -> AsyncIterator[Wire]:
        wire = Wire(*await asyncio.open_connection("127.0.0.1", self.port))
        try:
            yield wire
        finally:
            wire.writer.close()

    def create(self, *lines: str) -> bytes:
        """The head of a request that creates a job."""
        return request("POST", self.jobs, self.user, *(lines or (f"Content-Length: {len(self.body)}",)))

    def list(self) -> bytes:
        return request("GET", self.jobs, self.user)

    async def time_passes(self) -> None:
        """Return when a connection that is made now has been cut: what was begun before it has had its time."""
        async with self.wire() as wire:
            await wire.rest()

    async def jobs_made(self) -> bytes:
        async with self.wire() as wire:
            await wire.send(self.list())
            return (await wire.answer()).body


@pytest.fixture
async def plane(tmp_path: Path) -> AsyncIterator[ControlPlane]:
    plane = ControlPlane(Settings(data_dir=str(tmp_path / "data"), port=0))
    await plane.start()
    try:
        yield plane
    finally:
        await plane.stop()


@pytest.fixture
async def place(plane: ControlPlane) -> AsyncIterator[Place]:
    """The plane at a second address, where it has little patience."""
    runner = EdgeRunner(make_app(plane.services), patience=SHORT, shutdown_timeout=1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    rows = Rows(plane.settings.data_path)
    org_id = rows.org()
    host_id, key = rows.host(org_id)
    user = rows.token(rows.user(org_id))
    path = f"/api/orgs/{org_id}/jobs"
    port = runner.addresses[0][1]
    yield Place(port, user, key, path, f"/api/agent/hosts/{host_id}/jobs?wait=50", BODY % host_id.encode())
    await runner.cleanup()


async def cut(wire: Wire) -> None:
    """The connection must be answered with a whole problem, and closed."""
    reply = await wire.answer()
    assert (reply.status, reply.code) == (408, "request_timeout")
    assert reply.headers["connection"] == "close"
    assert await wire.rest() == b""


async def test_half_a_body_is_not_waited_for(place: Place) -> None:
    async with place.wire() as wire:
        await wire.send(place.create() + place.body[:20])
        await cut(wire)
    assert await place.jobs_made() == b'{"items":[],"nextCursor":null}'


async def test_a_body_of_which_nothing_came_is_not_waited_for(place: Place) -> None:
    async with place.wire() as wire:
        await wire.send(place.create())
        await cut(wire)


async def test_a_chunked_body_without_an_end_is_not_waited_for(place: Place) -> None:
    async with place.wire() as wire:
        await wire.send(place.create("Transfer-Encoding: chunked") + b"2\r\n{}\r\n")
        await cut(wire)


async def test_one_who_waits_to_be_told_to_continue_is_not_waited_for_either(place: Place) -> None:
    async with place.wire() as wire:
        await wire.send(place.create(f"Content-Length: {len(place.body)}", "Expect: 100-continue"))
        assert (await wire.answer()).status == 100
        await cut(wire)


@pytest.mark.parametrize("head", [False, True])
async def test_a_byte_now_and_then_gains_no_time(place: Place, head: bool) -> None:
    async with place.wire() as wire:
        await wire.send(place.create("Content-Length: 1000000") if not head else b"GET / HTTP/1.1\r\nHost: ")

        async def trickle() -> None:
            while True:
                await wire.send(b"x")
                await asyncio.sleep(0.01)

        trickling = asyncio.create_task(trickle())
        reply = await wire.answer()
        trickling.cancel()
        await asyncio.gather(trickling, return_exceptions=True)
    assert (reply.status, reply.code) == (408, "request_timeout")


@pytest.mark.parametrize("begun", [b"G", b"GET / HTTP/1.1\r\n", b"GET / HTTP/1.1\r\nHost: x\r\nX-Long: y"])
async def test_half_a_head_is_not_waited_for(place: Place, begun: bytes) -> None:
    async with place.wire() as wire:
        await wire.send(begun)
        await cut(wire)


async def test_half_a_head_behind_a_whole_request_is_not_waited_for(place: Place) -> None:
    async with place.wire() as wire:
        await wire.send(place.list())
        assert (await wire.answer()).status == 200
        await wire.send(place.list()[:50])
        await cut(wire)


async def test_a_connection_on_which_nothing_was_ever_said_is_closed_without_a_word(place: Place) -> None:
    async with place.wire() as wire:
        assert await wire.rest() == b""


async def test_a_connection_that_has_proved_itself_may_rest(place: Place) -> None:
    async with place.wire() as wire:
        for _ in range(2):
            await wire.send(place.list())
            assert (await wire.answer()).status == 200
            await place.time_passes()
        await wire.send(place.create() + place.body)
        assert (await wire.answer()).status == 201


async def test_a_parked_poll_is_not_cut_and_gets_its_job(place: Place) -> None:
    async with place.wire() as agent:
        await agent.send(request("GET", place.poll, place.agent))
        await place.time_passes()
        async with place.wire() as user:
            await user.send(place.create() + place.body)
            assert (await user.answer()).status == 201
        assert (await agent.answer()).status == 200


async def test_what_comes_in_pieces_but_in_time_is_served(place: Place, plane: ControlPlane) -> None:
    patient = place._replace(port=int(plane.url.rpartition(":")[2]))
    whole = place.create() + place.body
    async with patient.wire() as wire:
        for at in range(0, len(whole), 40):
            await wire.send(whole[at : at + 40])
            await asyncio.sleep(0)
        assert (await wire.answer()).status == 201


async def test_requests_that_come_all_at_once_are_all_answered(place: Place, plane: ControlPlane) -> None:
    """More of them than a connection keeps waiting, some with bodies that reading is paused for."""
    patient = place._replace(port=int(plane.url.rpartition(":")[2]))
    large = place.body[:-1] + b" " * 700_000 + b"}"
    bodies = [large if number % 25 == 0 else place.body for number in range(100)]
    heads = [place.create(f"Content-Length: {len(body)}") for body in bodies]
    async with patient.wire() as wire:
        sending = asyncio.create_task(wire.send(b"".join(map(bytes.__add__, heads, bodies))))
        assert [(await wire.answer()).status for _ in bodies] == [201] * 100
        await sending
    pieces = [body[at : at + 50_000] for body in bodies[:26] for at in range(0, len(body), 50_000)]
    async with patient.wire() as wire:
        chunked = place.create("Transfer-Encoding: chunked")
        for piece in pieces:
            await wire.send(chunked if piece.startswith(b'{"type"') else b"")
            await wire.send(b"%x\r\n%s\r\n" % (len(piece), piece))
            if piece.endswith(b"}"):
                await wire.send(b"0\r\n\r\n")
                assert (await wire.answer()).status == 201


async def test_many_who_do_not_finish_hold_up_nobody_and_leave_nothing(
    place: Place, caplog: pytest.LogCaptureFixture
) -> None:
    before = len(asyncio.all_tasks())
    wires = [Wire(*await asyncio.open_connection("127.0.0.1", place.port)) for _ in range(60)]
    begun = [place.create() + place.body[:9], place.list()[:30], b""]
    for number, wire in enumerate(wires):
        await wire.send(begun[number % 3])
    assert b'"items":[]' in await place.jobs_made()
    for wire in wires:
        await wire.rest()
        wire.writer.close()
    await place.time_passes()
    assert len(asyncio.all_tasks()) <= before + 1
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []
