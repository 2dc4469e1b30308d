"""Nodes of a cluster in the rows: who lives, who owns what, and which hosts are free to be taken."""

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import psycopg2
from peewee import Database, SqliteDatabase

from interlock.clock import SystemClock
from interlock.states import RunStatus
from store import open_database
from store.claims import claim_free, due_by, expired_by, read_news, read_open
from store.committer import Committer
from store.models import JobRun, SharedSecret
from store.nodes import (
    abandoned,
    busy,
    database_now,
    forget,
    forget_older_secrets,
    leave,
    newest_secret,
    older_secrets,
    owned,
    owner_of,
    renew,
    replace_secret,
    shared_secret,
)
from tests.support.desk import Claim, Desk
from tests.support.rows import host_row, job_row, new_id, run_row, write_host, write_job, write_run

NOW = 1_000_000
LIVES = 15_000
ROUNDS = 20


def node(database: Database, node_id: str, now: int = NOW) -> None:
    renew(database, node_id, f"http://{node_id}", now, LIVES)


def of(desk: Desk, owner: str) -> Claim:
    """A new host of that owner."""
    host = host_row(owner=owner, epoch=3)
    write_host(desk.database, host)
    return Desk(desk.database, Committer(desk.database, owner)).claim(host.id)


def test_the_databases_clock_is_not_far_from_ours(database: Database) -> None:
    clock = SystemClock()
    assert abs(database_now(database, clock) - clock.now()) < 60_000


def test_a_node_lives_until_its_time_is_over_and_each_renewal_prolongs_it(desk: Desk) -> None:
    at = of(desk, "me")
    assert owner_of(desk.database, at.host.id, NOW) is None
    node(desk.database, "me")
    for now, lives in ((NOW, True), (NOW + LIVES - 1, True), (NOW + LIVES, False)):
        found = owner_of(desk.database, at.host.id, now)
        assert found == (("me", "http://me") if lives else None)
    node(desk.database, "me", NOW + LIVES)
    assert owner_of(desk.database, at.host.id, NOW + LIVES) is not None
    assert desk.count("node") == 1


def test_a_host_that_nobody_owns_has_no_owner(desk: Desk) -> None:
    node(desk.database, "me")
    host = host_row()
    write_host(desk.database, host)
    assert owner_of(desk.database, host.id, NOW) is None
    assert owner_of(desk.database, "nowhere", NOW) is None


def test_a_node_knows_what_it_owns(desk: Desk) -> None:
    at = of(desk, "me")
    of(desk, "another")
    assert owned(desk.database, "me") == {at.host.id: (at.host.epoch, at.host.rev)}
    assert owned(desk.database, "nobody") == {}


def test_a_node_that_leaves_frees_its_hosts_and_no_others(desk: Desk) -> None:
    mine, others = of(desk, "me"), of(desk, "another")
    node(desk.database, "me")
    node(desk.database, "another")
    with desk.database.atomic(*desk.committer.begin):
        leave(desk.database, "me")
    assert desk.fence(mine)[0] is None
    assert desk.fence(mine)[3] == mine.host.rev + 1
    assert desk.fence(others)[0] == "another"
    assert desk.rows("SELECT id FROM node") == [("another",)]


def test_nodes_that_have_long_been_gone_are_forgotten(desk: Desk) -> None:
    node(desk.database, "old", NOW - 10 * LIVES)
    node(desk.database, "new")
    forget(desk.database, NOW)
    assert desk.rows("SELECT id FROM node") == [("new",)]


