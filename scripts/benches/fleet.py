"""`bench fleet`: how many jobs travel through a server, how fast, and what each costs, beside bare aiohttp."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from statistics import fmean

from benches.embedded import Embedded, jobs_plan
from benches.plan import BenchFailed, FleetHost, Outcome, Plan
from benches.processes import Server
from benches.seed import Seed, sow
from benches.sizes import Sizes
from benches.steps import Figures, Say, Step


class Fleet(Embedded):
    """One server on its embedded default."""

    def __init__(self, sizes: Sizes, folder: Path, say: Say) -> None:
        super().__init__(sizes, folder, say)
        self.sizes = sizes

    def prepare(self) -> None:
        """Data directories to copy from, and a look at the kind of loop that the server runs on."""
        z = self.sizes
        waiting = z.others * z.pending_each
        self._say(f"preparing: {z.hosts} hosts; {waiting:,} jobs that wait on other hosts; {z.idle:,} idle hosts")
        self._seeds["small"] = sow(self._folder / "small", z.hosts)
        self._seeds["deep"] = sow(self._folder / "deep", z.hosts, others=z.others, pending=z.pending_each)
        self._seeds["wide"] = sow(self._folder / "wide", z.idle)
        self._look_at_loop()

    def steps(self) -> Sequence[Step]:
        """Each takes what is compared within seconds of each other."""
        return self._single, self._batch, self._dispatch, self._drain, self._memory

    # ---- the steps -------------------------------------------------------------------------------------------------

    def _single(self) -> Figures:
        return self._end_to_end("single")

    def _batch(self) -> Figures:
        return self._end_to_end("batch")

    def _end_to_end(self, load: str) -> Figures:
        z = self.sizes

        def done() -> Outcome:
            with self._embedded("small") as (server, seed):
                return self._drive(load, server, seed, z.jobs)

        return self._beside_bare(load, Plan(load="echo", port=0, pid=0, count=z.echoes, clients=z.clients), done)[0]

    def _dispatch(self) -> Figures:
        def dispatched() -> Outcome:
            with self._embedded("small") as (server, seed):
                return self._drive("dispatch", server, seed, self.sizes.dispatched)

        return self._beside_round_trips("dispatch", self.sizes.echoes // 10, dispatched)

    def _drain(self) -> Figures:
        """Beside an org in which nothing else waits, and one in which much does."""
        starts: dict[str, list[float]] = {"small": [], "deep": []}

        def drained(name: str) -> Outcome:
            with self._embedded(name) as (server, seed):
                starts[name].append(server.ready_seconds)
                return self._drive("drain", server, seed, self.sizes.drained)

        small, deep = self._there_and_back(partial(drained, "small"), partial(drained, "deep"))
        return {
            "start small": fmean(starts["small"]),
            "drain small": fmean(one.rate for one in small),
            "start deep": fmean(starts["deep"]),
            "drain deep": fmean(one.rate for one in deep),
        }

    def _memory(self) -> Figures:
        """Hosts that only have rows against none; then hosts that have each polled once against those rows."""
        few, many = self.sizes.hosts, self.sizes.idle
        with self._embedded("small") as (server, _):
            without = server.resident_bytes
        with self._embedded("wide") as (server, seed):
            rows, actors = server.resident_bytes - without, server.host_actors
            self._touch(server, seed.hosts[:few])  # so that what is loaded and pooled once is not counted
            before, known = server.resident_bytes, server.host_actors
            self._touch(server, seed.hosts[few:])
            live = server.host_actors - known
            grown = server.resident_bytes - before
        if live != many - few:
            raise BenchFailed(f"{live} host actors came to life, not {many - few}")
        return {"row KB": max(rows, 0) / (many - few) / 1024, "row actors": actors, "live KB": grown / live / 1024}

    def _touch(self, server: Server, hosts: list[FleetHost]) -> None:
        self._driven(Plan(load="touch", port=server.port, pid=server.pid, count=len(hosts), hosts=hosts))

    # ---- how -------------------------------------------------------------------------------------------------------

    def _drive(self, load: str, server: Server, seed: Seed, count: int) -> Outcome:
        z = self.sizes
        return self._driven(jobs_plan(load, server, seed, count, clients=z.clients, batch=z.batch))
