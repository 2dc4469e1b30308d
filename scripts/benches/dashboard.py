"""`bench dashboard`: how soon pages are there, what they cost a browser while much happens, and whether they keep it.

Chromium looks at a thousand hosts, each with a job, while the server tells of 200 events a second.
"""

import asyncio
import math
import statistics
from collections.abc import Sequence
from contextlib import closing
from functools import partial
from pathlib import Path

import msgspec

from benches.dashboard_sizes import DashboardSizes
from benches.dashboard_tabs import EMAIL, PASSWORD, Memory, Opened, Tab, Told, tabs
from benches.embedded import Embedded, jobs_plan
from benches.family import FamilyWatch
from benches.figures import number, percentile
from benches.plan import BenchFailed
from benches.processes import Server, drive, interlock
from benches.seed import Seed, sow
from benches.slopes import SURE, slope, verdict
from benches.steps import Figures, Say, Step
from interlock.clock import SystemClock
from interlock.ids import UuidIds
from runtime.settings import Settings
from store import open_database, sessions
from store.accounts import By
from store.database import how_to_begin
from web.passwords import Cost, make_hash

PAGES = ("overview", "jobs", "hosts", "host")
ROWS = "1,000 jobs"  # the page of jobs with as many rows as it takes: the one that is looked at for long
TEXT = "one line of text"  # the yardstick: an answer of the same server that a browser shows as it is
SAMPLES = 10  # of memory, at least; no more than one a minute in a long run
SLACK_SECONDS = 60.0  # for the driver to begin and to end
LEAD_SECONDS = (
    15.0  # of events, until each row has changed at least once, before memory is looked at for the first time
)
KEPT_UP = 0.95  # of the events: with fewer of them the driver did not keep up
HEAP_MB, ELEMENTS = 0.1, 20.0  # that a page may grow by in a minute


class Dashboard(Embedded):
    """One server on its embedded default, a new one for each step."""

    def __init__(self, sizes: DashboardSizes, folder: Path, say: Say) -> None:
        super().__init__(msgspec.structs.replace(sizes, tries=1), folder, say)
        self.sizes = sizes

    def prepare(self) -> None:
        """A data directory with a job on each host, and an account that can sign in."""
        z = self.sizes
        self._say(f"preparing: {z.hosts} hosts with a job each")
        small = self._seeds["small"] = sow(self._folder / "small", 1)
        seed = self._seeds["full"] = sow(self._folder / "full", z.hosts)
        for each in (small, seed):
            _give_password(each)
        self._look_at_loop()
        with interlock(seed.folder) as server:
            drive(jobs_plan("dashboard_jobs", server, seed, z.hosts, clients=z.clients, batch=0))

    def steps(self) -> Sequence[Step]:
        """First looks, then each page by itself, then all of them for a long time."""
        return [self._first_looks, *(partial(self._alone, page) for page in PAGES), self._together]

    # ---- the steps -------------------------------------------------------------------------------------------------

    def _first_looks(self) -> Figures:
        with self._embedded("full") as (server, seed):
            watch = FamilyWatch(server.pid)
            opened = asyncio.run(self._open_all(server, seed))
            self._taken.append(("first looks", watch.stop()))
        figures: Figures = {}
        for name, looks in opened.items():
            figures[f"{name} paint"] = statistics.median(one.painted_ms for one in looks)
            figures[f"{name} shown"] = statistics.median(one.shown_ms for one in looks)
            figures[f"{name} KB"] = max(one.received_bytes for one in looks) / 1024
        self._tell("first looks", figures)
        return figures

    async def _open_all(self, server: Server, seed: Seed) -> dict[str, list[Opened]]:
        """Each page in turn, again and again, so that a machine that grows slower favours none."""
        found: dict[str, list[Opened]] = {name: [] for name in (TEXT, *PAGES, ROWS)}
        async with tabs(_url(server)) as browser:
            for _ in range(self.sizes.opened):
                found[TEXT].append(await browser.open_cold("/healthz", plain=True))
                for name, path in _paths(seed).items():
                    found[name].append(await browser.open_cold(path))
        return found

    def _alone(self, name: str) -> Figures:
        with self._embedded("full") as (server, seed):
            watch = FamilyWatch(server.pid)
            before, after, longest_ms = asyncio.run(self._look_at(name, server, seed))
            self._taken.append((name, watch.stop()))
        live = _live(before, after) | {"longest CPU": longest_ms}
        figures = {f"{name} {figure}": value for figure, value in live.items()}
        self._tell(name, figures)
        return figures

    async def _look_at(self, name: str, server: Server, seed: Seed) -> tuple[Told, Told, float]:
        longest_ms: list[float] = []
        async with tabs(_url(server)) as browser, browser.watched(_watched(seed, [name])) as (tab,):
            before = await tab.told()
            async with tab.traced(longest_ms):
                await self._events(server, seed, self.sizes.seconds)
            return before, await tab.told(), longest_ms[0]

    def _together(self) -> Figures:
        with self._embedded("full") as (server, seed):
            watch = FamilyWatch(server.pid)
            figures = asyncio.run(self._stay(server, seed))
            self._taken.append(("all pages at once", watch.stop()))
        return figures

    async def _stay(self, server: Server, seed: Seed) -> Figures:
        """All pages open while memory is sampled."""
        seconds = self.sizes.minutes * 60
        async with tabs(_url(server)) as browser, browser.watched(_watched(seed, PAGES)) as opened:
            before = [await tab.told() for tab in opened]
            events = asyncio.create_task(self._events(server, seed, seconds + LEAD_SECONDS))
            await asyncio.sleep(LEAD_SECONDS)
            samples = await self._samples(opened, seconds, events)
            await events
            figures: Figures = {}
            for tab, first in zip(opened, before, strict=True):
                live = _live(first, await tab.told())
                figures |= {f"{tab.name} long {figure}": live[figure] for figure in ("longest", "held up", "heard")}
                figures |= {f"{tab.name} {key}": value for key, value in self._growth(tab.name, samples).items()}
        return figures

    async def _samples(
        self, opened: Sequence[Tab], seconds: float, events: "asyncio.Task[None]"
    ) -> list[tuple[float, dict[str, Memory]]]:
        """What each page holds, and when, in minutes. Ends at once when the events do."""
        loop = asyncio.get_running_loop()
        began, found = loop.time(), list[tuple[float, dict[str, Memory]]]()
        between = min(seconds / SAMPLES, 60.0)
        while (passed := loop.time() - began) < seconds and not events.done():
            held = await asyncio.gather(*(tab.memory() for tab in opened))
            found.append((passed / 60, {tab.name: one for tab, one in zip(opened, held, strict=True)}))
            shown = ", ".join(
                f"{name} {held.heap_bytes / 2**20:.2f} MB, {held.elements:,.0f} elements, {held.nodes:,.0f} nodes"
                for name, held in found[-1][1].items()
            )
            self._say(f"    after {passed / 60:.1f} min: {shown}")
            await asyncio.wait({events}, timeout=max(began + len(found) * between - loop.time(), 0))
        if len(found) < 2:  # noqa: PLR2004 - a line has two points
            raise BenchFailed(
                "Too little time to see whether memory grows: more --minutes, or a machine with less to do"
            )
        return found

    def _growth(self, name: str, samples: Sequence[tuple[float, dict[str, Memory]]]) -> Figures:
        at = [minute for minute, _ in samples]
        held = [each[name] for _, each in samples]
        figures: Figures = {"MB": held[-1].heap_bytes / 2**20, "elements": held[-1].elements}
        kinds = (
            ("heap", "MB", HEAP_MB, [one.heap_bytes / 2**20 for one in held]),
            ("elements", "elements", ELEMENTS, [one.elements for one in held]),
        )
        for kind, unit, most, values in kinds:
            line = slope(at, values)
            said = verdict(line, len(at), most)
            self._say(f"    {name}, {kind}: {line.per_unit:+.3f} ± {line.error:.3f} {unit}/min: {said}")
            figures |= {f"{kind} slope": line.per_unit, f"{kind} bound": line.per_unit + SURE * line.error}
        return figures

    async def _events(self, server: Server, seed: Seed, seconds: float) -> None:
        """Let the driver do what it does, in a process of its own."""
        z = self.sizes
        plan = jobs_plan("dashboard_events", server, seed, round(z.events * seconds), clients=z.clients, batch=0)
        plan = msgspec.structs.replace(plan, rate=z.events, seconds=seconds + SLACK_SECONDS)
        outcome = await asyncio.to_thread(drive, plan)
        if outcome.count < plan.count * KEPT_UP:
            self._say(f"    only {outcome.count:,} of {plan.count:,} events: this machine is too busy")

    def _tell(self, name: str, figures: Figures) -> None:
        said = ", ".join(f"{figure.removeprefix(name).strip()} {number(value)}" for figure, value in figures.items())
        self._say(f"    {name}: {said}")


