"""The simulator's verdict as JSON: over seeds, or over the planted bugs."""

import argparse
import os
import sys
from collections import Counter
from typing import Any

import msgspec

from tests.simulation.__main__ import MUTANT_SEEDS
from tests.simulation.mutants import described
from tests.simulation.seeds import catch_all, kept_cases, run_case, run_seeds, settle_in

MOST_FAILURES = 3


def main() -> int:
    """0 when all seeds hold, or all bugs were caught."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=1_000_000, help="how many worlds [default: 1,000,000]")
    parser.add_argument("--first", type=int, default=1, help="the first seed")
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1, help="how many at once")
    parser.add_argument("--mutants", action="store_true", help=f"each planted bug, in {MUTANT_SEEDS} worlds at most")
    options = parser.parse_args()
    said = (_mutants if options.mutants else _seeds)(options)
    print(msgspec.json.format(msgspec.json.encode(said)).decode())
    return int(bool(said.get("failures")) or any(each["seeds"] is None for each in said.get("mutants", ())))


def _seeds(options: argparse.Namespace) -> dict[str, Any]:
    settle_in()
    kept = kept_cases()
    failures = [{"case": str(case), "what": what} for case in kept if (what := run_case(case)[1]) is not None]
    seeds = range(options.first, options.first + options.seeds)
    stats: Counter[str]
    stats, failed = run_seeds(seeds, options.processes, most_failures=MOST_FAILURES, progress=_progress)
    failures += [{"case": str(failure.case), "what": failure.what[:1000]} for failure in failed]
    return {
        "first": options.first,
        "seeds": stats["seeds"],
        "kept": len(kept),
        "stats": dict(sorted(stats.items())),
        "failures": failures,
    }


def _progress(done: int, failures: int) -> None:
    if done % 10_000 == 0:
        print(f"{done:,} seeds, {failures} failed", file=sys.stderr, flush=True)


def _mutants(options: argparse.Namespace) -> dict[str, Any]:
    caught = catch_all(range(options.first, options.first + MUTANT_SEEDS), options.processes)
    told = [
        {"mutant": one.mutant, "described": described(one.mutant), "seeds": one.seeds, "what": one.what[:1000]}
        for one in caught
    ]
    return {"first": options.first, "seeds": MUTANT_SEEDS, "mutants": told}


if __name__ == "__main__":
    sys.exit(main())
