"""Benches of servers on their embedded default, each on a fresh copy of a data directory that was sown once."""

import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from statistics import fmean

import msgspec

from benches.figures import percentile
from benches.plan import Outcome, Plan
from benches.processes import Server, bare, interlock
from benches.seed import Seed, copy_to_disk
from benches.steps import Effort, Figures, Say, Steps, Taken


def jobs_plan(load: str, server: Server, seed: Seed, count: int, *, clients: int, batch: int) -> Plan:
    """So many jobs for the seed's hosts."""
    return Plan(
        load=load,
        port=server.port,
        pid=server.pid,
        count=count,
        clients=clients,
        batch=batch,
        org=seed.org,
        token=seed.token,
        hosts=seed.hosts,
    )


class Embedded(Steps):
    """`_seeds` are the data directories to copy from, by name."""

    def __init__(self, effort: Effort, folder: Path, say: Say) -> None:
        super().__init__(effort, say)
        self._folder = folder
        self._seeds: dict[str, Seed] = {}

    def _look_at_loop(self) -> None:
        """To be called once there is a small seed."""
        with self._embedded("small") as (server, _):
            self.loop = server.loop

    @contextmanager
    def _embedded(self, name: str, launcher: str = "") -> Iterator[tuple[Server, Seed]]:
        """A new server on a copy of that data directory."""
        seed, copy = self._seeds[name], self._folder / "running"
        copy_to_disk(seed.folder, copy)
        try:
            with interlock(copy, launcher=launcher) as server:
                yield server, seed
        finally:
            shutil.rmtree(copy)

    def _beside_bare(self, load: str, echo: Plan, done: Taken) -> tuple[Figures, Sequence[Outcome]]:
        """The load beside a bare server, there and back: rates and CPU of both, and what the load came to each time. `echo`
        is the plan for the bare one, whatever its port will be.
        """

        def echoed() -> Outcome:
            with bare(self.loop, self._folder) as server:
                return self._driven(msgspec.structs.replace(echo, port=server.port, pid=server.pid))

        echoes, jobs = self._there_and_back(echoed, done)
        figures = {
            f"{load} bare": fmean(one.rate for one in echoes),
            f"{load} bare CPU": fmean(one.server_cpu_us for one in echoes),
            load: fmean(one.rate for one in jobs),
            f"{load} CPU": fmean(one.server_cpu_us for one in jobs),
        }
        return figures, jobs

    def _beside_round_trips(self, name: str, count: int, done: Taken) -> Figures:
        """Latencies of a load beside so many round trips to a bare server, there and back."""

        def sent() -> Outcome:
            with bare(self.loop, self._folder) as server:
                return self._driven(Plan(load="round_trip", port=server.port, pid=server.pid, count=count))

        trips, taken = self._there_and_back(sent, done)
        figures = {"round trip": fmean(percentile(one.latencies_ms, 50) for one in trips)}
        for percent in (50, 99):
            figures[f"{name} p{percent}"] = fmean(percentile(one.latencies_ms, percent) for one in taken)
        return figures
