"""docs/lifecycle.md: the life of a run, drawn from `interlock.states`."""

from collections.abc import Iterator
from functools import cache

from docs_pages.comments import fields_of
from interlock.states import LIVE, MOVES, NEXT_MOVER, REFUSALS, TERMINAL, WAITING, RunEvent, RunStatus, StopReason

_ASKED = {RunEvent.CANCEL: StopReason.USER, RunEvent.FORCE: StopReason.USER, RunEvent.TIMEOUT: StopReason.TIMEOUT}
_WHY = {StopReason.NONE: "unasked", StopReason.USER: "cancelled", StopReason.TIMEOUT: "out of time"}

HEAD = """# The life of a job run

A **job** is what a user asked for; a **job run** is one attempt of it on one host. A retry is a new run with a new id, so
a late report about attempt 1 can never finish attempt 2. A run is *waiting* (in line, or until its time comes), *live* (it
holds its host's only slot), or *ended*. What is not a move below is refused and changes nothing.

This page is written from `sdk/interlock/states.py` by `./scripts/docs`.
"""
JOBS = """## The status of a job

It is derived from its runs: `RUNNING` while a run is `running`, `cancelling` or `unreachable`; `COMPLETED` when the last
one is `success`; `CANCELLED` when it is `cancelled`; `FAILED` when it ended otherwise and nothing is left to try; else
`PENDING`. `failed`, `timed_out` and `lost` runs are tried again up to the job's `maxAttempts`, unless the agent said that
it is no use, a user has cancelled the job, or its type does not repeat what may have been done (`onLost: fail`).
"""


def lifecycle_page() -> str:
    """The whole page."""
    parts = [HEAD, _picture(), _states(), _moves(), _events(), JOBS, _refusals()]
    return "\n".join(parts)


def _picture() -> str:
    lines = ["## The picture", "", "```mermaid", "stateDiagram-v2", "    direction LR"]
    lines += ["    [*] --> pending: created", "    [*] --> scheduled: created for later, or a retry"]
    lines += [f"    {edge}" for edge in _edges()]
    lines += [f"    {state} --> [*]" for state in RunStatus if state in TERMINAL]
    return "\n".join([*lines, "```", "", "Moves that lead back to the same state are left out of the picture.", ""])


def _edges() -> Iterator[str]:
    """One arrow for all events that lead from one state to another."""
    labels: dict[tuple[RunStatus, RunStatus], dict[str, list[str]]] = {}
    for state, moves in MOVES.items():
        for event in moves:
            targets = _targets(state, event)
            for to in dict.fromkeys(targets.values()):
                why = " or ".join(_WHY[reason] for reason, target in targets.items() if target is to)
                always = len(set(targets.values())) == 1
                if to is not state:
                    labels.setdefault((state, to), {}).setdefault("" if always else f" ({why})", []).append(event)
    for (state, to), events in labels.items():
        yield f"{state} --> {to}: {' / '.join(', '.join(names) + why for why, names in events.items())}"


def _targets(state: RunStatus, event: RunEvent) -> dict[StopReason, RunStatus]:
    """Where the event leads, for each reason that a run in this state may be being stopped for."""
    reasons = [reason for reason in StopReason if (state, reason) in _reachable()]
    return {reason: MOVES[state][event].target(reason) for reason in reasons}


@cache
def _reachable() -> frozenset[tuple[RunStatus, StopReason]]:
    """Every state together with the reasons for which a run in it may be being stopped."""
    found = {(state, StopReason.NONE) for state in WAITING}
    while True:
        more = set(found)
        for state, before in found:
            for event, move in MOVES.get(state, {}).items():
                reason = _ASKED.get(event, before)
                more.add((move.target(reason), reason))
        if more == found:
            return frozenset(found)
        found = more


def _states() -> str:
    lines = ["## States, and who moves each on", "", "| state | kind | who moves it next |", "| --- | --- | --- |"]
    for state in RunStatus:
        kind = "live" if state in LIVE else "waiting" if state in WAITING else "ended"
        lines.append(f"| `{state}` | {kind} | {NEXT_MOVER[state]} |")
    return "\n".join([*lines, ""])


def _moves() -> str:
    lines = [
        "## Moves",
        "",
        "A run that is being stopped remembers why: because its user cancelled it, or because its time was over.",
        "",
        "| state | event | to |",
        "| --- | --- | --- |",
    ]
    for state, moves in MOVES.items():
        lines += [f"| `{state}` | `{event}` | {_outcome(_targets(state, event))} |" for event in moves]
    return "\n".join([*lines, ""])


def _outcome(targets: dict[StopReason, RunStatus]) -> str:
    if len(set(targets.values())) == 1:
        return f"`{next(iter(targets.values()))}`"
    return "; ".join(f"{_WHY[reason]}: `{to}`" for reason, to in targets.items())


def _events() -> str:
    lines = ["## Events, and who says so", "", "| event | what it means |", "| --- | --- |"]
    lines += [f"| `{RunEvent[field.name]}` | {_sentence(field.comment)} |" for field in fields_of(RunEvent)]
    return "\n".join([*lines, ""])


def _sentence(comment: str) -> str:
    """`its time has come [alarm or sweep]` as `its time has come (alarm or sweep)`."""
    return comment.replace("[", "(").replace("]", ")")


def _refusals() -> str:
    lines = [
        "## What is refused",
        "",
        "Nothing moves a run that has ended. The same report again is replayed, and so is the bare word that what the",
        "server cancelled has stopped; any other report is kept as a late one.",
        "",
        "| state | events | why not |",
        "| --- | --- | --- |",
    ]
    for state in RunStatus:
        if state in TERMINAL:
            continue
        by_sentence: dict[str, list[RunEvent]] = {}
        for event in RunEvent:
            if event in REFUSALS[state]:
                by_sentence.setdefault(REFUSALS[state][event], []).append(event)
        for sentence, events in by_sentence.items():
            lines.append(f"| `{state}` | {', '.join(f'`{event}`' for event in events)} | {sentence} |")
    return "\n".join([*lines, ""])
