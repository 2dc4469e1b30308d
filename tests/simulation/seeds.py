"""Many seeds on several processes; each is its own world."""

import logging
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from contextlib import nullcontext
from functools import partial

from tests.simulation.mutants import MUTANTS
from tests.simulation.world import World

Failure = tuple[int, str]
CHUNK = 10  # seeds that a process runs before it reports; a mutant is given up after the chunk that caught it


def run_seeds(
    first: int,
    seeds: int,
    processes: int,
    mutant: str | None = None,
    progress: Callable[[int, int], None] = lambda _done, _of: None,
) -> tuple[Counter[str], list[Failure]]:
    """What happened in all of them, and the seeds in which something did not hold."""
    stats, failures = Counter[str](), list[Failure]()
    chunks = [range(start, min(start + CHUNK, first + seeds)) for start in range(first, first + seeds, CHUNK)]
    with ProcessPoolExecutor(processes) as pool:
        for chunk_stats, failure in pool.map(partial(_run_chunk, mutant=mutant), chunks):
            stats += chunk_stats
            failures += [failure] if failure else []
            progress(stats["seeds"], seeds)
            if failures:
                pool.shutdown(cancel_futures=True)
                break
    return stats, failures


def _run_chunk(seeds: range, mutant: str | None) -> tuple[Counter[str], Failure | None]:
    logging.disable(logging.CRITICAL)
    stats = Counter[str]()
    with MUTANTS[mutant]() if mutant else nullcontext():
        for seed in seeds:
            stats["seeds"] += 1
            try:
                stats += World(seed).run()
            except Exception as violation:  # noqa: BLE001 - under a mutant anything may break, and counts
                return stats, (seed, f"{type(violation).__name__}: {violation}")
    return stats, None
