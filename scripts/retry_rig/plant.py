"""What is to be disturbed: a server on a Redis, with hosts whose agents wait for the next try of a job that fails."""

import asyncio
import contextlib
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import aiohttp
import psutil
from benches.plan import FleetHost
from benches.seed import Seed, sow

from engines.redis_server import OwnRedis

INTERLOCK = str(Path(sys.executable).with_name("interlock"))
READY_SECONDS = 60.0  # until /readyz says yes
LOOK_SECONDS = 0.02  # between two looks, and before an agent tries again
WAIT_SECONDS = 20  # of a long-poll
_LOST = (aiohttp.ClientError, TimeoutError, OSError)


class RigFailed(Exception):
    """A figure could not be taken; the sentence says why."""


class Plant:
    """One server process, which can be killed and started again, and its hosts."""

    def __init__(self, folder: Path, redis: OwnRedis, hosts: int, sweep_seconds: float) -> None:
        self.redis = redis
        self.seed: Seed = sow(folder / "data", hosts)
        self._log = folder / "serve.log"
        self._port = _free_port()
        self._environ = {
            **os.environ,
            "INTERLOCK_REDIS_URL": redis.url,
            "INTERLOCK_SWEEP_SECONDS": str(sweep_seconds),
        }
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Where it answers."""
        return f"http://127.0.0.1:{self._port}"

    async def start(self, session: aiohttp.ClientSession) -> None:
        """Return once it is ready."""
        command = [INTERLOCK, "serve", "--port", str(self._port), "--data-dir", str(self.seed.folder)]
        with self._log.open("ab") as sink:
            self._process = await asyncio.to_thread(
                subprocess.Popen, command, stdout=sink, stderr=sink, env=self._environ, start_new_session=True
            )
        async with asyncio.timeout(READY_SECONDS):
            while not await self._ready(session):
                if self._process.poll() is not None:
                    raise RigFailed(f"The server ended at once: {self._log.read_text()[-2000:]}")
                await asyncio.sleep(LOOK_SECONDS)

    async def _ready(self, session: aiohttp.ClientSession) -> bool:
        with contextlib.suppress(*_LOST):
            async with session.get(f"{self.url}/readyz") as answer:
                return answer.status == 200  # noqa: PLR2004
        return False

    async def kill(self) -> None:
        """SIGKILL: whatever alarms it held are in nobody's hands."""
        process, self._process = self._process, None
        if process is not None:
            for child in psutil.Process(process.pid).children(recursive=True):
                child.kill()
            process.send_signal(signal.SIGKILL)
            await asyncio.to_thread(process.wait)


class Story:
    """The jobs, one on each host, each failing until its last attempt; the agents; and what the server then says."""

    def __init__(self, plant: Plant, session: aiohttp.ClientSession, attempts: int) -> None:
        self._plant = plant
        self._session = session
        self._attempts = attempts
        self._user = {"Authorization": f"Bearer {plant.seed.token}"}
        self._jobs = f"{plant.url}/api/orgs/{plant.seed.org}/jobs"
        self.done = 0

    async def create(self) -> list[str]:
        """Ids of the jobs."""
        jobs = [
            {"type": "SERVER_START", "hostId": host.id, "maxAttempts": self._attempts}
            for host in self._plant.seed.hosts
        ]
        async with self._session.post(f"{self._jobs}/batch", json={"jobs": jobs}, headers=self._user) as answer:
            results = (await answer.json())["results"]
        return [result["job"]["id"] for result in results]

    async def agents(self) -> None:
        """Return when every job has ended."""
        async with asyncio.TaskGroup() as group:
            for host in self._plant.seed.hosts:
                group.create_task(self._agent(host))

    async def _agent(self, host: FleetHost) -> None:
        path = f"{self._plant.url}/api/agent/hosts/{host.id}/jobs"
        headers = {"Authorization": f"Bearer {host.key}"}
        while True:
            run = await self._call("GET", f"{path}?wait={WAIT_SECONDS}&running=", headers)
            if run is None:
                continue
            last = run["attempt"] == self._attempts
            report = {"status": "success"} if last else {"status": "failed", "errorMessage": "try again"}
            while await self._call("POST", f"{path}/{run['jobRunId']}/result", headers, report) is None:
                pass
            if last:
                self.done += 1
                return

    async def _call(self, method: str, url: str, headers: dict[str, str], body: Any = None) -> Any:
        """The answer's document; None when there is none, after a moment if that was no answer at all."""
        with contextlib.suppress(*_LOST):
            async with self._session.request(method, url, headers=headers, json=body) as answer:
                if answer.status == 200:  # noqa: PLR2004
                    return await answer.json()
                if answer.status == 204:  # noqa: PLR2004
                    return None
        await asyncio.sleep(LOOK_SECONDS)
        return None

    async def runs(self, jobs: Sequence[str]) -> list[dict[str, Any]]:
        """All runs of all jobs."""
        found = []
        for job in jobs:
            async with self._session.get(f"{self._jobs}/{job}", headers=self._user) as answer:
                found += (await answer.json())["jobRuns"]
        return found


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
