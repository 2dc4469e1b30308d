"""`docs/reliability.md`, from the results. Every number on it was written by the script that took it."""

from collections.abc import Iterable, Mapping, Sequence

from benches.figures import number
from benches.pages import trust

from reliability_report.results import Bench, Chaos, Figure, Mutant, Result, Simulation
from reliability_report.takes import BENCHES

HEAD = """# What was measured

This page is printed by `./scripts/reliability` from the files in [results](results): nothing on it is typed by hand. Each
script writes one of them; `./scripts/reliability take NAME` takes it again. Figures are medians of interleaved rounds; a
ratio is the median of the rounds' ratios, each to a yardstick that was measured within seconds of it.
"""
_VERDICT = {True: "pass", False: "**MISS**", None: ""}


def page(results: Sequence[Result], wanted: Iterable[str], bugs: Mapping[str, str]) -> str:
    """The whole page. `wanted`: names of results that there should be; `bugs`: what each of the chaos rig does wrong."""
    benches = [(result, result.read(Bench)) for result in results if result.name in BENCHES]
    chaos = [(result, result.read(Chaos)) for result in results if result.name.startswith("chaos")]
    simulated = [(result, result.read(Simulation)) for result in results if result.name in {"simulate", "mutants"}]
    missing = sorted(set(wanted) - {result.name for result in results})
    parts = [
        HEAD,
        _misses(benches, chaos, simulated, missing),
        "## Floors\n\n" + _figures(benches, floors=True),
        "## Other figures\n\n" + _figures(benches, floors=False),
        "## Broken on purpose: real processes\n\n" + _chaos([one for _, one in chaos if not one.mutant]),
        "## Broken on purpose: simulated worlds\n\n" + _worlds([one for _, one in simulated if not one.mutants]),
        "## Planted bugs\n\n" + _mutants([one for _, one in simulated], [one for _, one in chaos if one.mutant], bugs),
        "## When, where, of what\n\n" + _runs(results) + _cautions(benches),
    ]
    return "\n".join(parts).rstrip() + "\n"


def _misses(
    benches: Sequence[tuple[Result, Bench]],
    chaos: Sequence[tuple[Result, Chaos]],
    simulated: Sequence[tuple[Result, Simulation]],
    missing: Sequence[str],
) -> str:
    """What a reader must know first."""
    lines = [
        f"`{result.name}`: {row.name}: {_shown(row)}, and {row.floor} is wanted"
        for result, bench in benches
        for row in bench.rows
        if row.passed is False
    ]
    lines += [
        f"`{result.name}`: {one.broken} promises broken" for result, one in chaos if one.broken and not one.mutant
    ]
    lines += [f"`{result.name}`: {one.mutant} was not caught" for result, one in chaos if one.mutant and not one.broken]
    for result, one in simulated:
        lines += [f"`{result.name}`: seed {each['case']}: {each['what']}" for each in one.failures]
        lines += [f"`{result.name}`: {each.mutant} survived" for each in one.mutants if each.seeds is None]
    lines += [f"`{name}` has not been taken yet" for name in missing]
    floors = [row.passed for _, bench in benches for row in bench.rows if row.passed is not None]
    told = "\n".join(f"- {_cell(line)}" for line in lines) or "- none"
    return f"## Misses\n\n{sum(floors)} of {len(floors)} floors are reached.\n\n{told}\n"


def _figures(benches: Sequence[tuple[Result, Bench]], *, floors: bool) -> str:
    rows = [
        (row.name, _value(row), _spread(row), _stick(row), _ratio(row), row.floor or "", _VERDICT[row.passed], name)
        for name, bench in ((result.name, bench) for result, bench in benches)
        for row in bench.rows
        if (row.floor is not None) is floors
    ]
    return _table(("figure", "median", "rounds", "yardstick", "ratio", "floor", "", "run"), rows)


def _chaos(runs: Sequence[Chaos]) -> str:
    rows = [
        (
            f"{run.mode}, seed {run.seed}",
            f"{run.seconds:,.0f} s",
            f"{run.accepted:,}",
            f"{run.runs:,}",
            f"{run.kills}, {run.writers_killed}, {run.pauses} (up to {run.longest_pause_seconds:.0f} s)",
            str(run.outages),
            f"{run.agents_killed}, {run.network_cuts}",
            _takeovers(run),
            _broken(run) or "none",
        )
        for run in runs
    ]
    head = ("run", "time", "jobs", "runs", "kills of servers, of their writers, pauses", "outages of engines")
    return _table((*head, "agents killed, cut off", "kill to next job", "promises broken"), rows)


