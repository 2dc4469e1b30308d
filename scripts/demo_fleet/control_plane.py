"""The demo's control plane: `interlock serve` as a child, and `interlock admin` beside it."""

import asyncio
import contextlib
import random
import socket
import sys
from asyncio.subprocess import Process
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import aiohttp

from demo_fleet.processes import DemoFailed, ask, child, tail
from interlock.ids import OrgId, UuidIds

READY_SECONDS = 30.0  # until /readyz says yes
LOOK_SECONDS = 0.1  # between two looks at /readyz
INTERLOCK = str(Path(sys.executable).with_name("interlock"))

_PORTS = range(20_000, 30_000)  # below the range from which outgoing connections take theirs


@dataclass(frozen=True, slots=True)
class Account:
    """Who the demo is on its control plane."""

    org: OrgId
    token: str


@dataclass(frozen=True, slots=True)
class ControlPlane:
    """A running control plane."""

    url: str
    data_dir: Path

    async def admin(self, command: str, *arguments: str) -> dict[str, str]:
        """What `interlock admin COMMAND` prints."""
        return await ask([INTERLOCK, "admin", command, *arguments, "--data-dir", str(self.data_dir)])

    async def open_account(self) -> Account:
        """A new organization with an owner of its own, so that a data directory can be used again."""
        own = UuidIds().new()[-12:]
        org = (await self.admin("create-org", f"Demo {own}"))["id"]
        email = f"demo-{own}@example.test"
        owner = ("--email", email, "--name", "Demo", "--org", org, "--role", "owner", "--platform-admin")
        await self.admin("create-user", *owner)
        return Account(org, (await self.admin("token", "--email", email, "--org", org))["token"])


@contextlib.asynccontextmanager
async def control_plane(data_dir: Path, port: int) -> AsyncIterator[ControlPlane]:
    """A control plane that is ready for requests on a loopback port."""
    log = data_dir / "serve.log"
    where = ("--host", "127.0.0.1", "--port", str(port), "--data-dir", str(data_dir))
    async with child([INTERLOCK, "serve", *where], log) as process:
        url = f"http://127.0.0.1:{port}"
        await _wait_until_ready(url, process, log)
        yield ControlPlane(url, data_dir)


async def _wait_until_ready(url: str, process: Process, log: Path) -> None:
    try:
        async with asyncio.timeout(READY_SECONDS), aiohttp.ClientSession() as session:
            while not await _is_ready(session, url):
                if process.returncode is not None:
                    raise DemoFailed(f"The control plane ended at once. Its log ends with:\n{tail(log)}")
                await asyncio.sleep(LOOK_SECONDS)
    except TimeoutError as error:
        raise DemoFailed(f"The control plane was not ready in {READY_SECONDS:g} s. Its log:\n{tail(log)}") from error


async def _is_ready(session: aiohttp.ClientSession, url: str) -> bool:
    try:
        async with session.get(f"{url}/readyz") as answer:
            return answer.ok
    except aiohttp.ClientError:
        return False


def free_ports(count: int) -> list[int]:
    """That many different loopback ports on which nobody listens now."""
    ports: list[int] = []
    for port in random.sample(_PORTS, len(_PORTS)):
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            ports.append(port)
        if len(ports) == count:
            return ports
    raise DemoFailed(f"There are no {count} free ports between {_PORTS.start} and {_PORTS.stop}")
