"""What looks again and again goes on whatever a look raises, and can be ended at any time."""

import asyncio
from typing import Any, cast

import pytest
from aiohttp import web

from interlock.errors import Unavailable
from web import deadlines, links
from web.app import _running
from web.deadlines import Deadlines
from web.links import Links, SocketLimits
from web.looks import keep_looking
from web.revocations import Revocations

PATIENCE = 20.0  # seconds until what should take none is taken to hang
SOON = 0.001


class Looks:
    """The first one raises; the third is told."""

    def __init__(self, error: Exception) -> None:
        self._error = error
        self.number = 0
        self.third = asyncio.Event()

    def __call__(self, *_: Any, **__: Any) -> None:
        self.number += 1
        if self.number == 1:
            raise self._error
        if self.number == 3:
            self.third.set()

    async def awaited(self, *_: Any, **__: Any) -> None:
        self()


class Held:
    """A link."""

    def __init__(self, look: Looks) -> None:
        self.look = look


async def until_third(looks: Looks, watching: Any) -> None:
    """Return when it has looked a third time; then it is ended."""
    task = asyncio.create_task(watching)
    try:
        async with asyncio.timeout(PATIENCE):
            await looks.third.wait()
    finally:
        task.cancel()
        await asyncio.wait({task})
    assert task.cancelled()


@pytest.mark.parametrize("error", [Unavailable("the database is away"), KeyError("a bug")])
async def test_a_look_that_fails_is_logged_and_the_next_one_comes(
    error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    for look in (Looks(error), looks := Looks(error)):
        await until_third(look, keep_looking("test-watch", SOON, look.awaited if look is looks else look))
    assert caplog.text.count("test-watch") == 2


async def test_a_watch_of_deadlines_outlives_a_failure(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(deadlines, "LOOKS", SOON)
    watched, looks = Deadlines(10, lambda: 0.0), Looks(KeyError("a bug"))
    monkeypatch.setattr(watched, "look", looks)
    await until_third(looks, watched.watch())
    assert "A look of the deadline-watch failed" in caplog.text


async def test_a_watch_of_links_outlives_a_failure(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(links, "LOOKS", SOON)
    watched, looks = Links(SocketLimits()), Looks(KeyError("a bug"))
    with watched.holding(cast("Any", Held(looks))):
        await until_third(looks, watched.watch(10))
    assert "A look of the link-watch failed" in caplog.text


@pytest.mark.parametrize("error", [Unavailable("the database is away"), KeyError("a bug")])
async def test_a_watch_of_revocations_outlives_a_failure(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, error: Exception
) -> None:
    watched, looks = Revocations(*cast("Any", (None, None, None))), Looks(error)
    monkeypatch.setattr(watched, "look", looks.awaited)
    await until_third(looks, watched.watch(SOON))
    assert ("A look of the revocation-watch failed" in caplog.text) is isinstance(error, KeyError)


async def test_an_application_ends_although_its_work_has_failed() -> None:
    async def fail() -> None:
        raise KeyError("a bug")

    context = aiter(_running(fail, web.Application()))
    await anext(context)
    with pytest.raises(StopAsyncIteration):
        await anext(context)