def _takeovers(run: Chaos) -> str:
    known = [f"{name} {seconds:.2f} s" for name, seconds in run.takeover_seconds.items() if seconds is not None]
    return f"{', '.join(known)} (of {run.takeovers})" if known else "-"


def _broken(run: Chaos) -> str:
    return ", ".join(f"{count} {kind}" for kind, count in run.violations.items() if count)


def _worlds(runs: Sequence[Simulation]) -> str:
    rows = [
        (
            f"{run.first:,} to {run.first + run.seeds - 1:,}",
            f"{run.seeds:,}",
            str(run.kept),
            str(len(run.failures)),
            ", ".join(f"{count:,} {name}" for name, count in run.stats.items() if name != "seeds"),
        )
        for run in runs
    ]
    return _table(("seeds", "worlds", "kept cases before them", "failures", "what happened in them"), rows)


def _mutants(simulated: Sequence[Simulation], chaos: Sequence[Chaos], bugs: Mapping[str, str]) -> str:
    """Each is a change of the shipping code that breaks a promise. A rig that catches none of them proves nothing."""
    rows = [
        (f"`{each.mutant}`", each.described, "simulated worlds", _caught(each, run.seeds), each.what[:100])
        for run in simulated
        for each in run.mutants
    ]
    rows += [
        (
            f"`{run.mutant}`",
            bugs.get(run.mutant, ""),
            f"real processes, {run.mode}",
            _verdict(run),
            _broken(run) or "nothing",
        )
        for run in chaos
    ]
    return _table(("bug", "what goes wrong", "where", "caught", "as"), rows)


def _caught(mutant: Mutant, most: int) -> str:
    if mutant.seeds is None:
        return f"**survived {most} seeds**"
    return f"after {mutant.seeds} seed{'s' * (mutant.seeds != 1)}"


def _verdict(run: Chaos) -> str:
    return f"in {run.seconds:,.0f} s, seed {run.seed}" if run.broken else "**survived**"


def _runs(results: Sequence[Result]) -> str:
    rows = [
        (
            f"[{result.name}](results/{result.name}.json)",
            result.taken.get("date", ""),
            result.taken.get("commit", ""),
            _machine(result),
            f"{result.seconds / 60:.1f} min",
            f"`{result.command}`",
        )
        for result in results
    ]
    return _table(("run", "begun", "commit", "machine", "took", "command"), rows)


def _machine(result: Result) -> str:
    names = ("processor", "memory", "system", "python", "libraries", "load")
    told = [result.taken[name] for name in names if name in result.taken]
    machine = result.result.get("machine")
    if isinstance(machine, dict):
        told += [str(machine[name]) for name in ("engines", "loop") if name in machine]
    return "; ".join(told)


def _cautions(benches: Sequence[tuple[Result, Bench]]) -> str:
    said = [f"\n`{result.name}`: {trust(one.disturbed, one.steps)}\n" for result, one in benches if one.disturbed]
    return "".join(said)


# ---- cells -----------------------------------------------------------------------------------------------------------


def _shown(row: Figure) -> str:
    return _value(row) if row.ratio is None else f"{_ratio(row)} of {_stick(row)}"


def _value(row: Figure) -> str:
    return f"{number(row.median)} {row.unit}".rstrip()


def _spread(row: Figure) -> str:
    return f"{len(row.rounds)}: {number(min(row.rounds))} - {number(max(row.rounds))}" if row.rounds else ""


def _stick(row: Figure) -> str:
    stick = row.yardstick
    if stick is None or not stick.rounds:
        return ""
    middle = sorted(stick.rounds)[len(stick.rounds) // 2]
    return f"{stick.name} {number(middle)}"


def _ratio(row: Figure) -> str:
    return "" if row.ratio is None else number(row.ratio)


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    if not rows:
        return "Not taken yet.\n"
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(map(_cell, line)) + " |" for line in lines) + "\n"


def _cell(text: str) -> str:
    return " ".join(text.replace("|", "\\|").split())
