"""Many seeds on several processes; each is its own world. And the seeds that are kept because they once failed."""

import gc
import logging
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from tests.simulation.mix import Mix, drawn, parsed, shown
from tests.simulation.mutants import MIXES, MUTANTS, WEATHER
from tests.simulation.world import World

KEPT = Path(__file__).parents[1] / "seeds.txt"
CHUNK = 20  # seeds that a process runs before it reports
_GARBAGE = 20_000  # objects between two collections: a world makes many, and is soon over


class Case(NamedTuple):
    """A world that can be run again: its seed, and its mix where that is not what the seed draws."""

    seed: int
    mix: Mix | None = None

    @classmethod
    def read(cls, text: str) -> "Case":
        """`17`, or `17 hosts=1 jobs=4 reply_lost=0.1`, whatever follows a `#`; `ValueError` when it makes no sense."""
        seed, _, mix = text.partition("#")[0].strip().partition(" ")
        return cls(int(seed), parsed(mix) if mix.strip() else None)

    def __str__(self) -> str:
        return f"{self.seed}" if self.mix is None else f"{self.seed} {shown(self.mix)}"

    @property
    def whole(self) -> Mix:
        """Everything about its world."""
        return self.mix or drawn(self.seed)


class Failure(NamedTuple):
    """A case in which something did not hold."""

    case: Case
    what: str


def kept_cases() -> list[Case]:
    """The cases of `tests/seeds.txt`."""
    lines = KEPT.read_text().splitlines() if KEPT.exists() else []
    return [Case.read(line) for line in lines if line.partition("#")[0].strip()]


def keep(failure: Failure) -> None:
    """Write it down, to be run first from now on."""
    with KEPT.open("a") as file:
        file.write(f"{failure.case}  # {failure.what[:120]}\n")


def planted(mutant: str | None) -> AbstractContextManager[None]:
    """Production with that bug in it."""
    return MUTANTS[mutant]() if mutant else nullcontext()


def run_case(case: Case) -> tuple[Counter[str], str | None]:
    """What happened, and what did not hold, if anything."""
    world = World(case.seed, case.whole, traced=False)
    try:
        return world.run(), None
    except Exception as violation:  # noqa: BLE001 - under a mutant anything may break, and counts
        return world.stats, f"{type(violation).__name__}: {violation}"


def run_seeds(
    seeds: range,
    processes: int,
    mutant: str | None = None,
    *,
    most_failures: int = 1,
    progress: Callable[[int, int], None] = lambda _done, _failures: None,
) -> tuple[Counter[str], list[Failure]]:
    """What happened in all of them, and the first in which something did not hold."""
    stats, failures = Counter[str](), list[Failure]()
    chunks = (seeds[start : start + CHUNK] for start in range(0, len(seeds), CHUNK))
    with ProcessPoolExecutor(processes, initializer=settle_in) as pool:
        under_way: list[Future[tuple[Counter[str], list[Failure]]]] = []
        for chunk in _fed(chunks, under_way, pool, processes * 2, mutant):
            chunk_stats, failed = chunk.result()
            stats += chunk_stats
            failures += failed
            progress(stats["seeds"], len(failures))
            if len(failures) >= most_failures:
                pool.shutdown(cancel_futures=True)
                break
    return stats, failures


def _fed(
    chunks: Iterator[range],
    under_way: "list[Future[tuple[Counter[str], list[Failure]]]]",
    pool: ProcessPoolExecutor,
    ahead: int,
    mutant: str | None,
) -> "Iterator[Future[tuple[Counter[str], list[Failure]]]]":
    """The chunks in their order, a few of them under way at any time."""
    under_way.extend(pool.submit(_run_chunk, chunk, mutant) for chunk in islice(chunks, ahead))
    while under_way:
        yield under_way.pop(0)
        under_way.extend(pool.submit(_run_chunk, chunk, mutant) for chunk in islice(chunks, 1))


def settle_in() -> None:
    """A process that runs worlds: it says nothing, and collects garbage seldom."""
    logging.disable(logging.CRITICAL)
    gc.set_threshold(_GARBAGE, 20, 20)


def _run_chunk(seeds: range, mutant: str | None) -> tuple[Counter[str], list[Failure]]:
    stats, failures = Counter[str](), list[Failure]()
    with planted(mutant):
        for seed in seeds:
            case = case_for(mutant, seed)
            happened, what = run_case(case)
            stats += happened
            stats["seeds"] += 1
            if what is not None:
                failures.append(Failure(case, what))
                if mutant:
                    break
    return stats, failures


class Caught(NamedTuple):
    """How a mutant fared: by which of the seeds, counted from the first, and by what; nothing if it survived."""

    mutant: str
    seeds: int | None
    what: str = ""


def case_for(mutant: str | None, seed: int) -> Case:
    """The world of a seed, in the weather that a rare bug needs."""
    if mutant in MIXES:
        return Case(seed, parsed(MIXES[mutant]))
    return Case(seed, parsed(WEATHER[mutant], drawn(seed)) if mutant in WEATHER else None)


def catch(mutant: str, seeds: range) -> Caught:
    """Run the seeds with that bug in production until one of them catches it."""
    _, failures = _run_chunk(seeds, mutant)
    return (
        Caught(mutant, failures[0].case.seed - seeds.start + 1, failures[0].what) if failures else Caught(mutant, None)
    )


def catch_all(seeds: range, processes: int, progress: Callable[[int], None] = lambda _done: None) -> list[Caught]:
    """Every mutant, several at once."""
    caught: list[Caught] = []
    with ProcessPoolExecutor(processes, initializer=settle_in) as pool:
        for one in pool.map(catch, MUTANTS, [seeds] * len(MUTANTS)):
            caught.append(one)
            progress(len(caught))
    return caught
