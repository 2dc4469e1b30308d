"""`python -m tests.simulation --seeds 1000 [--from 1] [--mutant NAME]`: run seeds on all cores; a failing one is printed."""

import argparse
import os
import sys
import time

from tests.simulation.mutants import MUTANTS
from tests.simulation.seeds import run_seeds


def main() -> int:
    """0 when all seeds hold (or the planted bug was caught)."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=300, help="how many seeds")
    parser.add_argument("--from", dest="first", type=int, default=1, help="the first seed")
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1, help="how many at once")
    parser.add_argument("--mutant", choices=sorted(MUTANTS), help="plant this bug, which must be caught")
    options = parser.parse_args()
    began = time.perf_counter()
    stats, failures = run_seeds(options.first, options.seeds, options.processes, options.mutant, _progress)
    print(f"\r{stats['seeds']} seeds in {time.perf_counter() - began:.0f} s; {dict(sorted(stats.items()))}")  # noqa: T201
    for seed, what in failures:
        mutant = f" --mutant {options.mutant}" if options.mutant else ""
        print(f"seed {seed}: {what[:1000]}")  # noqa: T201
        print(f"again: ./scripts/simulate --from {seed} --seeds 1{mutant}")  # noqa: T201
    return int(bool(failures) != bool(options.mutant))


def _progress(done: int, of: int) -> None:
    if sys.stderr.isatty():
        print(f"\r{done}/{of} seeds", end="", file=sys.stderr)  # noqa: T201


if __name__ == "__main__":
    sys.exit(main())
