"""How long hosts went without work because of a kill: from the death of the node that served them to their next start."""

import math
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Sequence

from chaos_rig.cast import DECLARED
from chaos_rig.final import Final
from chaos_rig.history import Accepted, Asked, Ended, Entry, Fault, Started, Taken

_QUIET_NS = 12_000_000_000  # a host whose agent was in trouble so shortly before tells nothing of servers
_AGENTS = frozenset({"vanish", "amnesia", "cut"})
_Story = list[Taken | Started | Ended]


def takeovers(entries: Sequence[Entry], final: Final) -> list[float]:
    """Seconds, for each kill and each host that the node served last, had a waiting job, and an agent that was well.

    They begin with the kill, or when the run that was at work had ended, or the next job was accepted, whichever was
    last; and end when the machine begins that job's first attempt. Kills beside another fault of a server do not count.
    """
    kills = [entry for entry in entries if isinstance(entry, Fault) and entry.kind == "kill"]
    broken = [entry for entry in entries if isinstance(entry, Fault) and entry.kind not in _AGENTS]
    trouble = _troubles(entries)
    accepted = {entry.job: entry.at for entry in entries if isinstance(entry, Accepted)}
    later = {entry.tag for entry in entries if isinstance(entry, Asked) and entry.later}
    first = {job.runs[0].id: job.id for job in final.jobs if job.runs and job.tag not in later}
    found: list[float] = []
    for host, story in _by_host(entries, final).items():
        for kill in kills:
            start, ended = _next(story, kill)
            if start is None or any(kill.at - _QUIET_NS < ill < start.at for ill in trouble[host]):
                continue
            if any(other is not kill and _lasts_into(other, kill.at, start.at) for other in broken):
                continue
            since = accepted.get(first.get(start.run, ""))
            if since is not None and since < start.at:
                found.append((start.at - max(kill.at, since, ended)) / 1e9)
    return sorted(found)


def _next(story: _Story, kill: Fault) -> tuple[Started | None, int]:
    """What the host began next, if the node had served it, and when what it was at had ended."""
    place = bisect_right(story, kill.at, key=lambda entry: entry.at)
    served = next((entry.node for entry in reversed(story[:place]) if isinstance(entry, Taken)), "")
    ended = 0
    for entry in story[place:] if served == kill.target else ():
        if isinstance(entry, Started):
            return entry, ended
        if isinstance(entry, Ended):
            ended = entry.at
    return None, 0


def _lasts_into(fault: Fault, begin: int, end: int) -> bool:
    return fault.at < end and fault.at + int(fault.seconds * 1e9) + 1_000_000_000 > begin


def _troubles(entries: Iterable[Entry]) -> dict[str, list[int]]:
    """When something befell the agent of a host."""
    found: dict[str, list[int]] = defaultdict(list)
    for entry in entries:
        if isinstance(entry, Fault) and entry.kind in _AGENTS:
            found[entry.target].append(entry.at)
    return found


def _by_host(entries: Iterable[Entry], final: Final) -> dict[str, _Story]:
    """What happened on the hosts whose agents say what they run: a plain one may have to wait for a time-out."""
    found: dict[str, _Story] = defaultdict(list)
    for entry in entries:
        if isinstance(entry, Taken | Started | Ended) and final.kinds.get(entry.host) == DECLARED:
            found[entry.host].append(entry)
    return found


def percentile(values: Sequence[float], percent: float) -> float | None:
    """By nearest rank, of sorted values."""
    return values[max(0, math.ceil(len(values) * percent / 100) - 1)] if values else None
