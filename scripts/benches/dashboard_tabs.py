"""The dashboard in Chromium, as a bench looks at it: cold loads, what a page says of itself, its memory."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
from playwright.async_api import Browser, BrowserContext, CDPSession, Page, StorageState, ViewportSize, async_playwright

from benches.plan import BenchFailed
from engines.chromium import LEAN, chromium

EMAIL = "bench@example.test"  # whom `seed.sow` makes
PASSWORD = "as many as a thousand rows"  # noqa: S105 - of an account that lives for the bench
PATIENCE_MS = 60_000  # for a page to be there
LOOKS, BETWEEN_SECONDS = 3, 0.5  # at a page's memory, of which the least counts
VIEWPORT: ViewportSize = {"width": 1440, "height": 900}
_WATCH = Path(__file__).with_name("dashboard_watch.js")
_CREATED = 201
_THERE = "main:not([aria-busy]) h1"
_PAINTED = """() => new Promise((found) => {
  const observer = new PerformanceObserver((list) => {
    const paint = list.getEntriesByName("first-contentful-paint")[0];
    if (paint) found(paint.startTime);
  });
  observer.observe({ type: "paint", buffered: true });
})"""
# When the page itself has been painted: the frame behind the one in which its heading came.
_SHOWN = """() => new Promise((found) => {
  const there = () => document.querySelector("%s") && (requestAnimationFrame(() => setTimeout(() => found(performance.now()))), true);
  if (!there()) new MutationObserver((_, observer) => there() && observer.disconnect()).observe(document, { subtree: true, childList: true, attributes: true });
})"""
_TOLD = "({ ...bench, at: performance.now() })"


class Opened(msgspec.Struct, frozen=True):
    """A page that was opened with nothing kept from before."""

    painted_ms: float  # the first text or picture
    shown_ms: float  # the page itself
    received_bytes: int  # over the wire, heads included, until the network is idle


class Told(msgspec.Struct, frozen=True):
    """What a page tells of itself."""

    tasks: list[tuple[float, float]]  # ms: when it began, how long it took; only those of more than 50 ms
    events: Mapping[str, int]  # by name
    waits: list[float]  # ms from the server's telling to the screen, of some events
    unseen: int  # of those, how many were not on the screen in time
    first: float  # ms since the page was opened: when the first event came,
    last: float  # and the last
    at: float  # now
    busy_seconds: float = 0  # of CPU, of the main thread
    script_seconds: float = 0  # of them, in scripts


class Memory(msgspec.Struct, frozen=True):
    """What a page holds once its garbage is collected."""

    heap_bytes: float
    elements: float  # of the page
    nodes: float  # of the page, and those that are still held elsewhere


class Tab:
    """One page that stays open and is looked at."""

    def __init__(self, name: str, page: Page, tools: CDPSession) -> None:
        self.name = name
        self._page = page
        self._tools = tools

    async def told(self) -> Told:
        """What it says until now."""
        said = await self._page.evaluate(_TOLD)
        found = await self._tools.send("Performance.getMetrics")
        metrics = {each["name"]: each["value"] for each in found["metrics"]}
        return msgspec.convert(
            said | {"busy_seconds": metrics["TaskDuration"], "script_seconds": metrics["ScriptDuration"]}, Told
        )

    @asynccontextmanager
    async def traced(self, longest_ms: list[float]) -> AsyncIterator[None]:
        """While it is entered, all tasks of the page are written down; the CPU time of the longest is added to the list.

        A task that takes long by the clock may only have waited for a core, on a machine that others use.
        """
        ended = asyncio.get_running_loop().create_future()
        events: list[dict[str, Any]] = []
        self._tools.on("Tracing.dataCollected", lambda told: events.extend(told["value"]))
        self._tools.once("Tracing.tracingComplete", lambda _: ended.set_result(None))
        categories = {"includedCategories": ["toplevel"], "excludedCategories": ["*"]}
        await self._tools.send("Tracing.start", {"transferMode": "ReportEvents", "traceConfig": categories})
        yield
        await self._tools.send("Tracing.end")
        async with asyncio.timeout(PATIENCE_MS / 1000):
            await ended
        longest_ms.append(_longest_ms(events))

    async def memory(self) -> Memory:
        """What it holds at least: an answer that is just being read is not kept. To collect the garbage is no task of the page."""
        looks = []
        for _ in range(LOOKS):
            looks.append(await self._look())
            await asyncio.sleep(BETWEEN_SECONDS)
        return min(looks, key=lambda each: each.heap_bytes)

    async def _look(self) -> Memory:
        await self._page.evaluate("bench.rest()")
        for _ in range(2):
            await self._tools.send("HeapProfiler.collectGarbage")
        heap = await self._tools.send("Runtime.getHeapUsage")
        held = await self._tools.send("Memory.getDOMCounters")
        elements = await self._page.evaluate("document.getElementsByTagName('*').length")
        await self._page.evaluate("bench.resume()")
        return Memory(heap["usedSize"], elements, held["nodes"])


def _longest_ms(events: Sequence[dict[str, Any]]) -> float:
    """Of CPU, of the tasks that the main threads of pages have run."""
    named = [each for each in events if each["name"] == "thread_name"]
    mains = {(each["pid"], each["tid"]) for each in named if each["args"]["name"] == "CrRendererMain"}
    took = [each.get("tdur", 0) for each in events if each["ph"] == "X" and (each["pid"], each["tid"]) in mains]
    return max(took, default=0) / 1000


class Tabs:
    """A browser and somebody who is signed in."""

    def __init__(self, browser: Browser, url: str, signed_in: StorageState) -> None:
        self._browser = browser
        self._url = url
        self._signed_in = signed_in

    async def open_cold(self, path: str, *, plain: bool = False) -> Opened:
        """Open a page in a browser that has kept nothing; a `plain` one is no page of the dashboard."""
        async with self._context() as context:
            page = await context.new_page()
            tools = await context.new_cdp_session(page)
            received: list[float] = []
            tools.on("Network.loadingFinished", lambda told: received.append(told["encodedDataLength"]))
            await tools.send("Network.enable")
            await page.goto(path, wait_until="commit", timeout=PATIENCE_MS)
            shown = 0.0 if plain else await page.evaluate(_SHOWN % _THERE)
            painted = await page.evaluate(_PAINTED)
            await page.wait_for_load_state("networkidle")
            return Opened(painted, shown or painted, round(sum(received)))

    @asynccontextmanager
    async def watched(self, paths: Mapping[str, str]) -> AsyncIterator[list[Tab]]:
        """Pages that stay open, each in a process of its own, by their names."""
        async with AsyncExitStack() as stack:
            yield [await self._tab(await stack.enter_async_context(self._context()), *each) for each in paths.items()]

    async def _tab(self, context: BrowserContext, name: str, path: str) -> Tab:
        await context.add_init_script(path=_WATCH)
        page = await context.new_page()
        tools = await context.new_cdp_session(page)
        await tools.send("Performance.enable", {"timeDomain": "threadTicks"})
        await page.goto(path, timeout=PATIENCE_MS)
        await page.locator(_THERE).wait_for(timeout=PATIENCE_MS)
        await page.wait_for_load_state("networkidle")
        await page.evaluate("(name) => bench.listen(name)", name)
        return Tab(name, page, tools)

    @asynccontextmanager
    async def _context(self) -> AsyncIterator[BrowserContext]:
        context = await self._browser.new_context(
            base_url=self._url,
            viewport=VIEWPORT,
            storage_state=self._signed_in,
        )
        try:
            yield context
        finally:
            await context.close()


@asynccontextmanager
async def tabs(url: str) -> AsyncIterator[Tabs]:
    """Chromium, with the bench's account signed in at that server."""
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=chromium(), args=LEAN)
        try:
            async with await browser.new_context(base_url=url) as context:
                answer = await context.request.post("/api/session", data={"email": EMAIL, "password": PASSWORD})
                if answer.status != _CREATED:
                    raise BenchFailed(f"The bench could not sign in: {await answer.text()}")
                signed_in = await context.storage_state()
            yield Tabs(browser, url, signed_in)
        finally:
            await browser.close()
