"""CPU time of this process and of all that it has started, whoever started it in between: a browser has many processes."""

import time

import psutil

from benches.figures import Cores


class FamilyWatch:
    """Runs from the moment it is made."""

    def __init__(self, server_pid: int) -> None:
        self._server = psutil.Process(server_pid)
        self._began, self._spent = time.perf_counter(), self._now()

    def stop(self) -> Cores:
        """Who has kept how many cores busy; the browser counts as the driver."""
        seconds = time.perf_counter() - self._began
        server, family, busy = (now - then for now, then in zip(self._now(), self._spent, strict=True))
        return Cores(server / seconds, max(family - server, 0) / seconds, max(busy - family, 0) / seconds)

    def _now(self) -> tuple[float, float, float]:
        """Seconds of CPU: the server's, all of ours with the server's, the whole machine's."""
        family = [psutil.Process(), *psutil.Process().children(recursive=True)]
        whole = psutil.cpu_times()
        busy = sum(whole) - whole.idle - getattr(whole, "iowait", 0.0) - getattr(whole, "guest", 0.0)
        return _cpu(self._server), sum(map(_cpu, family)), busy


def _cpu(process: psutil.Process) -> float:
    """Of the process, and of its children that have ended."""
    try:
        spent = process.cpu_times()
    except psutil.NoSuchProcess:  # its parent has it now
        return 0.0
    return float(spent.user + spent.system + spent.children_user + spent.children_system)
