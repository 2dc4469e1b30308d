"""A node among others: it says that it lives, knows when to stop believing itself, and finds what nobody looks after."""

import asyncio
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from peewee import Database

from interlock.errors import Unavailable
from runtime.cluster import Cluster, Times
from store import nodes, open_database
from store.database import migrate
from tests.support.rows import host_row, job_row, run_row, write_host, write_job, write_run

CALM = Times(lives=1000, looks=1000)  # seconds: nothing happens by itself
HASTY = Times(lives=0.3, looks=0.1)
NOW = 1_000_000


class Shop:
    """The store: a database that can be away, or be slow for ever."""

    def __init__(self) -> None:
        self.database = open_database("sqlite:///:memory:")
        migrate(self.database)
        self.away = False
        self.hangs = False
        self.asked = 0
        self.changed: list[Callable[[Database], Any]] = []

    async def fetch(self, work: Callable[[Database], Any]) -> Any:
        self.asked += 1
        if self.hangs:
            await asyncio.Event().wait()
        if self.away:
            raise Unavailable("away")
        return work(self.database)

    async def change(self, work: Callable[[Database], Any]) -> Any:
        return await self.fetch(work)


class Hosts:
    """The directory, as far as a cluster needs it."""

    def __init__(self) -> None:
        self.hosts: dict[str, object] = {}
        self.happened: list[Any] = []
        self.looked = asyncio.Event()

    def epochs(self) -> dict[str, int]:
        return dict.fromkeys(self.hosts, 1)

    def reconcile(self, believed: dict[str, int], owned: dict[str, tuple[int, int]]) -> None:
        self.happened.append(("reconcile", believed, owned))

    def activate(self, host_ids: list[str]) -> None:
        self.happened.append(("activate", sorted(host_ids)))
        self.looked.set()

    def look_at_pools(self) -> None:
        self.happened.append("pools")

    def abandon(self) -> None:
        self.happened.append("abandon")

    def resume(self) -> None:
        self.happened.append("resume")


class Bell:
    up = True

    def __init__(self) -> None:
        self.rung: list[tuple[str, str]] = []

    def ring(self, owner: str, host_id: str) -> None:
        self.rung.append((owner, host_id))


class Clock:
    def now(self) -> int:
        return NOW

    def chance(self) -> float:
        return 0.5


class Trust:
    """What the node says of itself, as it says it."""

    def __init__(self) -> None:
        self.said: asyncio.Queue[bool] = asyncio.Queue()

    def __call__(self, trusted: bool) -> None:
        self.said.put_nowait(trusted)


@pytest.fixture
def shop() -> Iterator[Shop]:
    made = Shop()
    yield made
    made.database.close()


def node(shop: Shop, times: Times = CALM) -> tuple[Cluster, Hosts, Trust]:
    cluster = Cluster(shop, Clock(), "me", times)  # type: ignore[arg-type]  # only what a cluster asks of it
    hosts, trust = Hosts(), Trust()
    cluster.directory, cluster.bell, cluster.on_trust = hosts, Bell(), trust  # type: ignore[assignment]
    return cluster, hosts, trust


def host(shop: Shop, owner: str | None, status: str | None = None) -> str:
    """A host of that owner, with a run in that state."""
    row = host_row(owner=owner, epoch=1)
    write_host(shop.database, row)
    if status is not None:
        job = job_row(host_id=row.id)
        write_job(shop.database, job)
        write_run(shop.database, run_row(job, status=status))
    return row.id


def lives(shop: Shop, name: str) -> None:
    nodes.renew(shop.database, name, f"http://{name}", NOW, 15_000)


def believes(cluster: Cluster) -> bool:
    """Whether the node believes itself now; mypy takes a property for a constant."""
    return cluster.trusted


# ---- trust -----------------------------------------------------------------------------------------------------------------


async def test_a_node_that_has_started_is_believed_and_can_be_reached_once_it_listens(shop: Shop) -> None:
    cluster, _, _ = node(shop)
    assert not believes(cluster)
    await cluster.start()
    assert believes(cluster)
    await cluster.listens("http://me")
    at = host(shop, "me")
    assert nodes.owner_of(shop.database, at, NOW) == ("me", "http://me")
    await cluster.stop()


async def test_a_start_without_the_database_is_refused(shop: Shop) -> None:
    cluster, _, _ = node(shop)
    shop.away = True
    with pytest.raises(Unavailable):
        await cluster.start()
    await cluster.stop()


