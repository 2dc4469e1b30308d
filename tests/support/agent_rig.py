"""An agent in the test's own process, against a fake control plane or a real one, running real commands."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec

from interlock.agent import Agent, AgentSettings, CommandSpec, command_handlers
from interlock.agent.identity import PROC
from tests.support.fake_plane import FakePlane

FAST = AgentSettings(
    grace_seconds=5.0,
    drain_seconds=20.0,
    pipe_grace_seconds=0.2,
    exit_report_seconds=0.2,
    output_lines=5,
    output_bytes=4096,
    poll_spacing_seconds=0.01,
    heartbeat_seconds=0.05,
    retry_base_seconds=0.01,
    retry_cap_seconds=0.05,
    key_retry_seconds=0.02,
    log_interval_seconds=0.01,
)


def lives(pid: int) -> bool:
    """Whether the process runs; a zombie does not."""
    try:
        return (PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


class Workplace:
    """A state directory and the commands of one host, whose server is at `url` and knows it by `key`."""

    def __init__(self, folder: Path, url: str = "", key: str = "") -> None:
        self.folder = folder
        self.state = folder / "state"
        self.url = url
        self.key = key
        self.commands: dict[str, CommandSpec] = {}
        self.settings = FAST

    def shell(self, script: str, job_type: str = "WORK", **options: Any) -> None:
        """Let `script` do the jobs of that type."""
        self.command(["sh", "-c", script], job_type, **options)

    def python(self, script: str, job_type: str = "WORK", **options: Any) -> None:
        self.command([sys.executable, "-I", "-S", "-c", script], job_type, **options)

    def command(self, command: list[str], job_type: str = "WORK", **options: Any) -> None:
        self.commands[job_type] = CommandSpec(command=command, **{"cwd": str(self.folder), **options})

    def set(self, **settings: Any) -> None:
        self.settings = msgspec.structs.replace(self.settings, **settings)

    def agent(self) -> Agent:
        handlers = command_handlers(self.commands, self.settings, os.environ)
        return Agent(self.url, self.key, state_dir=self.state, handlers=handlers, settings=self.settings)

    @asynccontextmanager
    async def running(self, agent: Agent | None = None) -> AsyncIterator[Agent]:
        """The agent at work; ended without grace afterwards."""
        agent = agent if agent is not None else self.agent()
        task = asyncio.create_task(agent.run())
        try:
            yield agent
        finally:
            for _ in range(3):
                agent.stop()
            await task

    def toml(self, settings: dict[str, Any]) -> Path:
        """The same commands as an agent.toml, for an agent in a process of its own."""
        lines = ["[agent]", *(f"{name} = {_toml(value)}" for name, value in settings.items())]
        for job_type, spec in self.commands.items():
            lines += [f"[handlers.{job_type}]", f"command = {_toml(spec.command)}", f"cwd = {_toml(spec.cwd)}"]
        path = self.folder / "agent.toml"
        path.write_text("\n".join(lines) + "\n")
        return path


class Rig(Workplace):
    """The same with a fake plane."""

    def __init__(self, plane: FakePlane, folder: Path) -> None:
        super().__init__(folder)
        self.plane = plane

    def agent(self) -> Agent:
        self.url, self.key = self.plane.url, self.plane.key
        return super().agent()


def _toml(value: Any) -> str:
    return msgspec.json.encode(value).decode()  # for strings, numbers, booleans and lists the two agree
