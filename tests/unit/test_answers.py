"""The short way of an answer says what aiohttp's own way says, and steps aside for all that is not plain."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from web.answers import Answer

BODY = '{"a":"é"}'.encode() * 50
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Place:
    """A server with one handler at a time."""

    def __init__(self) -> None:
        self.handler: Handler
        self.short: list[bool] = []

    async def answer(self, request: web.Request) -> web.StreamResponse:
        response = await self.handler(request)
        await response.prepare(request)
        self.short.append(isinstance(response, Answer) and response._payload_writer is None)
        return response


@pytest.fixture
async def place() -> AsyncIterator[tuple[Place, "TestClient[web.Request, web.Application]"]]:
    made, app = Place(), web.Application()
    app.router.add_route("*", "/", made.answer)
    async with TestClient(TestServer(app)) as client:
        yield made, client


Both = tuple[Place, "TestClient[web.Request, web.Application]"]


def _answer(**values: object) -> Handler:
    async def handler(_: web.Request) -> web.StreamResponse:
        answer = Answer(BODY, status=201, headers={"Location": "/x"})
        answer.headers["X-Request-Id"] = "mine"
        for name, value in values.items():
            setattr(answer, name, value)
        return answer

    return handler


async def _aiohttps(_: web.Request) -> web.StreamResponse:
    headers = {"Location": "/x", "X-Request-Id": "mine"}
    return web.Response(body=BODY, status=201, headers=headers, content_type="application/json")


async def test_both_ways_say_the_same(place: Both) -> None:
    made, client = place
    said = []
    for made.handler in (_answer(), _aiohttps):
        for _ in range(3):
            reply = await client.post("/", data=b"{}")
            headers = {name: value for name, value in reply.headers.items() if name not in {"Date", "Server"}}
            said.append(
                (reply.status, reply.reason, reply.version, headers, await reply.read(), "Date" in reply.headers)
            )
    assert all(each == said[0] for each in said)
    assert made.short == [True] * 3 + [False] * 3


async def test_the_connection_is_kept(place: Both) -> None:
    made, client = place
    ports = set()

    async def handler(request: web.Request) -> web.StreamResponse:
        assert request.transport is not None
        ports.add(request.transport.get_extra_info("peername"))
        return await _answer()(request)

    made.handler = handler
    for _ in range(3):
        await (await client.get("/")).read()
    assert len(ports) == 1


@pytest.mark.parametrize(("version", "wish"), [(aiohttp.HttpVersion11, "close"), (aiohttp.HttpVersion10, "keep-alive")])
async def test_unusual_wishes_about_the_connection_take_the_other_way(
    place: Both, version: aiohttp.HttpVersion, wish: str
) -> None:
    made, client = place
    made.handler = _answer()
    async with aiohttp.ClientSession(version=version) as session:
        reply = await session.get(client.make_url("/"), headers={"Connection": wish})
        assert (reply.status, await reply.read()) == (201, BODY)
        assert reply.headers["Connection"] == wish
    assert made.short == [False]


async def test_another_body_or_an_encoding_takes_the_other_way(place: Both) -> None:
    made, client = place
    made.handler = _answer(body=b"[]")
    assert await (await client.get("/")).read() == b"[]"
    assert made.short == [False]

    async def packed(request: web.Request) -> web.StreamResponse:
        answer = await _answer()(request)
        answer.enable_compression(web.ContentCoding.gzip)
        return answer

    made.handler = packed
    reply = await client.get("/")
    assert (reply.headers["Content-Encoding"], await reply.read()) == ("gzip", BODY)
    assert made.short == [False, False]


async def test_a_connection_that_has_gone_is_an_error_as_ever(place: Both) -> None:
    made, client = place
    raised: list[BaseException] = []

    async def gone(request: web.Request) -> web.StreamResponse:
        assert request.transport is not None
        request.transport.close()
        answer = Answer(BODY)
        try:
            await answer.prepare(request)
            await answer.write_eof()
        except ConnectionError as error:
            raised.append(error)
            raise
        return answer

    made.handler = gone
    with pytest.raises(aiohttp.ClientError):
        await client.get("/")
    assert len(raised) == 1


async def test_what_was_written_at_once_is_not_written_again_by_its_handlers_end(place: Both) -> None:
    made, client = place
    written: list[bool] = []

    async def before_its_task_goes_on(request: web.Request) -> web.StreamResponse:
        answer = Answer(BODY)
        asyncio.get_running_loop().call_soon(lambda: written.append(answer.write_at_once(request)))
        await asyncio.sleep(0)
        return answer

    made.handler = before_its_task_goes_on
    for _ in range(2):
        assert await (await client.get("/")).read() == BODY
        assert written.pop()


async def test_what_cannot_be_written_at_once_is_left_to_aiohttp(place: Both) -> None:
    made, client = place
    written: list[bool] = []

    async def in_the_way(request: web.Request) -> web.StreamResponse:
        answer = Answer(BODY)
        answer.enable_compression(web.ContentCoding.gzip)
        written.append(answer.write_at_once(request))
        return answer

    made.handler = in_the_way
    assert await (await client.get("/")).read() == BODY
    assert written == [False]
