"""How a server feels: its memory, what it has open, what lives in it, and what its log complains of."""

import asyncio
import re
import time
from typing import NamedTuple

import aiohttp
import psutil

LIVE = (  # gauges that are back to where they were once everybody has left
    "interlock_tasks",
    "interlock_host_actors",
    "interlock_agent_sockets",
    "interlock_dashboard_sockets",
    "interlock_parked_polls",
    "interlock_job_waiters",
    "interlock_creates_waiting",
    "interlock_journal_queue",
)
FEW_FILES = 8  # that may be open beside those of the start: connections of reading threads, say
LOOK_SECONDS = 0.5


class Vitals(NamedTuple):
    """One look. `rss_mib` is what the process holds of the machine's memory."""

    rss_mib: float
    files: int
    live: dict[str, float]

    def beyond(self, start: "Vitals") -> list[str]:
        """What there is more of than at the start."""
        more = [
            f"{name} was {start.live[name]:g} and is {now:g}"
            for name, now in self.live.items()
            if now > start.live[name]
        ]
        if self.files > start.files + FEW_FILES:
            more.append(f"{start.files} files and connections were open and {self.files} are")
        return more


async def look(url: str, pid: int) -> Vitals:
    """Take them, over a connection that is closed before the next look."""
    async with (
        aiohttp.ClientSession(connector=aiohttp.TCPConnector(force_close=True)) as session,
        session.get(f"{url}/metrics") as reply,
    ):
        text = await reply.text()
    found = {name: re.search(rf"^{name} ([0-9.e+-]+)$", text, re.MULTILINE) for name in LIVE}
    process = psutil.Process(pid)
    live = {name: float(match[1]) for name, match in found.items() if match is not None}
    if missing := set(LIVE) - set(live):
        raise LookupError(f"/metrics says nothing of {sorted(missing)}")
    return Vitals(process.memory_info().rss / 2**20, process.num_fds(), live)


async def settled(url: str, pid: int, start: Vitals, seconds: float) -> Vitals:
    """The vitals once nothing is left of what came, or when the time is over."""
    deadline = time.monotonic() + seconds
    while True:
        now = await look(url, pid)
        if not now.beyond(start) or time.monotonic() > deadline:
            return now
        await asyncio.sleep(LOOK_SECONDS)
