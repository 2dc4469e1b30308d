"""The demo's three hosts: each has a key, a real agent process and one game server to look after."""

import asyncio
import contextlib
import sys
from asyncio.subprocess import Process
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

from demo_fleet import game_server
from demo_fleet.control_plane import INTERLOCK, ControlPlane, free_ports
from demo_fleet.processes import DemoFailed, child, tail
from interlock.ids import HostId, InstanceId, OrgId

HOST_NAMES = ("north", "south", "west")

_ACTIONS = {"SERVER_START": "start", "SERVER_STOP": "stop", "SERVER_RESTART": "restart"}


@dataclass(frozen=True, slots=True)
class Host:
    """One machine of the fleet, all of them being this one; `home` is its folder, `port` its game server's."""

    name: str
    id: HostId
    agent_key: str
    instance: InstanceId
    home: Path
    port: int

    @property
    def server_home(self) -> Path:
        """The folder of its game server."""
        return self.home / "game_server"

    @property
    def agent_log(self) -> Path:
        """What its agent says."""
        return self.home / "agent.log"

    def write_config(self) -> Path:
        """Write and return its agent.toml: which program does which type of job."""
        path = self.home / "agent.toml"
        lines = ["[agent]", "drain_seconds = 3"]
        for job_type, action in _ACTIONS.items():
            command = [sys.executable, game_server.__file__, action]
            command += ["--home", str(self.server_home), "--port", str(self.port)]
            lines += ["", f"[handlers.{job_type}]", f"command = {_toml_list(command)}", "timeout_seconds = 30"]
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
        return path


@contextlib.asynccontextmanager
async def fleet(plane: ControlPlane, org: OrgId, home: Path) -> AsyncIterator[list[Host]]:
    """Three hosts with running agents; afterwards neither an agent nor a game server is left.

    An agent that ends before its time ends the block with an `ExceptionGroup` of a `DemoFailed`.
    """
    ports = free_ports(len(HOST_NAMES))
    enrolled = (_enrol(plane, org, name, home, port) for name, port in zip(HOST_NAMES, ports, strict=True))
    hosts = await asyncio.gather(*enrolled)
    async with contextlib.AsyncExitStack() as running, asyncio.TaskGroup() as group:
        watched = []
        for host in hosts:
            # Ended in reverse: the agent first, then what its last job may have left behind.
            running.callback(game_server.stop, host.server_home)
            process = await running.enter_async_context(_agent(plane, host))
            watched.append(group.create_task(_must_live(process, host)))
        yield hosts
        for each in watched:
            each.cancel()


async def _must_live(agent: Process, host: Host) -> None:
    code = await agent.wait()
    raise DemoFailed(
        f"The agent of {host.name} ended with exit code {code}. Its log ends with:\n{tail(host.agent_log)}"
    )


async def _enrol(plane: ControlPlane, org: OrgId, name: str, home: Path, port: int) -> Host:
    host = await plane.admin("create-host", "--org", org, "--name", name)
    instance = await plane.admin("create-instance", "--org", org, "--host", host["id"], "--name", f"{name}-arena")
    folder = home / f"{name}-{host['id']}"  # a data directory that is used again holds hosts of the same name
    (folder / "game_server").mkdir(parents=True, exist_ok=True)
    return Host(name, host["id"], host["agentKey"], instance["id"], folder, port)


def _agent(plane: ControlPlane, host: Host) -> contextlib.AbstractAsyncContextManager[Process]:
    command = [INTERLOCK, "agent", "--url", plane.url, "--config", str(host.write_config())]
    command += ["--state-dir", str(host.home / "agent")]
    # The key goes through the environment: a command line can be read by everybody on the machine.
    return child(command, host.agent_log, {"INTERLOCK_AGENT_KEY": host.agent_key})


def _toml_list(words: list[str]) -> str:
    return "[" + ", ".join('"' + word.replace("\\", "\\\\").replace('"', '\\"') + '"' for word in words) + "]"
