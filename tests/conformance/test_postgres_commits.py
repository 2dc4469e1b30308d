"""What only PostgreSQL brings: hosts that somebody else holds, and connections that end in the middle of a commit."""

import threading
from collections.abc import Callable, Iterator
from queue import SimpleQueue
from typing import Any

import psycopg2
import pytest
from peewee import OperationalError, PeeweeException

from engines.processes import plain_account, short_folder
from interlock.states import RunStatus
from store import Committed, Journal, Outcome, Refused, open_database
from store.claims import claim
from store.committer import Committer
from store.entries import Exclusive
from store.journal import run_exclusive
from tests.support.desk import Claim, Desk, append, created, moved
from tests.support.rows import host_row, write_host
from tests.support.wire import Cut, Wire, wire

S = RunStatus
LONG = 20.0  # seconds: a bound for what should take none


class Holder:
    """Somebody else, who holds the rows of hosts in a transaction."""

    def __init__(self, url: str) -> None:
        self._connection: Any = psycopg2.connect(url)

    def hold(self, *claims: Claim) -> None:
        wanted = [claim.host.id for claim in claims]
        self._connection.cursor().execute("SELECT id FROM host WHERE id = ANY(%s) FOR UPDATE", (wanted,))

    def let_go(self) -> None:
        self._connection.rollback()

    def close(self) -> None:
        self._connection.close()


@pytest.fixture
def holder(postgres_url: str) -> Iterator[Holder]:
    made = Holder(postgres_url)
    yield made
    made.close()


# ---- hosts that somebody else holds --------------------------------------------------------------------------------------


def test_a_host_that_somebody_holds_waits_and_the_others_are_written(postgres_desk: Desk, holder: Holder) -> None:
    desk = postgres_desk
    held, free = desk.host(), desk.host()
    entries = [held.entry(), free.entry(), held.entry()]
    holder.hold(held)
    written = desk.committer.write(entries)
    assert (written.entries, written.held) == ([entries[1]], [entries[0], entries[2]])
    assert [type(outcome) for outcome in written.outcomes] == [Committed]
    assert not held.incarnation.poisoned
    holder.let_go()
    again = desk.committer.write(written.held)
    assert (again.entries, again.held) == (written.held, [])
    assert all(isinstance(outcome, Committed) for outcome in again.outcomes)


def test_when_all_are_held_nothing_is_written_and_no_transaction_stays_open(
    postgres_desk: Desk, holder: Holder
) -> None:
    desk = postgres_desk
    claims = [desk.host() for _ in range(3)]
    holder.hold(*claims)
    entries = [claim.entry(*created(*claim.new_job())) for claim in claims]
    assert desk.committer.write(entries) == ([], [], entries)
    assert desk.database.connection().get_transaction_status() == psycopg2.extensions.TRANSACTION_STATUS_IDLE
    holder.let_go()
    assert len(desk.committer.write(entries).entries) == 3


def test_a_host_that_is_gone_is_refused_and_not_waited_for(postgres_desk: Desk, holder: Holder) -> None:
    desk = postgres_desk
    gone, held, free = desk.host(), desk.host(), desk.host()
    desk.rows(f"DELETE FROM host WHERE id = '{gone.host.id}'")  # noqa: S608 - our own id
    holder.hold(held)
    written = desk.committer.write([gone.entry(), held.entry(), free.entry()])
    assert [type(outcome) for outcome in written.outcomes] == [Refused, Committed]
    assert len(written.held) == 1


def test_a_claim_that_was_made_while_the_host_was_held_fences_what_waited(
    postgres_desk: Desk, holder: Holder, postgres_url: str
) -> None:
    desk = postgres_desk
    at = desk.host()
    holder.hold(at)
    waiting = desk.committer.write([at.entry(*created(*at.new_job()))]).held
    holder.let_go()
    other = open_database(postgres_url)
    Desk(other, Committer(other, "another")).claim(at.host.id)
    other.close()
    (outcome,) = desk.committer.write(waiting).outcomes
    assert isinstance(outcome, Refused)
    assert (at.incarnation.poisoned, desk.count("job")) == (True, 0)


def test_who_cannot_hand_anything_in_again_is_refused_what_somebody_holds(postgres_desk: Desk, holder: Holder) -> None:
    desk = postgres_desk
    held, free = desk.host(), desk.host()
    holder.hold(held)
    outcomes = desk.commit(held.entry(), free.entry())
    assert [type(outcome) for outcome in outcomes] == [Refused, Committed]
    assert held.incarnation.poisoned


