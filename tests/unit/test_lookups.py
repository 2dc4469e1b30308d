"""What comes along with an agent's key is at hand for the jobs that are made next, unless it has gone meanwhile."""

from collections.abc import Callable, Iterator
from typing import Any, cast

import pytest
from peewee import Database

from store import Store, accounts, open_database
from store.accounts import By
from store.database import migrate
from tests.support.rows import AT, new_id
from web.lookups import Lookups

TRUSTED = 5000  # ms


def by() -> By:
    return By("operator", None, AT, new_id())


class Hands:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.at = AT

    def now(self) -> int:
        return self.at


class Reads:
    """A store that counts, and that something may happen beside."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.count = 0
        self.meanwhile: Callable[[], None] = lambda: None

    async def fetch_small(self, work: Callable[[Database], Any]) -> Any:
        self.count += 1
        found = work(self.database)
        self.meanwhile()
        return found


@pytest.fixture
def database() -> Iterator[Database]:
    made = open_database("sqlite:///:memory:")
    migrate(made)
    accounts.create_org(made, "o", "acme", by())
    accounts.create_host(made, "h", "o", "eu-3", by())
    accounts.create_key(made, "k", "o", "h", by())
    accounts.create_instance(made, "i", "o", "h", "dust", by())
    yield made
    made.close()


@pytest.fixture
def reads(database: Database) -> Reads:
    return Reads(database)


@pytest.fixture
def clock() -> Hands:
    return Hands()


@pytest.fixture
def lookups(reads: Reads, clock: Hands) -> Lookups:
    return Lookups(cast("Store", reads), cast("Any", clock), TRUSTED)


async def test_an_agents_host_and_its_instances_come_along_with_its_key(lookups: Lookups, reads: Reads) -> None:
    key = await lookups.key("k")
    assert key == lookups.known_key("k") == accounts.Key("k", "o", "h", None)
    assert (await lookups.org_of_host("h"), await lookups.place_of_instance("i")) == ("o", ("o", "h"))
    assert reads.count == 1


async def test_they_are_trusted_no_longer_than_the_key(lookups: Lookups, reads: Reads, clock: Hands) -> None:
    await lookups.key("k")
    clock.at += TRUSTED
    assert await lookups.place_of_instance("i") == ("o", "h")
    assert reads.count == 2


@pytest.mark.parametrize("gone", ["forget_instance", "forget_host"])
async def test_what_goes_while_the_key_is_read_is_looked_for_again(lookups: Lookups, reads: Reads, gone: str) -> None:
    reads.meanwhile = lambda: getattr(lookups, gone)("i")
    await lookups.key("k")
    accounts.create_host(reads.database, "other", "o", "eu-4", by())
    reads.database.execute_sql("UPDATE server_instance SET host_id = 'other'")
    assert await lookups.place_of_instance("i") == ("o", "other")


async def test_nothing_comes_with_a_key_that_is_not_there(lookups: Lookups, reads: Reads) -> None:
    assert await lookups.key("none") is None
    assert await lookups.place_of_instance("i") == ("o", "h")
    assert reads.count == 2


async def test_of_very_many_instances_some_come_and_all_are_found(lookups: Lookups, reads: Reads) -> None:
    names = [new_id() for _ in range(60)]
    for name in names:
        accounts.create_instance(reads.database, name, "o", "h", name, by())
    await lookups.key("k")
    assert [await lookups.place_of_instance(name) for name in names] == [("o", "h")] * 60
    assert 1 < reads.count < 60
