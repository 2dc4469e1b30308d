"""`bench production`: on PostgreSQL and Redis, with a million waiting jobs, without fence and events, and after a kill."""

import random
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from functools import partial
from pathlib import Path
from statistics import fmean
from typing import TypeAlias

from benches.embedded import Embedded
from benches.figures import percentile
from benches.plan import Outcome, Plan, Victim
from benches.processes import Server, bare, interlock
from benches.production_sizes import ProductionSizes
from benches.seed import Seed, sow
from benches.steps import Figures, Say, Step
from engines.postgres import Postgres, postgres
from engines.redis_server import OwnRedis, own_redis

# More than its small defaults, far less than a database server would be given.
POSTGRES = {"shared_buffers": "256MB", "max_wal_size": "2GB"}
UNGUARDED = "benches.unguarded"
Served: TypeAlias = Callable[[], AbstractContextManager[tuple[Server, Seed]]]


class Production(Embedded):
    """Servers on engines of our own, which keep what they are told: fsync is on."""

    def __init__(self, sizes: ProductionSizes, folder: Path, say: Say, engines: ExitStack) -> None:
        super().__init__(sizes, folder, say)
        self.sizes = sizes
        self._postgres: Postgres = engines.enter_context(postgres(durable=True, settings=POSTGRES))
        self._redis: OwnRedis = engines.enter_context(own_redis())
        self._chance = random.Random(1)  # noqa: S311 - which host is looked at first

    def prepare(self) -> None:
        """Databases to start from, and a look at the kind of loop that the server runs on."""
        z = self.sizes
        self._say(f"preparing: {z.hosts} hosts; {z.others * z.pending_each:,} jobs that wait on other hosts, twice")
        small, deep = ("small", z.hosts, 0, 0), ("deep", z.hosts, z.others, z.pending_each)
        for name, hosts, others, pending in (small, deep):
            self._seeds[name] = sow(self._folder / name, hosts, others=others, pending=pending)
            url = self._postgres.create(f"seed_{name}")
            folder = self._folder / f"pg-{name}"
            self._seeds[f"pg {name}"] = sow(folder, hosts, others=others, pending=pending, url=url)
            # As it has long been where so many jobs wait: else it would be done at some time in the middle of a load.
            self._postgres.run("VACUUM ANALYZE", f"seed_{name}")
        self._look_at_loop()
        self._single("warming up")  # a new PostgreSQL is slower at first
        ((version,),) = self._postgres.run("SHOW server_version")
        with self._redis.client() as client:
            self.engines = f"PostgreSQL {version}, Redis {client.info('server')['redis_version']}"

    def steps(self) -> Sequence[Step]:
        """Each takes what is compared within seconds of each other."""
        return self._on_postgres, self._on_sqlite, self._deep_on_sqlite, self._deep_on_postgres, self._takeovers

    # ---- the steps -------------------------------------------------------------------------------------------------

    def _on_postgres(self) -> Figures:
        z = self.sizes
        with bare(self.loop, self._folder) as server:
            echo = self._driven(Plan(load="echo", port=server.port, pid=server.pid, count=z.echoes, clients=z.clients))
        pg, both, unguarded = self._there_and_back(
            lambda: self._single("postgres", redis=False),
            lambda: self._single("postgres + redis"),
            lambda: self._single("the same, unguarded", UNGUARDED),
        )
        return {
            "bare": echo.rate,
            "bare CPU": echo.server_cpu_us,
            "pg": fmean(one.rate for one in pg),
            "pg redis": fmean(one.rate for one in both),
            "pg server CPU": fmean(one.server_cpu_us for one in pg),
            "pg redis server CPU": fmean(one.server_cpu_us for one in both),
            "pg redis all CPU": fmean(one.all_cpu_us for one in both),
            "pg unguarded server CPU": fmean(one.server_cpu_us for one in unguarded),
            "pg unguarded all CPU": fmean(one.all_cpu_us for one in unguarded),
        }

    def _single(self, name: str, launcher: str = "", *, redis: bool = True) -> Outcome:
        with self._on_database("small", redis=redis, launcher=launcher) as (server, seed):
            return self._drive("single", server, seed, self.sizes.jobs, name)

    def _on_sqlite(self) -> Figures:
        figures: Figures = {}
        for load in ("single", "batch"):
            guarded, unguarded = self._there_and_back(partial(self._lite, load), partial(self._lite, load, UNGUARDED))
            figures[f"{load} CPU"] = fmean(one.server_cpu_us for one in guarded)
            figures[f"{load} unguarded CPU"] = fmean(one.server_cpu_us for one in unguarded)
        return figures

    def _lite(self, load: str, launcher: str = "") -> Outcome:
        with self._embedded("small", launcher) as (server, seed):
            return self._drive(load, server, seed, self.sizes.jobs, f"{load}, unguarded" if launcher else load)

    def _deep_on_sqlite(self) -> Figures:
        return self._deep("", partial(self._embedded, "small"), partial(self._in_place, self._seeds["deep"]))

    def _deep_on_postgres(self) -> Figures:
        options = self._options("seed_deep", redis=True)

        def many() -> AbstractContextManager[tuple[Server, Seed]]:
            self._postgres.run("CHECKPOINT")  # as before a load on a copy
            return self._in_place(self._seeds["pg deep"], options)

        return self._deep("pg ", partial(self._on_database, "small"), many)

    def _deep(self, prefix: str, few: Served, many: Served) -> Figures:
        """Each server is killed when it has done its jobs, so that the last one starts as after a crash."""

        def drained(served: Served, name: str) -> Outcome:
            with served() as (server, seed):
                outcome = self._drive("drain", server, seed, self.sizes.drained, f"{prefix}{name}")
                server.kill()
                return outcome

        small, deep = self._there_and_back(lambda: drained(few, "drain"), lambda: drained(many, "drain deep"))
        with many() as (server, seed):
            return {
                f"{prefix}drain small": fmean(one.rate for one in small),
                f"{prefix}drain deep": fmean(one.rate for one in deep),
                f"{prefix}first job": server.seconds_to_job(self._chance.choice(seed.others)),
                f"{prefix}restart": server.ready_seconds,
            }

    def _takeovers(self) -> Figures:
        """Each kill is of the node that owns everything; a new one takes its place and is killed later."""
        seed, name = self._seeds["pg small"], self._copy("small")
        options, took = self._options(name, redis=True), list[float]()
        try:
            for _ in range(self.sizes.kills):
                with self._node(name, options) as owner, self._node(name, options) as other:
                    took += self._taken_over(owner, other, seed)
        finally:
            self._postgres.drop(name)
        return {f"takeover p{percent}": percentile(took, percent) / 1000 for percent in (50, 99, 100)}

    def _taken_over(self, owner: Server, other: Server, seed: Seed) -> Sequence[float]:
        victim = Victim(owner.port, owner.pid)
        plan = self._plan("takeover", other, seed, len(seed.hosts), victim)
        return self._driven(plan).latencies_ms

    # ---- how -------------------------------------------------------------------------------------------------------

    @contextmanager
    def _in_place(self, seed: Seed, options: Sequence[str] = ()) -> Iterator[tuple[Server, Seed]]:
        """A new server on the seed itself, where a copy would take long: few jobs are done beside those that wait."""
        with interlock(seed.folder, options) as server:
            yield server, seed

    @contextmanager
    def _on_database(self, name: str, *, redis: bool = True, launcher: str = "") -> Iterator[tuple[Server, Seed]]:
        """A new server on a copy of that database."""
        copy = self._copy(name)
        try:
            with self._node(copy, self._options(copy, redis=redis), launcher) as server:
                yield server, self._seeds[f"pg {name}"]
        finally:
            self._postgres.drop(copy)

    def _copy(self, name: str) -> str:
        copy = f"running_{name}"
        self._postgres.create(copy, template=f"seed_{name}")
        self._postgres.run("CHECKPOINT")  # or the server's first flush would pay for it
        return copy

    def _options(self, database: str, *, redis: bool) -> Sequence[str]:
        return ("--database-url", self._postgres.url(database), *(("--redis-url", self._redis.url) if redis else ()))

    @contextmanager
    def _node(self, name: str, options: Sequence[str], launcher: str = "") -> Iterator[Server]:
        """One with an empty data directory: its secret is in the database."""
        folder = self._folder / f"node-{name}-{self._chance.getrandbits(64):x}"
        folder.mkdir(mode=0o700)
        try:
            with interlock(folder, options, launcher=launcher) as server:
                yield server
        finally:
            shutil.rmtree(folder)

    def _drive(self, load: str, server: Server, seed: Seed, count: int, name: str) -> Outcome:
        return self._driven(self._plan(load, server, seed, count), name)

    def _plan(self, load: str, server: Server, seed: Seed, count: int, victim: Victim | None = None) -> Plan:
        running = [engine.server for engine in (self._postgres, self._redis)]
        return Plan(
            load=load,
            port=server.port,
            pid=server.pid,
            count=count,
            clients=self.sizes.clients,
            org=seed.org,
            token=seed.token,
            hosts=seed.hosts,
            engines=[engine.pid for engine in running if engine is not None],
            victim=victim,
        )
