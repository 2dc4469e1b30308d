"""The cases that failed once, three thousand seeds, every planted bug, and that a seed is the same run every time."""

import os
import subprocess
import sys
import time
from functools import cache
from pathlib import Path

import pytest

from tests.simulation.__main__ import MUTANT_SEEDS as MOST
from tests.simulation.mix import NODES, Mix, drawn, parsed
from tests.simulation.mutants import MUTANTS
from tests.simulation.seeds import Case, Caught, Failure, catch_all, kept_cases, run_case, run_seeds
from tests.simulation.shrink import shrink
from tests.simulation.world import World

SEEDS = range(1, 3001)
MUTANT_SEEDS = range(1, 1 + MOST)  # within which every planted bug must be caught; most take fewer than ten
PROCESSES = os.cpu_count() or 1
TOLD_SECONDS = 15  # between two lines that say how far it is
ROOT = Path(__file__).parents[2]
TRACE = "from tests.simulation.seeds import *; c = Case.read('{case}'); w = World(*c); w.run(); print(w.trace)"


@pytest.mark.parametrize("case", kept_cases(), ids=str)
def test_a_case_that_failed_once_holds(case: Case) -> None:
    _, what = run_case(case)
    assert what is None


@pytest.mark.timeout(1200)
def test_nothing_is_lost_doubled_or_overlapped_in_three_thousand_worlds() -> None:
    stats, failures = run_seeds(SEEDS, PROCESSES, progress=Told(f"of {len(SEEDS):,} worlds"))
    assert not failures, told(failures[0])
    assert stats["seeds"] == len(SEEDS)
    happened = {name for name, number in stats.items() if number}
    assert {"node died", "node paused", "outage", "commit unknown", "link cut", "clock stepped", "cloned"} <= happened
    assert {"socket opened", "socket broke", "frame arrived before the break", "frame slow"} <= happened
    assert {"bell lost", "hop lost", "passed on", "row held", "request twice", "agent vanished"} <= happened


class Told:
    """How far it is, every so often, past pytest to whoever looks on: a single test takes minutes here."""

    def __init__(self, of_what: str) -> None:
        self._of_what = of_what
        self._told_at = time.monotonic()

    def __call__(self, done: int, _failures: int = 0) -> None:
        if time.monotonic() - self._told_at > TOLD_SECONDS and sys.__stderr__ is not None:
            self._told_at = time.monotonic()
            sys.__stderr__.write(f"\n  {done:,} {self._of_what}")
            sys.__stderr__.flush()


def told(failure: Failure) -> str:
    """The failure, made small, as a command."""
    least = shrink(failure)
    return f"{least.what}\n./scripts/simulate --case '{least.case}'\nand add that case to tests/seeds.txt"


@cache
def caught() -> dict[str, Caught]:
    """All mutants, planted once."""
    told = Told(f"of {len(MUTANTS)} planted bugs")
    return {one.mutant: one for one in catch_all(MUTANT_SEEDS, PROCESSES, told)}


@pytest.mark.xdist_group("mutants")
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("mutant", sorted(MUTANTS))
def test_a_planted_bug_is_caught(mutant: str) -> None:
    assert caught()[mutant].seeds is not None, f"{mutant} survived {len(MUTANT_SEEDS)} seeds"


def seed_with(nodes: int) -> int:
    """The first seed that draws so many nodes."""
    return next(seed for seed in SEEDS if drawn(seed).nodes == nodes)


@pytest.mark.parametrize("nodes", sorted(set(NODES)))
def test_a_seed_is_the_same_run_every_time(nodes: int) -> None:
    first = World(seed_with(nodes))
    figures = first.run()
    second = World(seed_with(nodes))
    assert (second.run(), second.trace) == (figures, first.trace)


@pytest.mark.parametrize("hash_seed", ["0", "4242"])
@pytest.mark.parametrize("more", ["", "hosts=3 jobs=24 sockets=1 pooled=1"])
def test_a_seed_is_the_same_run_whatever_order_python_gives_to_sets(hash_seed: str, more: str) -> None:
    case = Case(seed_with(3), parsed(more, drawn(seed_with(3))))
    here = World(*case)
    here.run()
    command = [sys.executable, "-W", "error", "-c", TRACE.format(case=case)]
    there = subprocess.run(
        command, cwd=ROOT, env={**os.environ, "PYTHONHASHSEED": hash_seed}, capture_output=True, text=True, check=True
    )
    assert there.stdout.strip() == here.trace


def test_seeds_differ_from_each_other() -> None:
    assert drawn(1) != drawn(2)
    first, second = World(1, Mix()), World(2, Mix())
    first.run()
    second.run()
    assert first.trace != second.trace


def test_in_a_calm_world_of_sockets_connections_stay_and_all_ends() -> None:
    world = World(2, Mix(hosts=2, jobs=10, seconds=30, sockets=1, pooled=0.5))
    stats = world.run()
    assert {name for name in stats if stats[name]} == {"jobs", "started", "steps", "virtual seconds", "socket opened"}
    assert stats["jobs"] == 13  # ten, a probe for each host, and one for whoever takes it
    assert stats["virtual seconds"] < 200


def test_in_a_calm_world_nothing_fails_and_all_ends_at_once() -> None:
    world = World(1, Mix(hosts=2, jobs=10, seconds=30))
    stats = world.run()
    assert {name for name in stats if stats[name]} == {"jobs", "started", "steps", "virtual seconds"}
    assert stats["jobs"] == 12  # ten, and a probe for each host
    assert stats["virtual seconds"] < 200
