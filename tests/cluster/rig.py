"""Several real servers on one PostgreSQL and one Redis, and people and agents who speak to any of them."""

import asyncio
import copy
import os
import signal
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

import aiohttp

from interlock.clock import SystemClock, rfc3339
from interlock.ids import UuidIds
from runtime.secret import signing_secret
from runtime.settings import Settings
from store import accounts, open_database
from store.accounts import By
from store.database import migrate
from tests.support.callers import PATIENCE, Agent, Caller, Plane, Reply, Tenant
from tests.support.server import Rows, Server
from web.tokens import Tokens

# Seconds. Agents that fall silent and nodes that die are noticed early; nothing else is shorter than it need be.
QUICK: dict[str, float] = {
    "node_lease_seconds": 5,
    "node_look_seconds": 2,
    "sweep_seconds": 0.3,
    "lease_seconds": 2,
    "heartbeat_seconds": 1,
    "lost_after_seconds": 2,
    "startup_grace_seconds": 0,
    "cancel_grace_seconds": 1,
    "cancel_slack_seconds": 1,
    "redis_retry_seconds": 0.2,
    "shutdown_seconds": 5,
}
_IDS, _CLOCK = UuidIds(), SystemClock()
Value = TypeVar("Value")


class Node(Server):
    """One server. It can also be paused, as a machine that is moved or swaps is."""

    def __init__(self, data_dir: Path, database_url: str, redis_url: str, **settings: float) -> None:
        super().__init__(data_dir, **(QUICK | settings))
        self._environ |= {"INTERLOCK_DATABASE_URL": database_url, "INTERLOCK_REDIS_URL": redis_url}

    def pause(self) -> None:
        """SIGSTOP: its connections stay, and nothing is answered."""
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        """SIGCONT; twice does no harm."""
        self._signal(signal.SIGCONT)

    def _signal(self, number: signal.Signals) -> None:
        if self._process is not None:
            os.kill(self._process.pid, number)

    @property
    def runs(self) -> bool:
        return self._process is not None


class PostgresRows(Rows):
    """Tenants, people and hosts in the nodes' database."""

    def __init__(self, url: str, data_dir: Path) -> None:  # not a file of its own: nothing of the parent's is wanted
        self.database = open_database(url)
        migrate(self.database)
        self.database.close()
        with self.database.connection_context(), self.database.atomic():
            secret = signing_secret(Settings(data_dir=str(data_dir), database_url=url), self.database)
        self.tokens = Tokens(secret, _CLOCK)

    def org(self, name: str = "acme") -> str:
        org_id = _IDS.new()
        with self.database.connection_context(), self.database.atomic():
            accounts.create_org(self.database, org_id, name, _by())
        return org_id

    def user(self, org_id: str, role: str = "operator", *, platform_admin: bool = False) -> str:
        user_id = _IDS.new()
        with self.database.connection_context(), self.database.atomic():
            accounts.create_user(
                self.database,
                user_id,
                email=f"{user_id}@example.com",
                name=role,
                platform_admin=platform_admin,
                by=_by(),
            )
            accounts.add_member(self.database, _IDS.new(), org_id, user_id, role, _by())
        return user_id

    def host(self, org_id: str, name: str = "eu-1") -> tuple[str, str]:
        host_id, kid = _IDS.new(), _IDS.new()
        with self.database.connection_context(), self.database.atomic():
            accounts.create_host(self.database, host_id, org_id, name, _by())
            accounts.create_key(self.database, kid, org_id, host_id, _by())
        return host_id, self.tokens.agent_key(host_id, org_id, kid)

    def instance(self, org_id: str, host_id: str, name: str = "dust") -> str:
        instance_id = _IDS.new()
        with self.database.connection_context(), self.database.atomic():
            accounts.create_instance(self.database, instance_id, org_id, host_id, name, _by())
        return instance_id

    def owner(self, host_id: str) -> tuple[str | None, int]:
        """A host's owner and epoch, as its row has them."""
        with self.database.connection_context():
            owner, epoch = self.database.execute_sql(
                "SELECT owner, epoch FROM host WHERE id = %s", (host_id,)
            ).fetchone()
        return owner, epoch


def _by() -> By:
    return By("operator", None, _CLOCK.now(), _IDS.new())


class Town:
    """The nodes, and who speaks to them."""

    def __init__(self, nodes: list[Node], rows: PostgresRows, session: aiohttp.ClientSession) -> None:
        self.nodes = nodes
        self.rows = rows
        self.session = session
        self.a, self.b = Plane(nodes[0], rows, session), Plane(nodes[1], rows, session)

    def tenant(self) -> tuple[Tenant, Tenant]:
        """A new org, as it is seen through either node."""
        at_a = Tenant(self.a)
        return at_a, through(at_a, self.b)

    async def a_holds(self) -> set[str]:
        """The hosts whose actors node A has in its memory."""
        admin = self.rows.user(self.rows.org(), "owner", platform_admin=True)
        reply = await self.a.caller(self.rows.token(admin)).get("/debug/actors")
        assert reply.status == 200, reply
        return {host["hostId"] for supervisor in reply.json["supervisors"] for host in supervisor["hosts"]}


def through(tenant: Tenant, plane: Plane) -> Tenant:
    """The same org, by way of another node."""
    twin = copy.copy(tenant)
    twin.plane = plane
    twin._callers = {role: plane.caller(caller.token) for role, caller in tenant._callers.items()}
    return twin


def by_way_of(agent: Agent, plane: Plane) -> Agent:
    """The same agent, by way of another node."""
    return Agent(plane.session, plane.url, agent.id, agent.token or "", agent.server_instance)


async def until(
    ask: Callable[[], Awaitable[Value]], holds: Callable[[Value], bool], patience: float = PATIENCE
) -> Value:
    """What is answered once it holds; a node that cannot be reached is asked again."""
    last: object = "nothing"
    try:
        async with asyncio.timeout(patience):
            while True:
                try:
                    answer = await ask()
                except (aiohttp.ClientError, ConnectionError, AssertionError) as error:
                    last = error
                else:
                    last = answer
                    if holds(answer):
                        return answer
                await asyncio.sleep(0.02)  # it looks at other processes
    except TimeoutError:
        raise AssertionError(f"it never came to hold; the last answer: {last!r}") from None


async def insist(ask: Callable[[], Awaitable[Reply]], patience: float = PATIENCE) -> Reply:
    """Ask as an agent does: again while it is told to try later; then it must be taken."""
    reply = await until(ask, lambda reply: reply.status != 503, patience)
    assert reply.status < 300, reply
    return reply


async def says(
    tenant: Tenant, job: dict[str, object], run_status: str, patience: float = PATIENCE
) -> dict[str, object]:
    """The job once its latest run has that status."""
    return await until(lambda: tenant.show(job), lambda shown: shown["jobRuns"][-1]["status"] == run_status, patience)


async def ready(caller: Caller) -> int:
    """What `/readyz` says."""
    return (await caller.get("/readyz")).status


def soon(seconds: float) -> str:
    """An instant that lies so far ahead, by this machine's clock, as all its nodes have it."""
    return rfc3339(_CLOCK.now() + round(seconds * 1000))
