"""`python -m tests.simulation --seeds 1000 [--from 1] [--mutant NAME]`: run seeds; a failing one is printed."""

import argparse
import logging
import sys
import time
from collections import Counter
from contextlib import nullcontext

from tests.simulation.mutants import MUTANTS
from tests.simulation.world import World


def main() -> int:
    """0 when all seeds hold (or the mutant was caught)."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=300, help="how many seeds")
    parser.add_argument("--from", dest="first", type=int, default=1, help="the first seed")
    parser.add_argument("--mutant", choices=sorted(MUTANTS), help="plant this bug, which must be caught")
    options = parser.parse_args()
    logging.disable(logging.CRITICAL)
    began, stats = time.perf_counter(), Counter[str]()
    with MUTANTS[options.mutant]() if options.mutant else nullcontext():
        for seed in range(options.first, options.first + options.seeds):
            try:
                stats += World(seed).run()
            except Exception as violation:  # noqa: BLE001 - under a mutant anything may break, and counts
                print(f"seed {seed}: {type(violation).__name__}: {violation}")  # noqa: T201
                print(f"again: python -m tests.simulation --from {seed} --seeds 1")  # noqa: T201
                return 0 if options.mutant else 1
            if sys.stderr.isatty():
                print(f"\r{seed - options.first + 1}/{options.seeds}", end="", file=sys.stderr)  # noqa: T201
    seconds = time.perf_counter() - began
    print(f"{options.seeds} seeds in {seconds:.0f} s, no violation; {dict(sorted(stats.items()))}")  # noqa: T201
    return 1 if options.mutant else 0


if __name__ == "__main__":
    sys.exit(main())
