"""Wall time and everybody's CPU time between two moments."""

import time
from collections.abc import Sequence

import psutil

from benches.plan import Outcome


class Stopwatch:
    """Runs from the moment it is made."""

    def __init__(self, pid: int, engines: Sequence[int] = ()) -> None:
        self._server = psutil.Process(pid)
        self._server_cpu = _cpu_of_family(self._server)
        self._engines = [psutil.Process(engine) for engine in engines]
        self._engines_cpu = sum(map(_cpu_of_family, self._engines))
        self._busy = _busy()
        self._driver_cpu = time.process_time()
        self._began = time.perf_counter()

    def stop(self, count: int, latencies_ms: Sequence[float] = ()) -> Outcome:
        """What so many jobs or requests have taken."""
        seconds = time.perf_counter() - self._began
        driver = time.process_time() - self._driver_cpu
        server = _cpu_of_family(self._server) - self._server_cpu
        engines = sum(map(_cpu_of_family, self._engines)) - self._engines_cpu
        return Outcome(
            count=count,
            seconds=seconds,
            server_cpu_seconds=server,
            driver_cpu_seconds=driver,
            foreign_cpu_seconds=max(_busy() - self._busy - server - driver - engines, 0.0),
            latencies_ms=latencies_ms,
            engines_cpu_seconds=engines,
        )


def _cpu(process: psutil.Process) -> float:
    """Seconds of CPU of all its threads."""
    spent = process.cpu_times()
    return spent.user + spent.system


def _cpu_of_family(process: psutil.Process) -> float:
    """The same with all its children: those that live, and those that it has seen end."""
    ended = process.cpu_times()
    return _cpu(process) + ended.children_user + ended.children_system + sum(map(_cpu_if_there, process.children()))


def _cpu_if_there(process: psutil.Process) -> float:
    try:
        return _cpu(process)
    except psutil.NoSuchProcess:  # its parent tells
        return 0.0


def _busy() -> float:
    """Seconds of CPU that all processes of the machine have used."""
    spent = psutil.cpu_times()
    return sum(spent) - spent.idle - getattr(spent, "iowait", 0.0) - getattr(spent, "guest", 0.0)
