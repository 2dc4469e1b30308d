"""A host of a real server with an agent in the test's process, and a bad network between the two."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp

from tests.support.agent_rig import Workplace
from tests.support.bad_network import BadNetwork
from tests.support.callers import PATIENCE, Plane, Tenant
from tests.support.callers import Agent as Caller
from tests.support.server import Rows, Server

WORK = (
    "exec 2>/dev/null; trap 'rmdir busy; exit 1' TERM; mkdir busy || echo overlap >> starts;"
    "echo out; echo $$ >> pids; echo $INTERLOCK_JOB_RUN_ID >> starts;"
    "test $INTERLOCK_ATTEMPT -gt 1 || until test -e go; do sleep 0.01; done; rmdir busy"
)  # The first attempt lasts until it may go. Stderr outlives the agent: a shell that has something to say would die of it.
TERMINAL = {"COMPLETED", "FAILED", "CANCELLED"}


class Scene:
    """A host of a real server, its user, and the network that its agent goes through."""

    def __init__(self, server: Server, tenant: Tenant, host: Caller, network: BadNetwork, folder: Path) -> None:
        self.server = server
        self.tenant = tenant
        self.host = host
        self.network = network
        self.place = self.workplace(folder)

    def workplace(self, folder: Path) -> Workplace:
        """Where an agent of this host works."""
        folder.mkdir(exist_ok=True)
        place = Workplace(folder, self.network.url, self.host.token or "")
        place.set(request_timeout_seconds=2.0, poll_wait_seconds=1, upload_logs=True)
        place.shell(WORK, "SERVER_START")
        return place

    def go(self) -> None:
        """Let the first attempt end."""
        (self.place.folder / "go").touch()

    def starts(self) -> Counter[str]:
        return Counter(lines_of(self.place.folder / "starts"))

    def pids(self) -> list[int]:
        return [int(line) for line in lines_of(self.place.folder / "pids")]

    async def job_until(self, job: dict[str, Any], true: Callable[[dict[str, Any]], object]) -> dict[str, Any]:
        """The job as soon as that holds of it."""
        async with asyncio.timeout(PATIENCE):
            while True:
                try:
                    shown = await self.tenant.show(job)
                    if true(shown):
                        return shown
                except aiohttp.ClientError:
                    pass  # the server is being killed
                await asyncio.sleep(0.01)

    async def ended(self, job: dict[str, Any]) -> dict[str, Any]:
        return await self.job_until(job, lambda shown: shown["status"] in TERMINAL)

    async def at_work(self, job: dict[str, Any]) -> None:
        """Return when the command of the job's first attempt runs."""
        await self.job_until(job, lambda shown: shown["jobRuns"][0]["id"] in self.starts())

    async def leased(self) -> None:
        """Return when the server has answered a heartbeat: from then on the agent's silence means something."""
        before = self.network.passed["heartbeat"]
        await seen(lambda: self.network.passed["heartbeat"] > before + 1)

    async def written(self, event: str) -> None:
        """Return when the agent's journal has such an entry."""
        journal = self.place.state / "journal.jsonl"
        await seen(lambda: f'"event":"{event}"' in journal.read_text())

    async def reconnected(self) -> None:
        """Return when the agent has given up what was under way and tries again."""
        before = self.network.connections
        await seen(lambda: self.network.connections > before)


async def seen(true: Callable[[], object]) -> None:
    """Return when that holds; it is looked at again and again, since nothing tells of processes and files."""
    async with asyncio.timeout(PATIENCE):
        while not true():  # noqa: ASYNC110 - see above
            await asyncio.sleep(0.01)


def lines_of(path: Path) -> list[str]:
    """The words in a file that the commands write."""
    return path.read_text().split() if path.exists() else []


@asynccontextmanager
async def scene_at(server: Server, folder: Path, **settings: Any) -> AsyncIterator[Scene]:
    """A scene with a network of its own; `settings` are the agent's."""
    network = BadNetwork(server.port)
    async with AsyncExitStack() as stack:
        session = await stack.enter_async_context(
            aiohttp.ClientSession(connector=aiohttp.TCPConnector(force_close=True))
        )
        await stack.enter_async_context(network.running())
        tenant = Plane(server, Rows(server.data_dir), session).tenant()
        scene = Scene(server, tenant, tenant.host(), network, folder)
        scene.place.set(**settings)
        yield scene
