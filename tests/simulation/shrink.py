"""From a failing case to a smaller one that fails in the same way: fewer faults, hosts and jobs, less time."""

import re
from collections.abc import Callable, Iterator

import msgspec

from tests.simulation.mix import BESIDE, SIZES, STRENGTHS, Mix
from tests.simulation.seeds import Case, Failure, run_case

MOST_RUNS = 300
_SMALLEST = {"nodes": 1, "hosts": 1, "jobs": 0, "seconds": 5, "sticky": 0}
_NAMES = re.compile(r"[0-9a-f]{8}-[0-9a-f-]+|[0-9]+")


def kind_of(what: str) -> str:
    """A failure without its ids and numbers."""
    return _NAMES.sub("", what)[:60]


def shrink(failure: Failure, run: Callable[[Case], str | None] = lambda case: run_case(case)[1]) -> Failure:
    """The smallest case that could be found within a few hundred runs."""
    kind, runs = kind_of(failure.what), 0
    best = Failure(Case(failure.case.seed, failure.case.whole), failure.what)
    smaller = _smaller(best.case.whole)
    while (mix := next(smaller, None)) is not None and runs < MOST_RUNS:
        runs += 1
        what = run(Case(best.case.seed, mix))
        if what is not None and kind_of(what) == kind:
            best = Failure(Case(best.case.seed, mix), what)
            smaller = _smaller(mix)
    return best


def _smaller(mix: Mix) -> Iterator[Mix]:
    """Mixes with one thing less, the largest steps first."""
    for name in SIZES:
        size, smallest = getattr(mix, name), _SMALLEST[name]
        for less in dict.fromkeys((smallest, size // 4, size // 2, size - max(size // 8, 1))):
            if smallest <= less < size:
                yield msgspec.structs.replace(mix, **{name: less})
    for name in (*STRENGTHS, *BESIDE):
        if getattr(mix, name):
            yield msgspec.structs.replace(mix, **{name: 0.0})
