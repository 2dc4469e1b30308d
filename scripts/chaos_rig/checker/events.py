"""What dashboards are promised: numbers without holes or an honest gap, and nothing that did not come true."""

from collections import defaultdict
from collections.abc import Iterator

from chaos_rig.checker.ledger import Ledger, Violation
from chaos_rig.history import Accepted, Entry, Fault, Healed, ReportAnswered, Seen, Settled, Watching

_GAP = "gap"
_OK = 200


def numbered(ledger: Ledger) -> Iterator[Violation]:
    """Each frame's number follows the one before, also across connections; a gap has a cause, and goes forward."""
    connected: dict[str, int] = {}
    last: dict[str, tuple[int, int]] = {}  # by watcher: number of the frame before, and since when that was connected
    lag = ledger.promises.gap_lag_ms * 1_000_000
    causes = [entry.at for entry in ledger.each(Fault) if entry.kind in ledger.promises.gap_causes]
    for entry in ledger.entries:
        if isinstance(entry, Watching):
            connected[entry.watcher] = entry.at
            if entry.after is None:
                last.pop(entry.watcher, None)
        elif isinstance(entry, Seen):
            number, since = last.get(entry.watcher, (None, 0))
            last[entry.watcher] = entry.seq, connected.get(entry.watcher, 0)
            caused = any(since - lag <= at <= entry.at for at in causes)
            rises = ledger.promises.rises
            why = "" if number is None else _misnumbered(entry, number, caused=caused, rises=rises)
            if why:
                yield Violation("event", f"{entry.watcher}: {entry.event} {entry.seq}: {why}", entry.at)


def _misnumbered(frame: Seen, before: int, *, caused: bool, rises: bool) -> str:
    if frame.event != _GAP:
        return "" if frame.seq == before + 1 else f"it came after {before}"
    if rises and frame.seq < before:
        return f"a gap that goes back, from {before}"
    return "" if caused else f"nothing had been lost after {before}"


def true(ledger: Ledger) -> Iterator[Violation]:
    """What was told is so in the rows, the same to everybody, and each end was told once. Behind a gap it may be told again:
    nobody knows whether an engine that went away had taken it.
    """
    told: dict[int, tuple[str, str, str]] = {}
    done: dict[str, int] = {}
    gaps: list[int] = []
    for frame in ledger.each(Seen):
        if frame.event == _GAP:
            gaps.append(frame.seq)
            continue
        what = frame.event, frame.run or frame.job, frame.status
        if told.setdefault(frame.seq, what) != what:
            said = f"number {frame.seq} was {told[frame.seq]} to one and {what} to another"
            yield Violation("event", said, frame.at)
        why = _untrue(ledger, frame)
        first = done.setdefault(frame.run, frame.seq) if frame.event == "job_run.done" else frame.seq
        if first != frame.seq and not any(first < gap <= frame.seq for gap in gaps):
            why = f"it was told before, as {first}"
        if why:
            said = f"{frame.watcher}: {frame.event} {frame.seq} of run {frame.run}: {why}"
            yield Violation("event", said, frame.at)


def _untrue(ledger: Ledger, frame: Seen) -> str:
    run = ledger.runs.get(frame.run)
    if frame.event == "job.created" and frame.job not in ledger.jobs:
        return f"there is no job {frame.job}"
    if frame.event == "job_run.started" and (run is None or run.started_at is None):
        return "it never began"
    if frame.event == "job_run.done" and (run is None or run.status != frame.status):
        return f"it was told {frame.status} and is {run and run.status}"
    return ""


def complete(ledger: Ledger) -> Iterator[Violation]:
    """Once nothing is broken any more, a connected dashboard hears of every job made and every run reported."""
    healed = next((entry.at for entry in ledger.each(Healed)), None)
    settled = next((entry.at for entry in ledger.each(Settled)), None)
    if healed is None or settled is None:
        return
    since, heard = _last_stretch(ledger)
    for watcher, start in since.items():
        begin = max(start, healed)
        for entry in ledger.entries:
            expected = _expected(entry, begin, settled, ledger)
            if expected is not None and expected not in heard[watcher]:
                yield Violation("event", f"{watcher} was never told {expected[0]} of {expected[1]}", entry.at)


def _expected(entry: Entry, begin: int, end: int, ledger: Ledger) -> tuple[str, str] | None:
    """The event that this entry must have brought, if it surely fell into the stretch."""
    if isinstance(entry, ReportAnswered) and entry.answer == _OK and not entry.replayed:
        return ("job_run.done", entry.run) if begin < entry.asked_at and entry.at < end else None
    if isinstance(entry, Accepted) and not entry.replayed and entry.at < end:
        asked = ledger.asked.get(entry.tag)
        return ("job.created", entry.job) if asked is not None and asked.at > begin else None
    return None


def _last_stretch(ledger: Ledger) -> tuple[dict[str, int], dict[str, set[tuple[str, str]]]]:
    """By watcher: since when it has heard everything, and what it has heard in all."""
    since: dict[str, int] = {}
    heard: dict[str, set[tuple[str, str]]] = defaultdict(set)
    for entry in ledger.entries:
        if isinstance(entry, Watching) and entry.after is None:
            since[entry.watcher] = entry.at
        elif isinstance(entry, Seen):
            if entry.event == _GAP:
                since[entry.watcher] = entry.at
            heard[entry.watcher].add((entry.event, entry.job if entry.event == "job.created" else entry.run))
    return since, heard
