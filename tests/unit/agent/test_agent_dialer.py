"""How often a socket is tried again, by what became of the last one."""

import asyncio
import re
from typing import Any

import pytest

from interlock.agent import AgentSettings
from interlock.agent.dialer import Dialer
from interlock.agent.link import Link
from interlock.clock import Clock
from interlock.errors import InterlockError, Superseded, Unauthenticated, Unavailable
from tests.unit.agent.test_agent_pace import FixedClock

SETTINGS = AgentSettings(retry_base_seconds=1.0, retry_cap_seconds=8.0, key_retry_seconds=100.0)


class Socket:
    """One that ends at once."""

    async def close(self) -> bool:
        return True

    def __aiter__(self) -> "Socket":
        return self

    async def __anext__(self) -> Any:
        raise StopAsyncIteration


class Plane:
    """Gives a socket, or says no, as told; then the test is over."""

    def __init__(self, *answers: Exception | None) -> None:
        self.answers = list(answers)
        self.over = asyncio.Event()

    async def upgrade(self, instance_id: str, running: list[str]) -> Socket:
        assert (instance_id, running) == ("instance", ["run"])
        if not self.answers:
            self.over.set()
            await asyncio.Event().wait()
        answer = self.answers.pop(0)
        if answer is not None:
            raise answer
        return Socket()


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    """No pause is really made; the log tells them."""

    async def no_sleep(_: float) -> None:
        return None

    monkeypatch.setattr(asyncio, "sleep", no_sleep)
    return caplog


async def pauses(caplog: pytest.LogCaptureFixture, plane: Plane, *, proven: bool = False) -> list[float]:
    """Seconds between the attempts."""
    clock: Clock = FixedClock(1.0)
    dialer = Dialer(plane, SETTINGS, clock, "instance", lambda *_: None)  # type: ignore[arg-type]
    opened = dialer._open

    async def open_and_prove(running: list[str]) -> InterlockError:
        error = await opened(running)
        if dialer.link is not None:
            dialer.link.proven = proven
        return error

    dialer._open = open_and_prove  # type: ignore[method-assign]
    keeping = asyncio.create_task(dialer.keep(lambda: ["run"]))
    await plane.over.wait()
    keeping.cancel()
    await asyncio.gather(keeping, return_exceptions=True)
    return [float(each) for each in re.findall(r"again in ([\d.]+) s", caplog.text)]


async def test_refusals_in_a_row_are_further_and_further_apart(waits: pytest.LogCaptureFixture) -> None:
    plane = Plane(*[Unavailable("no", retry_after=0.0)] * 5)
    assert await pauses(waits, plane) == [1.0, 2.0, 4.0, 8.0, 8.0]


async def test_sockets_that_end_before_anything_was_answered_are_no_better_than_refusals(
    waits: pytest.LogCaptureFixture,
) -> None:
    assert await pauses(waits, Plane(None, None, None)) == [1.0, 2.0, 4.0]


async def test_a_socket_that_has_worked_is_opened_again_soon(waits: pytest.LogCaptureFixture) -> None:
    plane = Plane(Unavailable("no", retry_after=0.0), None, None)
    assert await pauses(waits, plane, proven=True) == [1.0, 1.0, 1.0]


async def test_an_unexpected_error_is_told_and_does_not_end_the_attempts(waits: pytest.LogCaptureFixture) -> None:
    assert await pauses(waits, Plane(ValueError("what?"), None)) == [1.0, 2.0]
    assert "ValueError: what?" in waits.text


async def test_the_server_is_left_alone_for_as_long_as_it_asks(waits: pytest.LogCaptureFixture) -> None:
    assert await pauses(waits, Plane(Unavailable("busy", retry_after=30.0))) == [38.0]


async def test_a_refused_key_is_tried_slowly(waits: pytest.LogCaptureFixture) -> None:
    assert await pauses(waits, Plane(Unauthenticated("no"))) == [150.0]


async def test_those_who_supersede_each_other_come_further_and_further_apart(
    waits: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def superseded(link: Link, on_push: object) -> None:
        del on_push
        link.farewell = Superseded("a newer one")
        link.close()

    monkeypatch.setattr(Link, "read", superseded)
    assert await pauses(waits, Plane(None, None, None), proven=True) == [1.0, 2.0, 4.0]
