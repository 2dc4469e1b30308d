"""The bench's own child processes: servers and drivers. Each is ended by its own pid and nothing else."""

import contextlib
import http.client
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import msgspec
import psutil

from benches.plan import BenchFailed, FleetHost, Outcome, Plan

INTERLOCK = str(Path(sys.executable).with_name("interlock"))
READY_SECONDS = 120.0  # until /readyz says yes
LOOK_SECONDS = 0.01  # between two looks at /readyz
IDLE_PERCENT = 8.0  # of all cores: what a machine that does nothing still does
TERM_SECONDS = 20.0  # between SIGTERM and SIGKILL


class Server:
    """A server that answers on a loopback port."""

    def __init__(self, process: "subprocess.Popen[bytes]", port: int, ready_seconds: float) -> None:
        self.process = process
        self.port = port
        self.ready_seconds = ready_seconds  # from the start of the process to the first yes of /readyz
        self.pid = process.pid

    @property
    def resident_bytes(self) -> int:
        """Its memory (RSS)."""
        resident: int = psutil.Process(self.pid).memory_info().rss
        return resident

    @property
    def loop(self) -> str:
        """The kind of event loop that it runs on, as the libraries that it has loaded tell."""
        maps = psutil.Process(self.pid).memory_maps()
        return "uvloop" if any("uvloop" in item.path for item in maps) else "asyncio"

    @property
    def host_actors(self) -> int:
        """How many host actors it has in memory, by its own word."""
        return self._figure("interlock_host_actors")

    @property
    def refused_creates(self) -> int:
        """How many creates it has had no room for, by its own word."""
        return self._figure("interlock_creates_refused_total")

    def _figure(self, name: str) -> int:
        found = re.search(rf"^{name} ([0-9.e+]+)", _get(self.port, "/metrics")[1], re.MULTILINE)
        if found is None:
            raise BenchFailed(f"/metrics says nothing of {name}")
        return round(float(found[1]))

    def kill(self) -> None:
        """SIGKILL; return when it is gone."""
        self.process.kill()
        self.process.wait()

    def seconds_to_job(self, host: FleetHost) -> float:
        """What a poll of that host takes that is answered with a job."""
        began = time.perf_counter()
        status, said = _get(self.port, f"/api/agent/hosts/{host.id}/jobs", {"Authorization": f"Bearer {host.key}"})
        if status != http.client.OK:
            raise BenchFailed(f"A host with waiting jobs was answered {status}: {said[:300]}")
        return time.perf_counter() - began


@contextmanager
def interlock(data_dir: Path, options: Sequence[str] = (), *, launcher: str = "") -> Iterator[Server]:
    """`interlock serve` on this data directory; by this module of ours when a `launcher` is named."""
    port = _free_port()
    where = ("--host", "127.0.0.1", "--port", str(port), "--data-dir", str(data_dir), *options)
    command = [sys.executable, "-m", launcher] if launcher else [INTERLOCK]
    with _server([*command, "serve", *where], port, data_dir / "serve.log") as server:
        yield server


@contextmanager
def bare(loop: str, folder: Path) -> Iterator[Server]:
    """The yardstick on the same kind of event loop."""
    port = _free_port()
    command = [sys.executable, "-m", "benches.bare", "--port", str(port), "--loop", loop]
    with _server(command, port, folder / "bare.log") as server:
        yield server


def drive(plan: Plan) -> Outcome:
    """Put the load on, in a process of its own."""
    command = [sys.executable, "-m", "benches.driver"]
    try:
        done = subprocess.run(
            command, input=msgspec.json.encode(plan), capture_output=True, timeout=plan.seconds + 30, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise BenchFailed(f"The driver of {plan.load!r} did not end") from error
    if done.returncode != 0:
        raise BenchFailed(f"The driver failed:\n{done.stderr.decode()[-3000:]}")
    return msgspec.json.decode(done.stdout, type=Outcome)


def wait_until_quiet(patience_seconds: float) -> None:
    """Return when the machine has been idle for a second, or when the patience is over."""
    deadline = time.monotonic() + patience_seconds
    while time.monotonic() < deadline:
        if psutil.cpu_percent(interval=1.0) < IDLE_PERCENT:
            return


@contextmanager
def _server(command: Sequence[str], port: int, log: Path) -> Iterator[Server]:
    with log.open("ab") as sink:
        began = time.perf_counter()
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=sink, stderr=sink, start_new_session=True)
    try:
        _wait_until_ready(process, port, log)
        yield Server(process, port, time.perf_counter() - began)
    finally:
        _end(process)


def _wait_until_ready(process: "subprocess.Popen[bytes]", port: int, log: Path) -> None:
    deadline = time.monotonic() + READY_SECONDS
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError, http.client.HTTPException):
            if _get(port, "/readyz")[0] == http.client.OK:
                return
        if process.poll() is not None:
            raise BenchFailed(f"The server ended at once: {_tail(log)}")
        time.sleep(LOOK_SECONDS)
    raise BenchFailed(f"The server was not ready within {READY_SECONDS:g} s: {_tail(log)}")


def _get(port: int, path: str, headers: Mapping[str, str] | None = None) -> tuple[int, str]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        connection.request("GET", path, headers=headers or {})
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    finally:
        connection.close()


def _end(process: "subprocess.Popen[bytes]") -> None:
    for order in (process.terminate, process.kill):
        order()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(TERM_SECONDS)
            return


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _tail(log: Path) -> str:
    return log.read_text(encoding="utf-8", errors="replace")[-2000:]
