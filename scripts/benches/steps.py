"""How figures are taken: round by round, in steps that hold what is compared within seconds of each other."""

from abc import ABC, abstractmethod
from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import TypeAlias, TypeVar

import msgspec

from benches.figures import Cores
from benches.plan import BenchFailed, Outcome, Plan
from benches.processes import drive, wait_until_quiet

Say = Callable[[str], None]
Figures: TypeAlias = dict[str, float]
Step: TypeAlias = Callable[[], Figures]
Taken: TypeAlias = Callable[[], Outcome]
Came = TypeVar("Came")  # what a load came to

QUIET_CORES = 0.2  # what others may use while a figure is taken before it is taken again


class Effort(msgspec.Struct, frozen=True, kw_only=True):
    """How often figures are taken, and how patiently."""

    rounds: int = 3
    tries: int = 2  # at most, for a step during which others were busy
    patience_seconds: float = 10.0  # at most, until others leave the machine alone before a step


class Steps(ABC):
    """Takes the figures; `values` has those of each name in the order in which they were taken."""

    def __init__(self, effort: Effort, say: Say) -> None:
        self.loop = ""  # the kind of loop that the server runs on, once that was looked at
        self.engines = ""  # versions of what it rests on, beside SQLite
        self.values: dict[str, list[float]] = defaultdict(list)
        self.cores: dict[str, list[Cores]] = defaultdict(list)  # by load
        self.count = self.disturbed = 0  # steps, and those that others disturbed even in the quietest try
        self._effort = effort
        self._say = say
        self._taken: list[tuple[str, Cores]] = []  # by the step that is being taken

    @abstractmethod
    def prepare(self) -> None:
        """What all rounds start from."""

    @abstractmethod
    def steps(self) -> Sequence[Step]:
        """What a round consists of."""

    def round(self) -> None:
        """Every figure once."""
        for step in self.steps():
            self._undisturbed(step)

    def _undisturbed(self, step: Step) -> None:
        """Take a step; take it again when others were busy meanwhile, and keep the quietest."""
        kept: tuple[float, Figures, list[tuple[str, Cores]]] | None = None
        for _ in range(self._effort.tries):
            wait_until_quiet(self._effort.patience_seconds)
            self._taken = []
            figures = step()
            loudest = max(cores.others for _, cores in self._taken)
            if kept is None or loudest < kept[0]:
                kept = loudest, figures, self._taken
            if loudest <= QUIET_CORES:
                break
            self._say("    others were busy meanwhile")
        if kept is None:
            raise BenchFailed("a step takes at least one try")
        self.count += 1
        self.disturbed += kept[0] > QUIET_CORES
        for name, figure in kept[1].items():
            self.values[name].append(figure)
        for load, cores in kept[2]:
            self.cores[load].append(cores)

    def _driven(self, plan: Plan, name: str = "") -> Outcome:
        """Put a load on; what it came to is kept under its name, or another."""
        outcome = drive(plan)
        name = name or plan.load
        self._taken.append((name, outcome.cores))
        server, driver, others, engines = outcome.cores
        busy = f"cores: server {server:.2f}, engines {engines:.2f}, driver {driver:.2f}, others {others:.2f}"
        self._say(f"    {name:<24} {outcome.rate:>9,.0f}/s   {outcome.all_cpu_us:>5,.0f} µs   {busy}")
        return outcome

    @staticmethod
    def _there_and_back(*loads: Callable[[], Came]) -> Sequence[tuple[Came, Came]]:
        """Each load, then each again in the other order: a machine that grows slower or warmer favours none of them."""
        there = [load() for load in loads]
        back = [load() for load in reversed(loads)]
        return list(zip(there, reversed(back), strict=True))
