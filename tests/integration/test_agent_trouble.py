"""What the agent's log says when it does not get through."""

import asyncio
import logging
import socket
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.support.agent_rig import FAST, Workplace
from tests.support.fake_plane import Fault, agent_key, new_id
from tests.support.fake_socket import SocketPlane

KEY = agent_key(new_id())


@pytest.fixture
async def plane() -> AsyncIterator[SocketPlane]:
    async with SocketPlane() as plane:
        yield plane


def free_port() -> int:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        return int(held.getsockname()[1])


class Bell(logging.Handler):
    """Sets `rung` once the log has so many lines of a socket that cannot be had."""

    def __init__(self, lines: int) -> None:
        super().__init__()
        self.rung = asyncio.Event()
        self._left = lines

    def emit(self, record: logging.LogRecord) -> None:
        self._left -= record.getMessage().startswith("no socket")
        if self._left <= 0:
            self.rung.set()


async def log_of(url: str, key: str, folder: Path, caplog: pytest.LogCaptureFixture, lines: int = 1) -> list[str]:
    """The warnings of an agent that cannot get through, until there are that many of its socket."""
    caplog.set_level("INFO", logger="interlock")
    place = Workplace(folder, url, key)
    place.settings = FAST
    place.set(transport="auto")
    bell = Bell(lines)
    logging.getLogger("interlock").addHandler(bell)
    try:
        async with place.running(), asyncio.timeout(20):
            await bell.rung.wait()
    finally:
        logging.getLogger("interlock").removeHandler(bell)
    return [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]


async def test_a_refused_socket_shows_the_servers_own_sentence(
    plane: SocketPlane, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    plane.faults["upgrade"].append(Fault(status=401, code="unauthenticated"))
    said = await log_of(plane.url, plane.key, tmp_path, caplog)
    assert said[0].startswith("no socket: the server does not accept this agent key (401")
    assert "without a problem document" not in said[0]


async def test_a_server_that_is_not_there_is_told_plainly_and_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    url = f"http://127.0.0.1:{free_port()}"
    said = await log_of(url, KEY, tmp_path, caplog, lines=3)
    assert all(line.startswith(f"no socket: cannot reach {url}: connection refused; connecting again") for line in said)


async def test_tls_to_a_plain_port_asks_for_the_scheme(
    plane: SocketPlane, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    url = plane.url.replace("http:", "https:")
    (said, *_) = await log_of(url, plane.key, tmp_path, caplog)
    assert said.startswith(f"no socket: cannot reach {url}: no TLS is spoken there")
    assert "is it http://?" in said