def test_hosts_without_a_living_owner_and_ones_own_are_free_and_no_others(desk: Desk) -> None:
    node(desk.database, "alive")
    node(desk.database, "dead", NOW - LIVES)
    hosts = {name: of(desk, name).host for name in ("alive", "dead", "unheard", "me")}
    nobodys = host_row()
    write_host(desk.database, nobodys)
    with desk.database.atomic(*desk.committer.begin):
        taken = claim_free(desk.database, "me", [*(host.id for host in hosts.values()), nobodys.id, "missing"], NOW)
    assert set(taken) == {hosts["dead"].id, hosts["unheard"].id, hosts["me"].id, nobodys.id}
    assert {claimed.host.owner for claimed in taken.values()} == {"me"}
    assert {host_id: claimed.left for host_id, claimed in taken.items()} == {
        hosts["dead"].id: "dead",
        hosts["unheard"].id: "unheard",
        hosts["me"].id: None,
        nobodys.id: None,
    }
    assert taken[hosts["me"].id].host.epoch == hosts["me"].epoch + 1


def test_a_run_in_the_slot_of_a_host_without_a_living_owner_is_abandoned(desk: Desk) -> None:
    node(desk.database, "alive")
    at = {name: of(desk, name) for name in ("alive", "dead")}
    for claim in at.values():
        job, run = claim.new_job()
        run.status = RunStatus.RUNNING
        write_job(desk.database, job)
        write_run(desk.database, run)
    waiting = of(desk, "dead").new_job()
    write_job(desk.database, waiting[0])
    write_run(desk.database, waiting[1])
    assert abandoned(desk.database, NOW, 10) == [at["dead"].host.id]
    assert sorted(abandoned(desk.database, NOW + LIVES, 10)) == sorted(claim.host.id for claim in at.values())
    assert len(abandoned(desk.database, NOW + LIVES, 1)) == 1


def test_a_node_knows_which_of_its_hosts_have_a_run_in_their_slot(desk: Desk) -> None:
    at = {status: of(desk, "me") for status in ("running", "unreachable", "pending", "success")}
    at["another's"] = of(desk, "another")
    for status, claim in at.items():
        job, run = claim.new_job()
        run.status = RunStatus("running" if status == "another's" else status)
        write_job(desk.database, job)
        write_run(desk.database, run)
    assert set(busy(desk.database, "me")) == {at["running"].host.id, at["unreachable"].host.id}
    assert busy(desk.database, "nobody") == []


def test_a_host_that_is_claimed_freely_is_fenced_like_any_other(desk: Desk) -> None:
    node(desk.database, "dead", NOW - LIVES)
    at = of(desk, "dead")
    job, run = at.new_job()
    write_job(desk.database, job)
    write_run(desk.database, run)
    with desk.database.atomic(*desk.committer.begin):
        taken = claim_free(desk.database, "me", [at.host.id], NOW)[at.host.id]
    assert [read.id for _, read in taken.runs] == [run.id]
    assert (taken.host.epoch, taken.host.rev) == (at.host.epoch + 1, at.host.rev + 1)
    Desk(desk.database, Committer(desk.database, "dead")).refused(at.entry())
    with desk.database.atomic(*desk.committer.begin):
        assert claim_free(desk.database, "me", [], NOW) == {}


def test_what_is_due_on_hosts_of_other_living_nodes_is_theirs(desk: Desk) -> None:
    node(desk.database, "alive")
    at = {name: of(desk, name).host.id for name in ("alive", "dead", "me")}
    for host_id in at.values():
        job = job_row(host_id=host_id, start_before=5)
        write_job(desk.database, job)
        write_run(desk.database, run_row(job, status="scheduled", available_at=5))
    mine = {at["dead"], at["me"]}
    assert {host_id for host_id, _ in due_by(desk.database, 5, 10, owner="me", now=NOW)} == mine
    assert set(expired_by(desk.database, 5, 10, owner="me", now=NOW)) == mine
    assert {host_id for host_id, _ in due_by(desk.database, 5, 10)} == set(at.values())


def test_the_first_secret_that_was_proposed_is_everybodys(url: str) -> None:
    databases = [open_database(url) for _ in range(4)]
    ready = threading.Barrier(len(databases))

    def propose(database: Database) -> str:
        ready.wait()
        try:
            return shared_secret(database, "tokens", new_id())
        finally:
            database.close()

    with ThreadPoolExecutor(len(databases)) as pool:
        secrets = list(pool.map(propose, databases))
    if isinstance(databases[0], SqliteDatabase):
        assert len(set(secrets)) == len(databases)  # there is one process, and its data folder knows the secret
    else:
        assert len(set(secrets)) == 1


