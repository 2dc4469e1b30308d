"""`bench guards`: what it costs to ask who may do what, to look at what is sent, and to refuse in a readable way."""

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from statistics import fmean

from benches.embedded import Embedded, jobs_plan
from benches.figures import Floor, Row, Yardstick
from benches.plan import BenchFailed, Outcome
from benches.seed import sow
from benches.steps import Effort, Figures, Say, Step

UNCHECKED = "benches.unchecked"
_SHARE = Floor(at_most=1.15)
_LOADS = {"single": "single creates", "batch": "batches and ?next=1"}


class GuardSizes(Effort, frozen=True, kw_only=True):
    """How much of everything."""

    hosts: int = 100
    clients: int = 8  # so many creates are let in however slow the server is
    jobs: int = 5000
    batch: int = 100
    batch_clients: int = 2  # more would be refused for want of room, each server as often as it is slow
    batched: int = 15_000


QUICK_GUARDS = GuardSizes(rounds=1, tries=1, patience_seconds=0, jobs=500, batched=1000)


class Guards(Embedded):
    """The server as it is, and one that believes whatever it is sent, one after the other and back."""

    def __init__(self, sizes: GuardSizes, folder: Path, say: Say) -> None:
        super().__init__(sizes, folder, say)
        self.sizes = sizes

    def prepare(self) -> None:
        """A data directory to copy from, and a look at the kind of loop that the server runs on."""
        self._say(f"preparing: {self.sizes.hosts} hosts")
        self._seeds["small"] = sow(self._folder / "small", self.sizes.hosts)
        self._look_at_loop()

    def steps(self) -> Sequence[Step]:
        """Each takes what is compared within seconds of each other."""
        return [partial(self._load, load) for load in _LOADS]

    def _load(self, load: str) -> Figures:
        checked, unchecked = self._there_and_back(partial(self._drive, load), partial(self._drive, load, UNCHECKED))
        return {
            f"{load} CPU": fmean(one.server_cpu_us for one in checked),
            f"{load} unchecked CPU": fmean(one.server_cpu_us for one in unchecked),
        }

    def _drive(self, load: str, launcher: str = "") -> Outcome:
        z = self.sizes
        count, clients = (z.jobs, z.clients) if load == "single" else (z.batched, z.batch_clients)
        with self._embedded("small", launcher) as (server, seed):
            plan = jobs_plan(load, server, seed, count, clients=clients, batch=z.batch)
            outcome = self._driven(plan, f"{load}, unchecked" if launcher else load)
            if refused := server.refused_creates:
                raise BenchFailed(f"{refused} creates were refused, which is work that no job is counted for")
            return outcome


def guards_rows(of: Mapping[str, Sequence[float]]) -> list[Row]:
    """The medians beside what the same costs unchecked."""
    return [
        Row(
            name=f"all checks, {words}",
            unit="µs/job",
            values=of[f"{load} CPU"],
            yardstick=Yardstick("unchecked", of[f"{load} unchecked CPU"]),
            floor=_SHARE,
        )
        for load, words in _LOADS.items()
    ]
