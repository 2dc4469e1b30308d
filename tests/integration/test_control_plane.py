"""A server is stopped part by part, and what kept it from starting is what is told."""

import asyncio
from pathlib import Path

import pytest

from runtime.control_plane import ControlPlane
from runtime.redis_link import BadRedisUrl
from runtime.settings import Settings
from runtime.sweep import Sweep


def plane_in(folder: Path) -> ControlPlane:
    return ControlPlane(Settings(data_dir=str(folder), port=0))


async def test_a_part_that_cannot_be_stopped_keeps_no_other_from_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    stop, plane = Sweep.stop, plane_in(tmp_path)

    async def fail(sweep: Sweep) -> None:
        await stop(sweep)
        raise KeyError("a bug")

    monkeypatch.setattr(Sweep, "stop", fail)
    await plane.start()
    with pytest.raises(KeyError):
        await plane.stop()
    await plane.stop()
    assert "The sweep could not be stopped" in caplog.text
    monkeypatch.undo()
    other = plane_in(tmp_path)  # what holds the data folder would keep it from starting
    await other.start()
    await other.stop()


async def test_a_server_that_cannot_be_built_says_why_and_lets_go(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise BadRedisUrl("there is no such thing")

    monkeypatch.setattr("runtime.control_plane.build_parts", refuse)
    plane = plane_in(tmp_path)
    with pytest.raises(BadRedisUrl):
        await plane.start()
    await plane.stop()
    monkeypatch.undo()
    other = plane_in(tmp_path)
    await other.start()
    await other.stop()


def test_one_that_was_never_started_can_be_stopped(tmp_path: Path) -> None:
    async def stop_twice() -> None:
        plane = plane_in(tmp_path)
        for _ in range(2):
            await plane.stop()

    asyncio.run(stop_twice())
    assert list(tmp_path.iterdir()) == []  # nothing was made