def test_a_secret_that_is_replaced_is_kept_until_it_is_forgotten(database: Database) -> None:
    SharedSecret.insert(name="tokens", secret="a").execute(database)
    SharedSecret.insert(name="tokensother", secret="x").execute(database)
    for at, fresh in ((9, "b"), (10, "c")):
        replace_secret(database, "tokens", fresh, at)
    assert newest_secret(database, "tokens") == "c"
    assert older_secrets(database, "tokens") == ["b", "a"]
    forget_older_secrets(database, "tokens")
    assert (newest_secret(database, "tokens"), older_secrets(database, "tokens")) == ("c", [])
    assert newest_secret(database, "tokensother") == "x"
    assert newest_secret(database, "nothing") is None


# ---- on PostgreSQL ---------------------------------------------------------------------------------------------------------


def test_a_host_that_somebody_is_looking_at_is_not_free_just_now(postgres_desk: Desk, postgres_url: str) -> None:
    desk = postgres_desk
    hosts = [of(desk, "dead").host.id for _ in range(2)]
    other = psycopg2.connect(postgres_url)
    other.cursor().execute("SELECT id FROM host WHERE id = %s FOR UPDATE", (hosts[0],))
    with desk.database.atomic():
        assert set(claim_free(desk.database, "me", hosts, NOW)) == {hosts[1]}
    other.close()


def test_a_node_that_leaves_and_one_that_claims_do_not_deadlock(postgres_desk: Desk, postgres_url: str) -> None:
    desk = postgres_desk
    hosts = [of(desk, "me").host.id for _ in range(30)]
    mine, theirs = Desk(desk.database, Committer(desk.database, "me")), open_database(postgres_url)

    def come_and_go() -> None:
        another = Desk(theirs, Committer(theirs, "another"))
        for _ in range(ROUNDS):
            for host_id in reversed(hosts[::10]):
                another.claim(host_id)
            with theirs.atomic():
                leave(theirs, "another")
        theirs.close()

    with ThreadPoolExecutor(1) as pool:
        coming = pool.submit(come_and_go)
        for _ in range(ROUNDS):
            with mine.database.atomic():
                claim_free(mine.database, "me", hosts[::-1], NOW)
            with mine.database.atomic():
                leave(mine.database, "me")
        coming.result()


def test_a_word_to_stop_holds_for_the_retry_of_a_run_that_had_ended_but_not_for_what_a_user_tries_afresh(
    desk: Desk,
) -> None:
    at = desk.host()
    job, run = at.new_job()
    run.status, run.finished_at, run.asked_to_stop = RunStatus("failed"), 5, "cancel"
    retry = replace(
        run, id=new_id(), attempt=2, created_at=run.created_at + 6, status=RunStatus("scheduled"), finished_at=None
    )
    retry.asked_to_stop = None
    write_job(desk.database, job)
    write_run(desk.database, run)
    write_run(desk.database, retry)

    def words() -> list[str | None]:
        news = read_news(desk.database, at.host.id, 0, None)
        assert news is not None
        whole = read_open(desk.database, [at.host.id])[at.host.id]
        assert [run.asked_to_stop for _, run in news.runs] == [run.asked_to_stop for _, run in whole.runs]
        return [run.asked_to_stop for _, run in whole.runs]

    assert words() == ["cancel"]
    JobRun.update(status="cancelled", finished_at=7).where(JobRun.id == retry.id).execute(desk.database)
    afresh = replace(
        retry, id=new_id(), attempt=1, created_at=run.created_at + 8, status=RunStatus("failed"), finished_at=9
    )
    again = replace(retry, id=new_id(), attempt=2, created_at=run.created_at + 10)
    write_run(desk.database, afresh)
    write_run(desk.database, again)
    assert words() == [None]
