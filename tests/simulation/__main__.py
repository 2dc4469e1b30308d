"""`python -m tests.simulation`: run seeds on all cores; failing ones are shrunk, printed as commands, and kept."""

import argparse
import os
import sys
import time
from collections.abc import Sequence

from tests.simulation.mutants import MUTANTS, described
from tests.simulation.seeds import Case, Failure, catch_all, keep, kept_cases, planted, run_case, run_seeds, settle_in
from tests.simulation.shrink import shrink
from tests.simulation.world import World

MUTANT_SEEDS = 500  # within which every planted bug must be caught
_QUIET_SECONDS = 60.0  # between two lines of progress where there is no terminal


def main(arguments: Sequence[str] | None = None) -> int:
    """0 when all seeds hold (or the planted bugs were caught)."""
    parser = argparse.ArgumentParser(prog="./scripts/simulate", description=__doc__)
    parser.add_argument("--seeds", type=int, default=300, help="how many seeds")
    parser.add_argument("--from", dest="first", type=int, default=1, help="the first seed")
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1, help="how many at once")
    parser.add_argument("--failures", type=int, default=3, help="stop after so many failing seeds")
    parser.add_argument("--case", type=Case.read, help="run one world: '17', or '17 hosts=1 jobs=4 reply_lost=0.1'")
    parser.add_argument("--trace", action="store_true", help="with --case: print every committed change")
    parser.add_argument("--mutant", choices=sorted(MUTANTS), help="plant this bug, which must be caught")
    parser.add_argument("--mutants", action="store_true", help="plant every bug in turn, and print how it was caught")
    parser.add_argument("--no-keep", action="store_true", help="do not write failing cases to tests/seeds.txt")
    options = parser.parse_args(arguments)
    if options.mutants:
        return _catch_mutants(options.first, options.processes)
    if options.case is not None:
        return _run_one(options.case, options.mutant, trace=options.trace)
    return _run_many(options)


def _run_one(case: Case, mutant: str | None, *, trace: bool) -> int:
    settle_in()
    world = World(case.seed, case.whole, print if trace else None)
    print(f"seed {Case(case.seed, case.whole)}")  # noqa: T201
    with planted(mutant):
        try:
            world.run()
        except Exception as violation:
            if trace:
                raise
            print(f"{type(violation).__name__}: {violation}")  # noqa: T201
            return int(mutant is None)
    print(f"held; trace {world.trace}; {dict(sorted(world.stats.items()))}")  # noqa: T201
    return int(mutant is not None)


def _run_many(options: argparse.Namespace) -> int:
    if not options.mutant and not _kept_hold():
        return 1
    progress = _Progress(options.first, options.seeds)
    seeds = range(options.first, options.first + options.seeds)
    most = 1 if options.mutant else options.failures
    try:
        stats, failures = run_seeds(seeds, options.processes, options.mutant, most_failures=most, progress=progress)
    except KeyboardInterrupt:
        print(f"\nstopped; go on with: ./scripts/simulate {progress.rest}")  # noqa: T201
        return 130
    print(f"\r{stats['seeds']} seeds in {progress.seconds:.0f} s: {dict(sorted(stats.items()))}")  # noqa: T201
    for failure in failures:
        _tell(failure, options.mutant, kept=not options.no_keep)
    return int(bool(failures) != bool(options.mutant))


def _kept_hold() -> bool:
    """The cases that failed once come first: they are few."""
    settle_in()
    failed = [(case, what) for case in kept_cases() if (what := run_case(case)[1]) is not None]
    for case, what in failed:
        print(f"a kept case fails again: {what[:1000]}\nagain: ./scripts/simulate --case '{case}'")  # noqa: T201
    return not failed


def _tell(failure: Failure, mutant: str | None, *, kept: bool) -> None:
    print(f"seed {failure.case}: {failure.what[:1000]}\nshrinking …", flush=True)  # noqa: T201
    settle_in()
    with planted(mutant):
        least = shrink(failure)
    suffix = f" --mutant {mutant}" if mutant else ""
    print(f"{least.what[:1000]}\nagain: ./scripts/simulate --case '{least.case}'{suffix}")  # noqa: T201
    if kept and not mutant:
        keep(least)
        print("kept in tests/seeds.txt")  # noqa: T201


def _catch_mutants(first: int, processes: int) -> int:
    caught = catch_all(range(first, first + MUTANT_SEEDS), processes)
    for one in caught:
        seeds = "survived" if one.seeds is None else str(one.seeds)
        print(f"| `{one.mutant}` | {described(one.mutant)} | {seeds} | {one.what[:90]} |")  # noqa: T201
    return int(any(one.seeds is None for one in caught))


class _Progress:
    """A line that says how far it is, how fast, and how to go on later."""

    def __init__(self, first: int, seeds: int) -> None:
        self._first = first
        self._seeds = seeds
        self._began = self._told_at = time.monotonic()
        self._done = 0

    @property
    def seconds(self) -> float:
        return time.monotonic() - self._began

    @property
    def rest(self) -> str:
        return f"--from {self._first + self._done} --seeds {self._seeds - self._done}"

    def __call__(self, done: int, failures: int) -> None:
        self._done, terminal = done, sys.stderr.isatty()
        if not terminal and time.monotonic() - self._told_at < _QUIET_SECONDS:
            return
        self._told_at = time.monotonic()
        rate = done / max(self.seconds, 0.001)
        left = (self._seeds - done) / max(rate, 0.001) / 60
        line = (
            f"{done:,}/{self._seeds:,} seeds, {rate:.0f}/s, {left:.0f} min left, {failures} failed; later: {self.rest}"
        )
        print(f"\r{line}  " if terminal else line, end="" if terminal else "\n", file=sys.stderr, flush=True)  # noqa: T201


if __name__ == "__main__":
    sys.exit(main())