class Told:
    """What a journal says, in the order in which it says it."""

    def __init__(self) -> None:
        self._said: SimpleQueue[tuple[str, Any]] = SimpleQueue()

    def post(self, callback: Callable[[], None]) -> None:
        callback()

    def listener(self, name: str) -> Callable[..., None]:
        return lambda *said: self._said.put((name, said[0]))

    def hear(self, count: int) -> list[tuple[str, Any]]:
        return [self._said.get(timeout=LONG) for _ in range(count)]


@pytest.fixture
def journal(postgres_desk: Desk) -> Iterator[tuple[Journal, Told]]:
    told = Told()
    made = Journal(postgres_desk.committer, told.post)
    made.start()
    yield made, told
    made.stop()


def test_a_held_host_delays_nobody_and_its_decisions_keep_their_order(
    postgres_desk: Desk, holder: Holder, journal: tuple[Journal, Told]
) -> None:
    desk, (writes, told) = postgres_desk, journal
    held, free = desk.host(), desk.host()
    job, run = held.new_job()
    holder.hold(held)
    writes.submit(held.entry(*created(job, run), done=told.listener("create")))
    for number in range(5):
        writes.submit(free.entry(*created(*free.new_job()), done=told.listener(f"free {number}")))
        assert told.hear(1)[0][0] == f"free {number}"
    writes.submit(held.entry(*moved(job, run, S.RUNNING), done=told.listener("take")))
    writes.exclusive(lambda _: "done", told.listener("exclusive"))
    assert told.hear(1) == [("exclusive", "done")]
    writes.submit(held.entry(*moved(job, run, S.SUCCESS), done=told.listener("end")))
    writes.submit(free.entry(done=told.listener("free")))
    assert told.hear(1)[0][0] == "free"
    assert writes.depth == 3
    holder.let_go()
    said = told.hear(3)
    assert [name for name, _ in said] == ["create", "take", "end"]
    assert all(isinstance(outcome, Committed) for _, outcome in said)
    assert (desk.status_of(run), writes.depth) == ("success", 0)


def test_a_stop_waits_for_who_holds_a_host(postgres_desk: Desk, holder: Holder, journal: tuple[Journal, Told]) -> None:
    desk, (writes, told) = postgres_desk, journal
    held, free = desk.host(), desk.host()
    holder.hold(held)
    writes.submit(held.entry(*created(*held.new_job()), done=told.listener("held")))
    writes.submit(free.entry(done=told.listener("free")))
    assert told.hear(1)[0][0] == "free"
    stopping = threading.Thread(target=writes.stop)
    stopping.start()
    holder.let_go()
    stopping.join(LONG)
    assert isinstance(told.hear(1)[0][1], Committed)
    assert desk.count("job") == 1


def test_a_stop_refuses_in_the_end_what_somebody_goes_on_holding(
    postgres_desk: Desk, holder: Holder, journal: tuple[Journal, Told], monkeypatch: pytest.MonkeyPatch
) -> None:
    desk, (writes, told) = postgres_desk, journal
    monkeypatch.setattr("store.journal.LAST_SECONDS", 0)
    held = desk.host()
    holder.hold(held)
    writes.submit(held.entry(done=told.listener("held")))
    writes.stop()
    assert isinstance(told.hear(1)[0][1], Refused)


# ---- connections that end --------------------------------------------------------------------------------------------------


@pytest.fixture
def link(postgres_url: str) -> Iterator[Wire]:
    with short_folder("il-wire-", plain_account()) as folder, wire(postgres_url, folder) as made:
        yield made


@pytest.fixture
def cut(link: Wire) -> Iterator[Desk]:
    """A desk whose every statement goes over the wire."""
    database = open_database(link.url)
    yield Desk(database, Committer(database, "me"))
    database.close()


@pytest.mark.parametrize("where", Cut)
def test_a_connection_that_ends_in_commit_leaves_the_outcome_unknown(cut: Desk, link: Wire, where: Cut) -> None:
    claims = [cut.host() for _ in range(3)]
    entries = [claim.entry(*created(*claim.new_job())) for claim in claims]
    link.cut_at("COMMIT", where)
    outcomes = cut.refused(*entries)
    assert all(outcome.unknown for outcome in outcomes)
    assert all(claim.incarnation.poisoned for claim in claims)
    assert cut.count("job") == (3 if where is Cut.AFTER else 0)
    cut.refused(*(claim.entry() for claim in claims))
    cut.committed(*(cut.claim(claim.host.id).entry() for claim in claims))


