"""A server process that can be killed, stopped and started again; ended by its own handle and nothing else."""

import asyncio
import contextlib
import os
import signal
import socket
import sys
from asyncio.subprocess import DEVNULL, STDOUT, Process
from collections.abc import Mapping, Sequence
from pathlib import Path

from chaos_rig.errors import RigFailed
from chaos_rig.history import Fault, History, Recovered, now

PORTS_APART = 50  # of two rigs that were started one after the other: more than either takes
READY_SECONDS = 60.0  # until a server that is started over and over must answer /readyz
LOOK_SECONDS = 0.02  # between two looks at /readyz
STOP_SECONDS = 30.0  # between SIGTERM and SIGKILL
_TAIL = 3000  # characters of a log shown with a failure
_WITHOUT_DATABASE = (
    "has been without its database"  # rightly: it was paused, or PostgreSQL was stopped, once it came back
)
_WITHOUT_WRITER = "The writing process has ended"  # as often as the rig has killed it
SCRIPTS = Path(__file__).parents[1]
INTERLOCK = str(Path(sys.executable).with_name("interlock"))


class Node:
    """One `interlock serve` on a port of its own, the same from start to start."""

    def __init__(
        self, name: str, data_dir: Path, log: Path, history: History, options: Sequence[str], environ: Mapping[str, str]
    ) -> None:
        self.name = name
        self.data_dir = data_dir
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.log = log
        self.paused = False
        self.mutant = ""
        self.fragile = False  # it may end by itself, and is started again: its database may be away
        self._history = history
        self._options = options
        self._environ = environ
        self._process: Process | None = None
        self._broken: tuple[str, int] | None = None  # the last fault that nothing was answered after, and its end
        self._writers_killed = 0

    @property
    def command(self) -> list[str]:
        """What is run; with a planted bug, by the launcher that plants it."""
        launcher = [sys.executable, "-m", "chaos_rig.planted", self.mutant] if self.mutant else [INTERLOCK]
        where = ("--host", "127.0.0.1", "--port", str(self.port), "--data-dir", str(self.data_dir))
        return [*launcher, "serve", *where, *self._options]

    async def spawn(self) -> None:
        """Start the process, without waiting for it."""
        path = os.pathsep.join([str(SCRIPTS), *filter(None, [os.environ.get("PYTHONPATH")])])
        environ = {**os.environ, **self._environ, "PYTHONPATH": path}
        with self.log.open("ab") as sink:
            self._process = await asyncio.create_subprocess_exec(
                *self.command, stdin=DEVNULL, stdout=sink, stderr=STDOUT, env=environ, start_new_session=True
            )

    async def ready(self) -> None:
        """Return when /readyz says yes; a fragile one that ends by itself meanwhile is started again."""
        deadline = asyncio.get_running_loop().time() + READY_SECONDS
        while not await self._says_ready():
            if self._process is None or self._process.returncode is not None:
                if not self.fragile:
                    raise RigFailed(f"Node {self.name} ended by itself:\n{self.tail()}")
                await self.spawn()
            if asyncio.get_running_loop().time() > deadline:
                raise RigFailed(f"Node {self.name} was not ready within {READY_SECONDS:g} s:\n{self.tail()}")
            await asyncio.sleep(LOOK_SECONDS)

    async def kill(self) -> None:
        """SIGKILL; return when it is gone."""
        self._expect_alive()
        self._history.note(Fault(at=now(), kind="kill", target=self.name))
        self._broken = "kill", now()
        self.paused = False
        if self._process is not None:
            send(self._process, signal.SIGKILL)
            await self._process.wait()

    def kill_writer(self) -> None:
        """SIGKILL to the process that writes for it: from then on it does without."""
        self._expect_alive()
        for pid in [] if self._process is None else _children(self._process.pid):
            self._history.note(Fault(at=now(), kind="writer", target=self.name))
            self._broken = "writer", now()
            self._writers_killed += 1
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def pause(self, seconds: float) -> None:
        """SIGSTOP."""
        self._expect_alive()
        self._history.note(Fault(at=now(), kind="pause", target=self.name, seconds=round(seconds, 3)))
        self.paused = True
        if self._process is not None:
            send(self._process, signal.SIGSTOP)

    def resume(self) -> None:
        """SIGCONT."""
        if self.paused and self._process is not None:
            self._broken = "pause", now()
            self.paused = False
            send(self._process, signal.SIGCONT)

    def hurt(self, kind: str) -> None:
        """What it rests on was away until now."""
        self._broken = kind, now()

    def committed(self) -> None:
        """It has given an answer that rests on a commit: it works."""
        if self._broken is not None and not self.paused:
            (kind, since), self._broken = self._broken, None
            self._history.note(Recovered(at=now(), node=self.name, kind=kind, seconds=round((now() - since) / 1e9, 3)))

    async def end(self) -> None:
        """SIGTERM, and SIGKILL if that does not do."""
        process = self._process
        if process is None or process.returncode is not None:
            return
        self.resume()
        send(process, signal.SIGTERM)
        try:
            async with asyncio.timeout(STOP_SECONDS):
                code = await process.wait()
        except TimeoutError:
            self._history.wrong(f"node {self.name}", f"did not stop within {STOP_SECONDS:g} s of SIGTERM")
            self.destroy()
            return
        if code != 0:
            self._history.wrong(f"node {self.name}", f"ended with {code} after SIGTERM")

    def destroy(self) -> None:
        """SIGKILL now: the rig itself is ending."""
        if self._process is not None and self._process.returncode is None:
            send(self._process, signal.SIGKILL)

    def complaints(self) -> list[str]:
        """Lines of its log that name an unexpected error."""
        lines = self.log.read_text(encoding="utf-8", errors="replace").splitlines() if self.log.exists() else []
        words = ("Traceback", '"level":"error"', '"level":"critical"', " ERROR ", " CRITICAL ")
        found = [line for line in lines if any(word in line for word in words) and _WITHOUT_DATABASE not in line]
        ended = [line for line in found if _WITHOUT_WRITER in line]
        return [line for line in found if line not in ended] + ended[self._writers_killed :]

    def tail(self) -> str:
        """The end of its log."""
        return self.log.read_text(encoding="utf-8", errors="replace")[-_TAIL:] if self.log.exists() else ""

    def _expect_alive(self) -> None:
        if self._process is not None and self._process.returncode is not None and not self.fragile:
            self._history.wrong(f"node {self.name}", f"ended by itself with {self._process.returncode}: {self.tail()}")

    async def _says_ready(self) -> bool:
        """Asked by hand: nothing is kept open towards a process that is about to be killed."""
        with contextlib.suppress(OSError, TimeoutError, asyncio.IncompleteReadError):
            async with asyncio.timeout(1.0):
                reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
                try:
                    writer.write(b"GET /readyz HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n")
                    return b" 200 " in await reader.readline()
                finally:
                    writer.close()
        return False


def send(process: Process, number: signal.Signals) -> None:
    """Signal a child that has not ended. The library's own way would reap it behind asyncio's back."""
    if process.returncode is None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(process.pid, number)


def free_port() -> int:
    """A loopback port below the range from which outgoing connections take theirs: it stays free between two starts.

    Rigs that run side by side begin far apart: a port is free for others, too, while its server is being restarted.
    """
    for port in range(21_000 + os.getpid() * PORTS_APART % 10_000, 32_000):
        if port in _GIVEN:
            continue
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            _GIVEN.add(port)
            return port
    raise RigFailed("There is no free port")


_GIVEN: set[int] = set()


def _children(pid: int) -> list[int]:
    """Of a server: the process that writes for it. None where the system does not tell, or when it has ended."""
    try:
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split()]
    except OSError:
        return []
