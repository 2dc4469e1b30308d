"""An agent in the test's own process, against a fake control plane or a real one, running real commands."""

import asyncio
import os
import re
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec

from interlock.agent import Agent, AgentSettings, CommandSpec, command_handlers
from interlock.agent.identity import PROC
from tests.support.fake_plane import FakePlane, Run

CLI = ["-c", "from interlock.cli import main; main()", "agent"]
QUICK = {"transport": "poll", "poll_spacing_seconds": 0.01, "log_interval_seconds": 0.01, "retry_base_seconds": 0.01}
FAST = AgentSettings(
    transport="poll",
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
        self._address = (url, key)
        self.commands: dict[str, CommandSpec] = {}
        self.settings = FAST

    @property
    def address(self) -> tuple[str, str]:
        """The server's URL and the agent's key."""
        return self._address

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
        url, key = self.address
        return Agent(url, key, state_dir=self.state, handlers=handlers, settings=self.settings)

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

    @asynccontextmanager
    async def process(self, program: Sequence[str] = CLI, **settings: Any) -> AsyncIterator[Process]:
        """The agent in a process of its own, with these settings beside `QUICK`; killed at the end if it still lives."""
        url, key = self.address
        options = ["--url", url, "--config", str(self.toml({**QUICK, **settings})), "--state-dir", str(self.state)]
        path = os.pathsep.join(part for part in sys.path if part)
        environ = {**os.environ, "PYTHONPATH": path, "INTERLOCK_AGENT_KEY": key}
        child = await asyncio.create_subprocess_exec(sys.executable, *program, *options, env=environ, stderr=PIPE)
        try:
            yield child
        finally:
            if child.returncode is None:
                child.kill()
            await child.communicate()

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

    @property
    def address(self) -> tuple[str, str]:
        return self.plane.url, self.plane.key

    async def finish(self, job_type: str = "WORK", payload: object = None, *, timeout_seconds: float = 60.0) -> Run:
        """One job from its creation to its report."""
        async with self.running():
            run = await self.plane.add(job_type, payload, timeout_seconds=timeout_seconds)
            return await self.plane.ended(run)

    async def said(self, run: Run, pattern: str) -> str:
        """Wait until the command has printed a line that matches; the first group of it."""

        def found() -> str | None:
            matches = (re.fullmatch(pattern, line) for line in run.log_text)
            return next((match[1] for match in matches if match), None)

        await self.plane.until(found)
        return found() or ""


def _toml(value: Any) -> str:
    return msgspec.json.encode(value).decode()  # for strings, numbers, booleans and lists the two agree
