"""The demo's three hosts, each with a real agent process and a game server to look after, and two devices."""

import asyncio
import contextlib
import sys
from asyncio.subprocess import Process
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from demo_fleet import game_server, searcher
from demo_fleet.control_plane import INTERLOCK, ControlPlane, free_ports
from demo_fleet.processes import DemoFailed, child, tail
from interlock.client import Client
from interlock.ids import HostId, InstanceId, OrgId

HOST_NAMES = ("north", "south", "west")
POLLS = "west"  # the one whose agent has no socket, as behind an old proxy
DEVICE_NAMES = ("tab-1", "tab-2")
ROLE = {"role": "search"}  # the label by which jobs without a host find the devices

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
        lines += ['transport = "poll"'] if self.name == POLLS else []
        for job_type, action in _ACTIONS.items():
            command = [sys.executable, game_server.__file__, action]
            command += ["--home", str(self.server_home), "--port", str(self.port)]
            lines += ["", f"[handlers.{job_type}]", f"command = {_toml_list(command)}", "timeout_seconds = 30"]
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
        return path


@dataclass(frozen=True, slots=True)
class Device:
    """An agent that takes jobs from the pool, as one in a browser does; `home` is its folder."""

    name: str
    id: HostId
    agent_key: str
    home: Path

    @property
    def agent_log(self) -> Path:
        """What its agent says."""
        return self.home / "agent.log"


@dataclass(frozen=True, slots=True)
class Fleet:
    """All of the demo's agents."""

    hosts: list[Host]
    devices: list[Device]

    def names(self) -> dict[HostId, str]:
        """What each is called."""
        return {host.id: host.name for host in self.hosts} | {device.id: device.name for device in self.devices}


@contextlib.asynccontextmanager
async def fleet(plane: ControlPlane, client: Client, org: OrgId, home: Path) -> AsyncIterator[Fleet]:
    """Hosts and devices with running agents; afterwards neither an agent nor a game server is left.

    An agent that ends before its time ends the block with an `ExceptionGroup` of a `DemoFailed`.
    """
    ports = free_ports(len(HOST_NAMES))
    hosts = [_enrol(client, org, name, home, port) for name, port in zip(HOST_NAMES, ports, strict=True)]
    devices = [_bring(client, org, name, home) for name in DEVICE_NAMES]
    async with contextlib.AsyncExitStack() as running, asyncio.TaskGroup() as group:
        watched = []
        for host in hosts:
            # Ended in reverse: the agent first, then what its last job may have left behind.
            running.callback(game_server.stop, host.server_home)
            process = await running.enter_async_context(_agent(plane, host))
            watched.append(group.create_task(_must_live(process, host)))
        for device in devices:
            process = await running.enter_async_context(_searcher(plane, device))
            watched.append(group.create_task(_must_live(process, device)))
        yield Fleet(hosts, devices)
        for each in watched:
            each.cancel()


async def _must_live(agent: Process, host: Host | Device) -> None:
    code = await agent.wait()
    raise DemoFailed(
        f"The agent of {host.name} ended with exit code {code}. Its log ends with:\n{tail(host.agent_log)}"
    )


def _enrol(plane: Client, org: OrgId, name: str, home: Path, port: int) -> Host:
    host = _create(plane, org, "hosts", {"name": name})
    instance = _create(plane, org, "server-instances", {"name": f"{name}-arena", "hostId": host["id"]})
    folder = home / f"{name}-{host['id']}"  # a data directory that is used again holds hosts of the same name
    (folder / "game_server").mkdir(parents=True, exist_ok=True)
    return Host(name, host["id"], host["agentKey"], instance["id"], folder, port)


def _bring(plane: Client, org: OrgId, name: str, home: Path) -> Device:
    host = _create(plane, org, "hosts", {"name": name, "kind": "device", "labels": ROLE})
    folder = home / f"{name}-{host['id']}"
    folder.mkdir(parents=True)
    return Device(name, host["id"], host["agentKey"], folder)


def _create(client: Client, org: OrgId, what: str, body: dict[str, Any]) -> dict[str, Any]:
    return msgspec.json.decode(client.request("POST", f"/api/orgs/{org}/{what}", body=body).body, type=dict[str, Any])


def _searcher(plane: ControlPlane, device: Device) -> contextlib.AbstractAsyncContextManager[Process]:
    command = [sys.executable, searcher.__file__, "--url", plane.url, "--state-dir", str(device.home / "agent")]
    return child(command, device.agent_log, {"INTERLOCK_AGENT_KEY": device.agent_key})


def _agent(plane: ControlPlane, host: Host) -> contextlib.AbstractAsyncContextManager[Process]:
    command = [INTERLOCK, "agent", "--url", plane.url, "--config", str(host.write_config())]
    command += ["--state-dir", str(host.home / "agent")]
    # The key goes through the environment: a command line can be read by everybody on the machine.
    return child(command, host.agent_log, {"INTERLOCK_AGENT_KEY": host.agent_key})


def _toml_list(words: list[str]) -> str:
    return "[" + ", ".join('"' + word.replace("\\", "\\\\").replace('"', '\\"') + '"' for word in words) + "]"