@pytest.mark.parametrize("trouble", ["away", "hangs"])
async def test_a_node_without_its_database_gives_up_its_hosts_and_takes_them_up_again(shop: Shop, trouble: str) -> None:
    cluster, hosts, trust = node(shop, HASTY)
    await cluster.start()
    setattr(shop, trouble, True)
    async with asyncio.timeout(20):
        assert await trust.said.get() is False
        assert not believes(cluster)
        assert "abandon" in hosts.happened
        setattr(shop, trouble, False)
        assert await trust.said.get() is True
        assert believes(cluster)
        assert hosts.happened.count("resume") == 1
        hosts.looked.clear()
        await hosts.looked.wait()  # at once: what was ours may be another's, or nobody's
    await cluster.stop()


async def test_a_node_that_goes_on_after_a_long_pause_looks_at_its_hosts_first(shop: Shop) -> None:
    cluster, hosts, _ = node(shop)
    await cluster.start()
    async with asyncio.timeout(20):
        await hosts.looked.wait()
        hosts.looked.clear()
        cluster._trusted_until = 0.0
        await cluster._renew()
        await hosts.looked.wait()
    await cluster.stop()


async def test_a_node_that_stops_frees_its_hosts_even_if_asked_twice(shop: Shop) -> None:
    cluster, _, _ = node(shop)
    await cluster.start()
    at = host(shop, "me")
    for _ in range(2):
        await cluster.stop()
    (owner,) = shop.database.execute_sql("SELECT owner FROM host WHERE id = ?", (at,)).fetchone()
    assert owner is None


async def test_a_node_that_cannot_sign_off_stops_all_the_same(shop: Shop) -> None:
    cluster, _, _ = node(shop)
    await cluster.start()
    shop.away = True
    await cluster.stop()


# ---- who owns what -----------------------------------------------------------------------------------------------------------


async def test_only_another_living_node_is_an_owner_to_be_asked(shop: Shop) -> None:
    cluster, _, _ = node(shop)
    lives(shop, "me")
    lives(shop, "other")
    owners = {name: host(shop, name) for name in ("me", "other", "dead", None)}
    assert [cluster.owner_of(shop.database, at) for at in owners.values()] == [None, "other", None, None]
    assert [await cluster.url_of_owner(at) for at in owners.values()] == [None, "http://other", None, None]


async def test_an_owner_that_does_not_listen_yet_cannot_be_reached(shop: Shop) -> None:
    cluster, _, _ = node(shop)
    nodes.renew(shop.database, "other", "", NOW, 15_000)
    assert await cluster.url_of_owner(host(shop, "other")) is None


async def test_a_look_compares_what_is_owned_and_takes_up_what_nobody_looks_after(shop: Shop) -> None:
    cluster, hosts, _ = node(shop)
    lives(shop, "me")
    lives(shop, "other")
    held, given_up = host(shop, "me", "running"), host(shop, "me", "unreachable")
    idle = host(shop, "me", "pending")
    host(shop, "other", "running")
    orphan, unowned = host(shop, "dead", "running"), host(shop, None, "cancelling")
    hosts.hosts = {held: object()}
    await cluster.look()
    compared, activated, pools = hosts.happened
    assert pools == "pools"
    assert compared == ("reconcile", {held: 1}, {held: (1, 0), given_up: (1, 0), idle: (1, 0)})
    assert activated == ("activate", sorted([given_up, orphan, unowned]))


async def test_news_of_a_pool_are_rung_at_all_other_nodes_that_live(shop: Shop) -> None:
    cluster, _, _ = node(shop)
    cluster.bell = bell = Bell()
    for name in ("me", "one", "other"):
        lives(shop, name)
    nodes.renew(shop.database, "dead", "http://dead", NOW - 100_000, 15_000)
    cluster.ring_all("pool-news:org")
    assert bell.rung == []  # it has not looked yet, and they look themselves
    await cluster.look()
    cluster.ring_all("pool-news:org")
    assert sorted(bell.rung) == [("one", "pool-news:org"), ("other", "pool-news:org")]


async def test_doubt_makes_it_look_at_once(shop: Shop) -> None:
    cluster, hosts, _ = node(shop)
    await cluster.start()
    async with asyncio.timeout(20):
        for _ in range(2):
            hosts.looked.clear()
            cluster.doubt()
            await hosts.looked.wait()
    await cluster.stop()


async def test_a_look_that_fails_is_not_the_last(shop: Shop, caplog: pytest.LogCaptureFixture) -> None:
    cluster, hosts, _ = node(shop, Times(lives=1000, looks=0.05))
    await cluster.start()
    shop.away = True
    async with asyncio.timeout(20):
        while "could not be looked at" not in caplog.text:  # noqa: ASYNC110 - a log has no event
            await asyncio.sleep(0)
        shop.away = False
        hosts.looked.clear()
        await hosts.looked.wait()
    await cluster.stop()
