"""Which process a number meant when it was written down: pids are used again, so a pid alone names nobody.

A process is known by its pid, the tick at which it started and the boot it started in, all from `/proc`. Without
`/proc` nobody can be known again, and a process that cannot be known is never signalled.
"""

from collections.abc import Iterator
from pathlib import Path

import msgspec

from interlock.ids import JobRunId

PROC = Path("/proc")
_DEAD = frozenset("ZX")  # zombie, dead: nothing runs any more


class ProcessIdentity(msgspec.Struct, frozen=True, rename="camel"):
    """The leader of a run's process group. `start_tick` and `boot_id` are None where there is no `/proc`."""

    pid: int
    start_tick: int | None = None
    boot_id: str | None = None


class _Stat(msgspec.Struct):
    """The fields of `/proc/PID/stat` that matter here."""

    state: str
    group: int
    start_tick: int


def identify(pid: int) -> ProcessIdentity:
    """The identity of the process that has `pid` now."""
    stat = _stat(pid)
    return ProcessIdentity(pid, stat.start_tick if stat else None, _boot_id())


def can_be_known(leader: ProcessIdentity) -> bool:
    """Whether it could be told from another process that has its number by now."""
    return leader.start_tick is not None and leader.boot_id is not None


def still_lives(leader: ProcessIdentity, job_run_id: JobRunId) -> bool:
    """Whether anything of the process group that `leader` led for `job_run_id` still runs.

    When the leader itself is gone, a member counts only if its environment names the run: by then the number
    could be somebody else's.
    """
    if not can_be_known(leader) or leader.boot_id != _boot_id():
        return False
    stat = _stat(leader.pid)
    if stat is not None and stat.state not in _DEAD:
        return stat.start_tick == leader.start_tick
    marker = f"INTERLOCK_JOB_RUN_ID={job_run_id}".encode()
    return any(marker in _environment(pid) for pid in living_members(leader.pid))


def living_members(group: int) -> Iterator[int]:
    """The pids of all living processes in `group`."""
    for entry in PROC.iterdir():
        stat = _stat(int(entry.name)) if entry.name.isdigit() else None
        if stat is not None and stat.group == group and stat.state not in _DEAD:
            yield int(entry.name)


def _stat(pid: int) -> _Stat | None:
    """None when there is no such process or no `/proc`."""
    try:
        text = (PROC / str(pid) / "stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    fields = text.rpartition(")")[2].split()  # the name before it may hold spaces and brackets; see proc(5)
    return _Stat(state=fields[0], group=int(fields[2]), start_tick=int(fields[19]))


def _environment(pid: int) -> list[bytes]:
    """The variables that the process was started with; nothing when it is not ours to read."""
    try:
        return (PROC / str(pid) / "environ").read_bytes().split(b"\0")
    except OSError:
        return []


def _boot_id() -> str | None:
    try:
        return (PROC / "sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return None
