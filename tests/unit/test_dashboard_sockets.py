"""How a dashboard's socket ends: what went wrong on our side is logged, and is not laid at the dashboard's door."""

import asyncio
from collections.abc import Awaitable, Callable
from types import SimpleNamespace
from typing import Any, cast

import pytest

from interlock.errors import Unavailable
from web import dashboards, socketio_peers
from web.links import SocketLimits
from web.socketio_peers import DashboardPeer
from web.socketio_server import Line

PATIENCE = 20.0  # seconds until what should take none is taken to hang
Work = Callable[..., Awaitable[None]]


class Socket:
    """A plain one, from which nothing comes; or `left` says how its reading ends."""

    def __init__(self, left: Exception | None = None) -> None:
        self.code: int | None = None
        self._left = left

    def __aiter__(self) -> "Socket":
        return self

    async def __anext__(self) -> Any:
        if self._left is not None:
            raise self._left
        await asyncio.Event().wait()

    async def close(self, *, code: int) -> None:
        self.code = code


def ends(error: Exception | None = None) -> Work:
    """It returns, or raises that."""

    async def work(*_: Any, **__: Any) -> None:
        if error is not None:
            raise error

    return work


async def stays(*_: Any, **__: Any) -> None:
    """It does not end by itself."""
    await asyncio.Event().wait()


def services() -> Any:
    return SimpleNamespace(stopping=asyncio.Event(), links=SimpleNamespace(limits=SocketLimits()))


@pytest.mark.parametrize(
    ("checker", "sender", "left", "code", "logged"),
    [
        (ends(), stays, None, 1008, False),
        (ends(KeyError("a bug")), stays, None, 1011, True),
        (stays, ends(KeyError("a bug")), None, 1011, True),
        (stays, ends(Unavailable("no stream")), None, 1011, True),
        (stays, stays, KeyError("a bug"), 1011, True),
        (stays, ends(ConnectionResetError()), None, 1000, False),
        (stays, stays, StopAsyncIteration(), 1000, False),
    ],
)
async def test_a_plain_socket_is_closed_with_the_code_of_what_ended_it(
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    checker: Work,
    sender: Any,
    left: Exception | None,
    code: int,
    logged: bool,
) -> None:
    monkeypatch.setattr(dashboards, "until_unwelcome", checker)
    socket = Socket(left)
    async with asyncio.timeout(PATIENCE):
        await dashboards._serve(cast("Any", socket), services(), "org", cast("Any", None), sender())
    assert socket.code == code
    assert ("A dashboard's socket failed" in caplog.text) is logged


@pytest.mark.parametrize(
    ("checker", "sender", "comes_back", "logged"),
    [
        (ends(), stays, False, False),
        (ends(KeyError("a bug")), stays, True, True),
        (stays, ends(KeyError("a bug")), True, True),
        (stays, ends(ConnectionResetError()), True, False),
    ],
)
async def test_who_is_unwelcome_on_socketio_stays_away_and_others_come_back(
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    checker: Work,
    sender: Work,
    comes_back: bool,
    logged: bool,
) -> None:
    monkeypatch.setattr(socketio_peers, "until_unwelcome", checker)
    monkeypatch.setattr(socketio_peers, "tell", sender)
    told = list[bool]()
    line: Any = SimpleNamespace(end=lambda *, comes_back: told.append(comes_back))
    watched = socketio_peers._Watched("org", cast("Any", None), None, replays=False)
    peer = DashboardPeer(services(), line, watched, cast("Any", None))
    async with asyncio.timeout(PATIENCE):
        await peer._serve()
    assert told == [comes_back]
    assert ("A dashboard's socket failed" in caplog.text) is logged


async def test_a_line_that_could_not_send_ends_and_its_peer_comes_back(caplog: pytest.LogCaptureFixture) -> None:
    dropped = asyncio.Event()

    class Server:
        async def send_packet(self, *_: Any) -> None:
            raise KeyError("a bug")

        async def drop(self, *_: Any) -> None:
            dropped.set()

        def queue_of(self, *_: Any) -> None:
            return None

    line = Line(cast("Any", Server()), "eio", "sid", "/")
    line.emit("event", b"{}")
    async with asyncio.timeout(PATIENCE):
        await line.taken()
        await dropped.wait()
    assert "A packet could not be sent" in caplog.text