@pytest.mark.parametrize("word", ["BEGIN", 'UPDATE "host"', 'INSERT INTO "job"', 'INSERT INTO "job_run"'])
def test_a_connection_that_ends_before_commit_was_sent_is_a_definite_failure(cut: Desk, link: Wire, word: str) -> None:
    claims = [cut.host() for _ in range(3)]
    link.cut_at(word, cuts=100)
    outcomes = cut.refused(*(claim.entry(*created(*claim.new_job())) for claim in claims))
    assert not any(outcome.unknown for outcome in outcomes)
    link.cut_at("nothing")
    assert cut.count("job") == 0
    cut.committed(*(cut.claim(claim.host.id).entry() for claim in claims))


@pytest.mark.parametrize("where", Cut)
def test_a_batch_whose_connection_ended_before_commit_is_rerun_on_another(cut: Desk, link: Wire, where: Cut) -> None:
    claims = [cut.host() for _ in range(3)]
    link.cut_at('INSERT INTO "job"', where)
    cut.committed(*(claim.entry(*created(*claim.new_job())) for claim in claims))
    assert cut.count("job") == cut.count("job_run") == 3


@pytest.mark.parametrize("where", Cut)
@pytest.mark.parametrize("word", ["INSERT", "COMMIT"])
def test_exclusive_work_whose_connection_ended_is_told_so_and_the_next_succeeds(
    cut: Desk, link: Wire, word: str, where: Cut
) -> None:
    heard: list[Any] = []

    def come(name: str) -> Exclusive:
        host = host_row(name=name)
        return Exclusive(lambda database: write_host(database, host), lambda *said: heard.append(said))

    link.cut_at(word, where)
    result, error = run_exclusive(cut.committer, come("first"))
    assert result is None
    assert isinstance(error, PeeweeException)
    assert run_exclusive(cut.committer, come("second")) == (None, None)
    assert cut.count("host") == (2 if (word, where) == ("COMMIT", Cut.AFTER) else 1)


def test_a_transaction_that_the_server_ended_is_rerun(
    postgres_desk: Desk, postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk = postgres_desk
    at, other = desk.host(), desk.host()
    fence = desk.committer.dialect.fence
    calls: list[int] = []

    def paused(cursor: Any, *rest: Any) -> Any:
        if not calls:  # as when a process was stopped in the midst of it for longer than the server waits
            end_session(postgres_url, cursor.connection.info.backend_pid)
        calls.append(1)
        return fence(cursor, *rest)

    monkeypatch.setattr(desk.committer.dialect, "fence", paused)
    desk.committed(at.entry(*created(*at.new_job())), other.entry())
    assert len(calls) == 3


def end_session(url: str, pid: int) -> None:
    """Return when it has ended."""
    connection = psycopg2.connect(url)
    connection.cursor().execute("SELECT pg_terminate_backend(%s, 20000)", (pid,))
    connection.close()


def test_a_time_out_is_not_repeated_for_each_host(postgres_desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    desk = postgres_desk
    claims = [desk.host() for _ in range(5)]
    tried: list[Outcome] = []

    def slow(cursor: Any, *_: Any) -> Any:
        tried.append(Refused("slow"))
        cursor.execute("SET LOCAL statement_timeout = 1")
        cursor.execute("SELECT pg_sleep(10)")

    monkeypatch.setattr(desk.committer.dialect, "fence", slow)
    desk.refused(*(claim.entry() for claim in claims))
    assert len(tried) == 2  # all together, and the first by itself


def test_a_claim_of_a_host_that_somebody_goes_on_holding_gives_up_soon(postgres_desk: Desk, holder: Holder) -> None:
    desk = postgres_desk
    held, free = desk.host(), desk.host()
    holder.hold(held)
    heard: list[Any] = []
    both = [held.host.id, free.host.id]
    item = Exclusive(lambda database: claim(database, "me", both), lambda *said: heard.append(said))
    result, error = run_exclusive(desk.committer, item)
    assert (result, type(error)) == (None, OperationalError)
    assert desk.fence(free)[1] == free.host.epoch
    holder.let_go()
    claimed, error = run_exclusive(desk.committer, item)
    assert (set(claimed), error) == (set(both), None)


def test_a_row_that_somebody_else_is_just_inserting_delays_its_own_host_alone(
    postgres_desk: Desk, postgres_url: str
) -> None:
    desk = postgres_desk
    first, at, last = (desk.host() for _ in range(3))
    other = psycopg2.connect(postgres_url)
    values = ("an id", "org", "ann", "key", "print", "{}", 1)
    other.cursor().execute("INSERT INTO idempotency_key VALUES (%s, %s, %s, %s, %s, %s, %s)", values)
    key = append("idempotency_key", user_id="ann", key="key", fingerprint="print", response="{}")
    outcomes = desk.commit(first.entry(), at.entry(*created(*at.new_job()), key), last.entry())
    assert [type(outcome) for outcome in outcomes] == [Committed, Refused, Committed]
    other.close()
