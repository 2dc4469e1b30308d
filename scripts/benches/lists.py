"""`bench lists`: pages of jobs among a million, on both databases, beside a lookup of one job by its key.

It calls the store's own query, so what is measured is the databases and what is made of their rows, not HTTP.
"""

import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path

from peewee import Database

from benches.figures import Cores, Floor, Row, Yardstick
from benches.lists_seed import (
    BEGAN,
    BIG,
    BOB,
    COMMON,
    EVERY,
    MIDDLE,
    NEEDLE,
    OLD_HOST,
    OLD_TYPE,
    RARE,
    SMALL,
    job_id,
    sow_jobs,
)
from benches.steps import Effort, Figures, Say, Step, Steps
from engines.postgres import postgres
from interlock.job_sort import JobSort
from store import open_database
from store.database import migrate
from store.job_lists import list_jobs
from store.jobs import JobFilter, full_job

PAGE = 50
LONGEST_MS = 20.0  # that a page may take


class ListSizes(Effort, frozen=True, kw_only=True):
    """How much of everything."""

    jobs: int = 1_000_000
    calls: int = 30  # of each page; the median counts


QUICK_LISTS = ListSizes(rounds=1, tries=1, patience_seconds=0, jobs=20_000, calls=5)


Case = tuple[str, JobFilter, JobSort]  # the organization, the filters, the order


def cases(jobs: int) -> dict[str, Case]:
    """What is asked, by name."""
    half = BEGAN + jobs * EVERY // 2
    newest_first = {
        "first page": (BIG, JobFilter()),
        "page in the middle": (BIG, JobFilter(before_id=job_id(half, 0))),
        "first page, small organization": (SMALL, JobFilter()),
        "status, few": (BIG, JobFilter(status="FAILED")),
        "status, none": (BIG, JobFilter(status="RUNNING")),
        "status, all old": (BIG, JobFilter(status="CANCELLED")),
        "host": (BIG, JobFilter(host_id="host-3")),
        "host, all old": (BIG, JobFilter(host_id=OLD_HOST)),
        "type, most": (BIG, JobFilter(type=COMMON)),
        "type, few": (BIG, JobFilter(type=RARE)),
        "type, all old": (BIG, JobFilter(type=OLD_TYPE)),
        "creator, few": (BIG, JobFilter(created_by_id=BOB)),
        "since": (BIG, JobFilter(since=half)),
        "status and type": (BIG, JobFilter(status="FAILED", type=RARE)),
        "host and status": (BIG, JobFilter(host_id="host-3", status="FAILED")),
        "host and type, both old": (MIDDLE, JobFilter(host_id=OLD_HOST, type=OLD_TYPE)),
        "text, few": (BIG, JobFilter(text=NEEDLE)),
        "text and status": (BIG, JobFilter(text="nowhere", status="COMPLETED")),
    }
    found: dict[str, Case] = {name: (*asked, JobSort.NEWEST) for name, asked in newest_first.items()}
    return found | sorted_cases(half)


def sorted_cases(half: int) -> dict[str, Case]:
    """The same in the other orders, with one filter each, and two where none of them leads far."""
    narrowed = {
        "all": JobFilter(),
        "status": JobFilter(status="FAILED"),
        "host": JobFilter(host_id="host-3"),
        "type": JobFilter(type=RARE),
        "type, all old": JobFilter(type=OLD_TYPE),
        "creator": JobFilter(created_by_id=BOB),
        "since": JobFilter(since=half),
        "text": JobFilter(text=NEEDLE),
        "host and text": JobFilter(host_id="host-3", text="nowhere"),
    }
    orders = [sort for sort in JobSort if sort is not JobSort.NEWEST]
    return {f"{sort}, {name}": (BIG, narrow, sort) for sort in orders for name, narrow in narrowed.items()}


class Lists(Steps):
    """One database of each kind."""

    def __init__(self, sizes: ListSizes, folder: Path, say: Say, engines: ExitStack) -> None:
        super().__init__(sizes, say)
        self.sizes = sizes
        self._folder = folder
        self._stack = engines
        self._databases: dict[str, Database] = {}

    def prepare(self) -> None:
        """The same jobs in both."""
        server = self._stack.enter_context(postgres(durable=True))
        urls = {"SQLite": f"sqlite://{(self._folder / 'lists.db').absolute()}", "PostgreSQL": server.create("lists")}
        for name, url in urls.items():
            database = open_database(url)
            migrate(database)
            database.connect(reuse_if_open=True)
            self._stack.callback(database.close)
            self._say(f"{self.sizes.jobs:,} jobs for {name}")
            sow_jobs(database, self.sizes.jobs)
            self._databases[name] = database

    def steps(self) -> Sequence[Step]:
        """A database each."""
        return [partial(self._step, name) for name in self._databases]

    def _step(self, name: str) -> Figures:
        database = self._databases[name]
        began, cpu = time.monotonic(), time.process_time()
        key = next(iter(list_jobs(database, BIG, JobFilter(), 1).jobs)).id
        figures = {f"{name} key": self._median_ms(lambda: full_job(database, BIG, key))}
        for case, (org, narrow, sort) in cases(self.sizes.jobs).items():
            figures[f"{name} {case}"] = self._median_ms(partial(list_jobs, database, org, narrow, PAGE, sort))
        figures[f"{name} longest"] = max(figures.values())
        busy = (time.process_time() - cpu) / (time.monotonic() - began)
        self._taken.append((name, Cores(0.0, busy, 0.0)))
        return figures

    def _median_ms(self, call: Callable[[], object]) -> float:
        times: list[float] = []
        for _ in range(self.sizes.calls):
            began = time.perf_counter()
            call()
            times.append((time.perf_counter() - began) * 1000)
        return statistics.median(times)


def lists_rows(sizes: ListSizes, of: Mapping[str, Sequence[float]]) -> list[Row]:
    """The medians beside one job's page by its key."""
    rows: list[Row] = []
    for name in ("SQLite", "PostgreSQL"):
        stick = Yardstick("one job by its key, ms", of[f"{name} key"])
        rows += [
            Row(name=f"{case}, {name}", unit="ms", values=of[f"{name} {case}"], yardstick=stick)
            for case in cases(sizes.jobs)
        ]
        longest = of[f"{name} longest"]
        rows.append(
            Row(name=f"the longest of them, {name}", unit="ms", values=longest, floor=Floor(at_most=LONGEST_MS))
        )
    return rows
