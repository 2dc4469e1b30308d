"""A PostgreSQL that is stopped, killed and started again under a process that goes on."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import Any

import psycopg2
import pytest
from peewee import Database

from engines.postgres import Postgres, postgres
from engines.processes import EngineMissing
from interlock.errors import Unavailable
from store import Committed, Entry, Incarnation, Outcome, Store, open_database
from store.claims import claim
from store.committer import Committer
from store.database import migrate
from tests.support.backends import missing_engine
from tests.support.desk import Claim, Desk, created
from tests.support.rows import host_row, write_host

LONG = 20.0  # seconds: a bound for what should take none


@pytest.fixture(scope="module")
def own() -> Iterator[Postgres]:
    """A server of these tests' own, since others do not like it when theirs is killed."""
    try:
        with postgres(settings={"max_connections": "20", "superuser_reserved_connections": "0"}) as made:
            made.create("interlock")
            database = open_database(made.url("interlock"))
            migrate(database)
            database.close()
            yield made
    except EngineMissing as error:
        missing_engine(error)


@pytest.fixture
def desk(own: Postgres) -> Iterator[Desk]:
    database = open_database(own.url("interlock"))
    yield Desk(database, Committer(database, "me"))
    database.close()


@pytest.fixture
async def store(own: Postgres) -> AsyncIterator[Store]:
    made = Store(open_database(own.url("interlock")), "me", read_threads=2)
    await asyncio.to_thread(made.start, asyncio.get_running_loop())
    yield made
    await asyncio.to_thread(made.stop)


def end(own: Postgres, how: str) -> None:
    {"stop": own.stop, "immediate": own.stop_immediately, "kill": own.kill}[how]()


@pytest.mark.parametrize("how", ["stop", "immediate", "kill"])
def test_a_server_that_was_restarted_between_two_batches_is_not_noticed(own: Postgres, desk: Desk, how: str) -> None:
    claims = [desk.host() for _ in range(3)]
    end(own, how)
    own.start()
    desk.committed(*(claim.entry(*created(*claim.new_job())) for claim in claims))


def test_while_the_server_is_away_all_are_refused_and_afterwards_all_goes_on(own: Postgres, desk: Desk) -> None:
    claims = [desk.host() for _ in range(3)]
    own.kill()
    outcomes = desk.refused(*(claim.entry() for claim in claims))
    assert not any(outcome.unknown for outcome in outcomes)
    own.start()
    desk.committed(*(desk.claim(claim.host.id).entry() for claim in claims))


@pytest.mark.parametrize("how", ["stop", "immediate", "kill"])
async def test_reads_and_changes_go_on_after_a_restart_without_being_told(
    own: Postgres, store: Store, how: str
) -> None:
    for _ in range(4):  # on both threads
        await asyncio.gather(store.fetch(count_of_hosts), store.fetch(count_of_hosts))
    before = await store.fetch(count_of_hosts)
    await asyncio.to_thread(end, own, how)
    for ask in (store.fetch, store.change):
        with pytest.raises(Unavailable):
            await ask(count_of_hosts)
    await asyncio.to_thread(own.start)
    await store.change(lambda database: write_host(database, host_row()))
    for _ in range(4):
        counts = await asyncio.gather(store.fetch(count_of_hosts), store.fetch(count_of_hosts))
        assert set(counts) == {before + 1}


async def test_what_was_committed_is_there_after_the_server_was_killed_again_and_again(
    own: Postgres, store: Store
) -> None:
    accepted: set[str] = set()
    for _ in range(5):
        at = await claimed(store)
        killing = asyncio.create_task(asyncio.to_thread(own.kill))
        while not killing.done():
            job, run = at.new_job()
            if not isinstance(await commit(store, at.entry(*created(job, run))), Committed):
                break
            accepted.add(job.id)
        await killing
        await asyncio.to_thread(own.start)
    kept = {row[0] for row in await store.fetch(lambda db: db.execute_sql("SELECT id FROM job").fetchall())}
    assert accepted
    assert accepted <= kept


def test_out_of_connections_is_a_refusal_and_passes(own: Postgres, desk: Desk) -> None:
    at = desk.host()
    desk.database.close()
    others: list[Any] = []
    with pytest.raises(psycopg2.OperationalError, match="too many clients"):
        take_all_connections(own.url("interlock"), others)
    (outcome,) = desk.refused(at.entry())
    assert "too many clients" in outcome.why
    for other in others:
        other.close()
    own.restart()  # which returns when it is over: the server takes its time to see that a client has left
    desk.committed(desk.claim(at.host.id).entry())


def take_all_connections(url: str, taken: list[Any]) -> None:
    """Until the server refuses."""
    while True:
        taken.append(psycopg2.connect(url))


async def claimed(store: Store) -> Claim:
    """A new host."""
    host = host_row()

    def come(database: Database) -> Claim:
        write_host(database, host)
        return Claim(host, Incarnation(host.id, claim(database, "me", [host.id])[host.id].host.epoch))

    return await store.change(come)


async def commit(store: Store, entry: Entry) -> Outcome:
    """What becomes of it."""
    outcome: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
    entry.done = outcome.set_result
    store.journal.submit(entry)
    return await asyncio.wait_for(outcome, LONG)


def count_of_hosts(database: Database) -> int:
    return int(database.execute_sql("SELECT count(*) FROM host").fetchone()[0])
