"""`interlock agent` in processes of their own: killed, stopped and started again on the same state directory."""

import asyncio
import contextlib
import os
import random
import signal
import sys
from asyncio.subprocess import DEVNULL, STDOUT, Process
from pathlib import Path

import msgspec

from chaos_rig.cast import Seat
from chaos_rig.history import Fault, History, now
from chaos_rig.nodes import INTERLOCK, send
from chaos_rig.work import TYPES

LIFE_SECONDS = (2.0, 10.0)  # until something happens to an agent
PAUSES = 0.3  # of what happens: it is stopped, not killed
PAUSE_SECONDS = (0.2, 6.0)
STOP_SECONDS = 20.0
_ERRAND = Path(__file__).with_name("errand.py")
_SETTINGS = """[agent]
poll_wait_seconds = 2
poll_spacing_seconds = 0.05
heartbeat_seconds = 0.5
request_timeout_seconds = 2
retry_base_seconds = 0.05
retry_cap_seconds = 0.3
grace_seconds = 0.5
log_interval_seconds = 0.2
"""


class CommandAgent:
    """The reference agent of one host."""

    def __init__(self, seat: Seat, url: str, folder: Path, history: History, seed: int) -> None:
        self.diary = folder / "diary.jsonl"
        self._seat = seat
        self._name = folder.name
        self._folder = folder
        self._history = history
        self._chance = random.Random(seed)  # noqa: S311 - which moments, not secrets
        self._calm = asyncio.Event()
        self._environ = {**os.environ, "INTERLOCK_URL": url, "INTERLOCK_AGENT_KEY": seat.key}
        folder.mkdir()
        self.diary.touch()
        command = [sys.executable, "-I", "-S", str(_ERRAND), str(self.diary), str(folder / "lock"), seat.id]
        words = msgspec.json.encode(command).decode()
        handlers = "".join(f"[handlers.{name}]\ncommand = {words}\n" for name in TYPES)
        (folder / "agent.toml").write_text(_SETTINGS + handlers)

    def calm(self) -> None:
        """No more mishaps from here on."""
        self._calm.set()

    async def run(self) -> None:
        """Until cancelled; then SIGTERM, and SIGKILL if that does not do."""
        while True:
            process = await self._spawn()
            try:
                await self._live(process)
            finally:
                await self._end(process)

    async def _spawn(self) -> Process:
        with (self._folder / "agent.log").open("ab") as sink:
            return await asyncio.create_subprocess_exec(
                *(INTERLOCK, "agent", "--config", str(self._folder / "agent.toml")),
                *("--state-dir", str(self._folder / "state")),
                stdin=DEVNULL,
                stdout=sink,
                stderr=STDOUT,
                env=self._environ,
                start_new_session=True,
            )

    async def _live(self, process: Process) -> None:
        """Return when it is gone."""
        while True:
            if await self._left_alone(process, self._chance.uniform(*LIFE_SECONDS)):
                self._history.wrong(self._name, f"an agent ended by itself with {process.returncode}")
                return
            seconds = self._chance.uniform(*PAUSE_SECONDS) if self._chance.random() < PAUSES else 0.0
            self._history.note(Fault(at=now(), kind="vanish", target=self._seat.id, seconds=round(seconds, 3)))
            if not seconds:
                send(process, signal.SIGKILL)
                return
            send(process, signal.SIGSTOP)
            try:
                await asyncio.sleep(seconds)
            finally:
                send(process, signal.SIGCONT)

    async def _left_alone(self, process: Process, seconds: float) -> bool:
        """Whether it has ended by itself within the time, or ever once it is calm."""
        waits = [asyncio.create_task(process.wait()), asyncio.create_task(self._calm.wait())]
        try:
            await asyncio.wait(waits, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
            if self._calm.is_set():
                await process.wait()
        finally:
            for wait in waits:
                wait.cancel()
        return process.returncode is not None

    async def _end(self, process: Process) -> None:
        """Also when it has been killed: then there is nothing left to do."""
        for order in (signal.SIGTERM, signal.SIGKILL):
            send(process, order)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(STOP_SECONDS):
                    await process.wait()
                    return
