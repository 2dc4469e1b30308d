"""`bench sockets`: agents on WebSockets, beside bare aiohttp that echoes frames."""

from collections.abc import Sequence
from pathlib import Path
from statistics import fmean

from benches.embedded import Embedded
from benches.plan import FleetHost, Outcome, Plan
from benches.processes import Server, bare
from benches.seed import Seed, sow
from benches.sockets_sizes import SocketSizes
from benches.steps import Figures, Say, Step

_LOAD_SECONDS = 300.0  # that one load may take


class Sockets(Embedded):
    """One server on its embedded default."""

    def __init__(self, sizes: SocketSizes, folder: Path, say: Say) -> None:
        super().__init__(sizes, folder, say)
        self.sizes = sizes

    def prepare(self) -> None:
        """Data directories to copy from, and a look at the kind of loop that the server runs on."""
        z = self.sizes
        self._say(f"preparing: {z.hosts} hosts; {z.hosts + z.idle:,} idle ones; {z.idle:,} with a job waiting")
        self._seeds["small"] = sow(self._folder / "small", z.hosts)
        self._seeds["wide"] = sow(self._folder / "wide", z.hosts + z.idle)
        self._seeds["waiting"] = sow(self._folder / "waiting", 1, others=z.idle, pending=1)
        self._look_at_loop()

    def steps(self) -> Sequence[Step]:
        """Each takes what is compared within seconds of each other."""
        return self._jobs, self._pool, self._memory, self._storm, self._cancel, self._dashboards

    # ---- the steps -------------------------------------------------------------------------------------------------

    def _jobs(self) -> Figures:
        return self._end_to_end("socket_jobs", self.sizes.jobs)[0]

    def _pool(self) -> Figures:
        figures, jobs = self._end_to_end("socket_pool", self.sizes.pool_jobs)
        return figures | {name: fmean(one.figures[name] for one in jobs) for name in jobs[0].figures}

    def _end_to_end(self, load: str, count: int) -> tuple[Figures, Sequence[Outcome]]:
        z = self.sizes

        def done() -> Outcome:
            with self._embedded("small") as (server, seed):
                return self._drive(load, server, seed, seed.hosts, count)

        return self._beside_bare(load, Plan(load="socket_echo", port=0, pid=0, count=z.echoes, clients=z.hosts), done)

    def _memory(self) -> Figures:
        z = self.sizes
        with bare(self.loop, self._folder) as server:
            plan = Plan(load="sit_bare", port=server.port, pid=server.pid, count=z.idle, clients=z.hosts)
            bare_ones = self._driven(plan)
        with self._embedded("wide") as (server, seed):
            agents = self._drive("sit", server, seed, seed.hosts, z.idle, clients=z.hosts)
        each, bare_each = agents.figures["KB each"], bare_ones.figures["KB each"]
        return {"connection KB": each, "bare connection KB": bare_each, "KB more": each - bare_each}

    def _storm(self) -> Figures:
        with self._embedded("waiting") as (server, seed):
            return dict(self._drive("socket_storm", server, seed, [*seed.hosts, *seed.others], 0).figures)

    def _cancel(self) -> Figures:
        def cancelled() -> Outcome:
            with self._embedded("small") as (server, seed):
                return self._drive("socket_cancel", server, seed, seed.hosts, self.sizes.cancels)

        return self._beside_round_trips("cancel", 3000, cancelled)

    def _dashboards(self) -> Figures:
        """All read; then one of them does not."""
        figures: Figures = {}
        for load in ("dashboards", "slow_dashboard"):
            with self._embedded("small") as (server, seed):
                outcome = self._drive(load, server, seed, seed.hosts, self.sizes.watched)
            figures |= {load: outcome.rate} | {f"{load} {name}": value for name, value in outcome.figures.items()}
        return figures | {"slow MB more": figures["slow_dashboard MB"] - figures["dashboards MB"]}

    # ---- how -------------------------------------------------------------------------------------------------------

    def _drive(
        self, load: str, server: Server, seed: Seed, hosts: Sequence[FleetHost], count: int, clients: int = 0
    ) -> Outcome:
        z = self.sizes
        return self._driven(
            Plan(
                load=load,
                port=server.port,
                pid=server.pid,
                count=count,
                clients=clients or z.clients,
                batch=z.batch,
                org=seed.org,
                token=seed.token,
                hosts=hosts,
                watchers=z.dashboards,
                seconds=_LOAD_SECONDS,
            )
        )