def _live(before: Told, after: Told) -> Figures:
    """What a page has cost between two moments."""
    tasks = [took for began, took in after.tasks if began >= before.at]
    seconds = (after.at - before.at) / 1000
    heard = sum(after.events.values()) - sum(before.events.values())
    busy = after.busy_seconds - before.busy_seconds
    waits = after.waits or [math.inf]
    return {
        "longest": max(tasks, default=0.0),  # of more than 50 ms: shorter ones are not told
        "held up": float(len(tasks)),
        "heard": heard / max((after.last - after.first) / 1000, 1),
        "busy": busy / seconds * 100,
        "ms each": busy * 1000 / max(heard, 1),
        "p50": percentile(waits, 50),
        "p99": percentile(waits, 99),
        "unseen": float(after.unseen),
        "followed": float(len(after.waits)),
    }


def _paths(seed: Seed) -> dict[str, str]:
    home = f"/app/orgs/{seed.org}"
    return {
        "overview": f"{home}/overview",
        "jobs": f"{home}/jobs",
        "hosts": f"{home}/hosts",
        "host": f"{home}/hosts/{seed.hosts[0].id}",
        ROWS: f"{home}/jobs?size=1000",
    }


def _watched(seed: Seed, names: Sequence[str]) -> dict[str, str]:
    """The pages that stay open: as they are, but jobs with all their rows."""
    known = _paths(seed)
    return {name: known[ROWS if name == "jobs" else name] for name in names}


def _url(server: Server) -> str:
    return f"http://127.0.0.1:{server.port}"


def _give_password(seed: Seed) -> None:
    """Let the seed's owner sign in."""
    database = open_database(Settings(data_dir=str(seed.folder)).url_of_database)
    by = By("operator", None, SystemClock().now(), UuidIds().new())
    database.connect(reuse_if_open=True)
    with closing(database), database.atomic(*how_to_begin(database)):
        login = sessions.login_of(database, EMAIL)
        if login is None:
            raise BenchFailed("The seed has nobody who could sign in")
        sessions.set_password(database, login.person.id, make_hash(PASSWORD, Cost(8, 1)), by)
