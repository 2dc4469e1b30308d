"""A few hundred seeds, the planted bugs, and that a seed is the same run every time."""

import os

import pytest

from tests.simulation.mutants import MUTANTS
from tests.simulation.seeds import run_seeds
from tests.simulation.world import World

SEEDS = 300
MUTANT_SEEDS = 200  # within which every planted bug must be caught; most take fewer than ten


@pytest.mark.timeout(600)
def test_nothing_is_lost_doubled_or_overlapped_in_a_few_hundred_worlds() -> None:
    stats, failures = run_seeds(1, SEEDS, os.cpu_count() or 1)
    assert failures == []
    assert stats["seeds"] == SEEDS
    happened = {name for name, number in stats.items() if number}
    assert {"server died", "agent died", "link cut", "commit failed", "commit unknown"} <= happened


@pytest.mark.timeout(600)
@pytest.mark.parametrize("mutant", sorted(MUTANTS))
def test_a_planted_bug_is_caught(mutant: str) -> None:
    _, failures = run_seeds(1, MUTANT_SEEDS, os.cpu_count() or 1, mutant)
    assert failures, f"{mutant} survived {MUTANT_SEEDS} seeds"


def test_a_seed_is_the_same_run_every_time() -> None:
    first, second = World(7), World(7)
    assert (first.run(), first.loop.steps, first.loop.now_ms) == (second.run(), second.loop.steps, second.loop.now_ms)
    assert first.ended == second.ended
