"""The table at the end, and the same as a document."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

from chaos_rig.checker import Violation
from chaos_rig.final import Final
from chaos_rig.history import Accepted, Began, Entry, Fault, Recovered, ReportAnswered, Seen, Started, Taken
from chaos_rig.recovery import percentile, takeovers

KINDS = ("overlap", "trespass", "lost", "doubled", "outcome", "report", "order", "event", "wrong")
_MEANS = {
    "overlap": "overlaps on a machine",
    "trespass": "writes to a host that another node had",
    "lost": "accepted and lost",
    "doubled": "made or done twice",
    "outcome": "not one outcome",
    "report": "reports forgotten",
    "order": "out of order",
    "event": "events untrue or missing",
    "wrong": "errors of a server",
}
SHOWN = 10  # violations of each kind that are told in full


def document(entries: Sequence[Entry], final: Final, violations: Sequence[Violation]) -> dict[str, Any]:
    """Figures by their name."""
    began = next(entry for entry in entries if isinstance(entry, Began))
    faults = Counter(entry.kind for entry in entries if isinstance(entry, Fault))
    accepted = {entry.job for entry in entries if isinstance(entry, Accepted)}
    recovered = [entry for entry in entries if isinstance(entry, Recovered)]
    without = takeovers(entries, final)
    found = Counter(violation.kind for violation in violations)
    return {
        "mode": began.mode,
        "seed": began.seed,
        "mutant": began.mutant,
        "seconds": round((entries[-1].at - began.at) / 1e9, 1),
        "accepted": len(accepted),
        "ended": dict(sorted(Counter(job.status for job in final.jobs if job.id in accepted).items())),
        "runs": sum(len(job.runs) for job in final.jobs),
        "runsEnded": dict(sorted(Counter(run.status for job in final.jobs for run in job.runs).items())),
        "started": sum(isinstance(entry, Started) for entry in entries),
        "takenLate": sum(isinstance(entry, Taken) and entry.late for entry in entries),
        "replayedCreates": sum(isinstance(entry, Accepted) and entry.replayed for entry in entries),
        "replayedReports": sum(isinstance(entry, ReportAnswered) and entry.replayed for entry in entries),
        "refusedReports": sum(isinstance(entry, ReportAnswered) and entry.answer != 200 for entry in entries),  # noqa: PLR2004 - OK
        "events": sum(isinstance(entry, Seen) for entry in entries),
        "gaps": sum(isinstance(entry, Seen) and entry.event == "gap" for entry in entries),
        "kills": faults["kill"],
        "writersKilled": faults["writer"],
        "pauses": faults["pause"],
        "longestPauseSeconds": max(
            (e.seconds for e in entries if isinstance(e, Fault) and e.kind == "pause"), default=0.0
        ),
        "outages": faults["outage"] + faults["flush"],
        "agentsKilled": faults["vanish"] + faults["amnesia"],
        "networkCuts": faults["cut"],
        "takeovers": len(without),
        "takeoverSeconds": {f"p{percent}": percentile(without, percent) for percent in (50, 99, 100)},
        "slowestRecoverySeconds": {
            kind: max(entry.seconds for entry in recovered if entry.kind == kind)
            for kind in sorted({entry.kind for entry in recovered})
        },
        "violations": {kind: found[kind] for kind in KINDS},
    }


def table(figures: dict[str, Any]) -> str:
    """As it is printed."""
    recovery = ", ".join(
        f"{seconds:.2f} s after a {kind}" for kind, seconds in figures["slowestRecoverySeconds"].items()
    )
    rows = [
        ("jobs accepted", figures["accepted"]),
        ("ended", _counts(figures["ended"])),
        ("runs", f"{figures['runs']} ({_counts(figures['runsEnded'])})"),
        ("kills of a server", figures["kills"]),
        ("kills of the process that writes for one", f"{figures['writersKilled']}"),
        ("pauses of a server", f"{figures['pauses']} (the longest {figures['longestPauseSeconds']:.1f} s)"),
        ("outages of an engine", figures["outages"]),
        ("agents killed, cut off", f"{figures['agentsKilled']}, {figures['networkCuts']}"),
        ("creates, reports replayed", f"{figures['replayedCreates']}, {figures['replayedReports']}"),
        ("late reports refused", figures["refusedReports"]),
        ("events, gaps", f"{figures['events']}, {figures['gaps']}"),
        ("slowest recovery", recovery or "-"),
        ("kill to next job of its hosts", _spread(figures)),
        *((_MEANS[kind], figures["violations"][kind]) for kind in KINDS),
    ]
    wide = max(len(name) for name, _ in rows)
    return "\n".join(f"  {name:<{wide}}  {value}" for name, value in rows)


def sentences(violations: Sequence[Violation], began_at: int) -> list[str]:
    """The first of each kind, with the second of the run at which they showed."""
    lines: list[str] = []
    for kind in KINDS:
        of_kind = [violation for violation in violations if violation.kind == kind]
        for violation in of_kind[:SHOWN]:
            when = f"{(violation.at - began_at) / 1e9:8.3f} s" if violation.at else " " * 10
            lines.append(f"{when}  {kind}: {violation.said}")
        if len(of_kind) > SHOWN:
            lines.append(f"{'':10}  {kind}: … and {len(of_kind) - SHOWN} more")
    return lines


def _spread(figures: dict[str, Any]) -> str:
    if not figures["takeovers"]:
        return "-"
    at = figures["takeoverSeconds"]
    return f"p50 {at['p50']:.2f} s, p99 {at['p99']:.2f} s, most {at['p100']:.2f} s (of {figures['takeovers']})"


def _counts(counted: dict[str, int]) -> str:
    return ", ".join(f"{number} {name}" for name, number in counted.items()) or "-"
