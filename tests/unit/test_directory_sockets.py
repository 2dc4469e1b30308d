"""The directory keeps sockets: they outlive their hosts' actors, and go when others have a better claim to the host."""

from collections.abc import Iterator
from typing import Any

import pytest
from peewee import OperationalError

from actors.loop_actor import LoopFuture
from actors.messages import Ack, Beat, Describe, ReportResult
from actors.ports import Alone
from interlock.errors import NotFound, Unavailable
from interlock.wire import Report
from tests.support.agent_sockets import Socket
from tests.support.hosts import answer_of
from tests.support.town import Town


@pytest.fixture
def town() -> Iterator[Town]:
    made = Town()
    yield made
    assert made.directory.failures == []


def connect(town: Town, host_id: str, number: int = 1, **said: Any) -> tuple[Socket, LoopFuture]:
    """A connection on its way in, and the reply to come."""
    socket = Socket(number, host_id=host_id, **said)
    reply = town.directory.connect(socket.session)
    town.turn()
    return socket, reply


def connected(town: Town, host_id: str, number: int = 1, **said: Any) -> Socket:
    """A connection that is taken in."""
    socket, reply = connect(town, host_id, number, **said)
    town.settle()
    assert reply.get() is None
    return socket


def ack(town: Town, socket: Socket) -> str:
    """It accepts what it was offered last; the run's id."""
    given = socket.offered()
    reply = town.ask(given_host(socket), Ack(session=socket.session, job_id=given.job_id))
    town.settle()
    assert reply.get().job_run_id == given.job_run_id
    return given.job_run_id


def given_host(socket: Socket) -> str:
    return socket.session.host_id


def create(town: Town, host_id: str) -> LoopFuture:
    """A new job, on the disk."""
    reply = town.create(host_id)
    town.settle()
    return reply


def status(town: Town) -> str:
    """Of the only run."""
    return str(town.database.execute_sql("SELECT status FROM job_run").fetchone()[0])


def test_a_connect_claims_the_host_and_is_answered_once_that_is_durable(town: Town) -> None:
    host_id = town.host()
    socket, reply = connect(town, host_id)
    assert not reply.done
    town.settle()
    assert reply.get() is None
    assert socket.session.introduced
    assert (town.fence(host_id), town.directory.sessions) == (("me", 1), {host_id: socket.session})


def test_nothing_is_pushed_before_its_commit(town: Town) -> None:
    host_id = town.host()
    socket = connected(town, host_id)
    town.create(host_id)
    assert socket.frames == []
    town.settle()
    assert socket.events == ["job:new"]
    assert status(town) == "offered"


def test_a_job_goes_its_whole_way_over_a_socket(town: Town) -> None:
    host_id = town.host()
    socket = connected(town, host_id)
    create(town, host_id)
    create(town, host_id)
    run_id = ack(town, socket)
    reported = town.ask(host_id, success(run_id))
    town.settle()
    assert reported.get().job_status == "COMPLETED"
    assert socket.offered().job_run_id != run_id


def test_a_report_is_answered_before_the_next_job_is_pushed(town: Town) -> None:
    host_id = town.host()
    socket = connected(town, host_id)
    create(town, host_id)
    create(town, host_id)
    reported = town.ask(host_id, success(ack(town, socket)))
    reported.then(lambda _: socket.frames.append(("job:done_ack", None)))
    town.settle()
    assert socket.events == ["job:new", "job:done_ack", "job:new"]


def success(run_id: str) -> ReportResult:
    return ReportResult(job_run_id=run_id, report=Report(status="success"), digest="digest", body="{}")


def test_what_a_move_writes_is_what_memory_holds(town: Town) -> None:
    """Each of the narrow statements of an offered run's moves, against real rows."""
    host_id = town.host()
    socket = connected(town, host_id)
    create(town, host_id)
    town.wait(31)
    ack(town, socket)
    state = town.directory.hosts[host_id].state
    assert state is not None
    assert state.current is not None
    columns = ("status", "run_no", "instance_id", "offered_until", "offers", "started_at", "timeout_at", "leased")
    row = town.database.execute_sql(f"SELECT {', '.join(columns)} FROM job_run").fetchone()  # noqa: S608
    assert row == tuple(getattr(state.current.run, name) for name in columns)


def test_a_host_that_does_not_exist_has_no_connection(town: Town) -> None:
    _, reply = connect(town, "unknown")
    town.settle()
    assert isinstance(reply.error, NotFound)
    assert (town.directory.hosts, town.directory.sessions) == ({}, {})


def test_a_newer_connection_closes_the_older_one_with_a_word(town: Town) -> None:
    host_id = town.host()
    old, new = connected(town, host_id, 1), connected(town, host_id, 2)
    assert [(event, data.code) for event, data in old.frames] == [("error", "superseded")]
    assert old.closed == (1008, "superseded")
    assert (new.frames, new.closed) == ([], None)
    town.directory.disconnect(old.session)
    town.settle()
    assert town.directory.sessions == {host_id: new.session}


def test_a_connection_that_goes_gives_its_offer_back(town: Town) -> None:
    host_id = town.host()
    socket = connected(town, host_id)
    create(town, host_id)
    town.directory.disconnect(socket.session)
    town.settle()
    assert status(town) == "pending"
    assert town.directory.sessions == {}


def test_a_connection_that_goes_while_its_host_is_being_claimed_is_none(town: Town) -> None:
    host_id = town.host()
    socket, reply = connect(town, host_id)
    town.directory.disconnect(socket.session)
    town.settle()
    create(town, host_id)
    assert reply.done
    assert socket.frames == []
    assert status(town) == "pending"


# ---- incarnations ------------------------------------------------------------------------------------------------------


def test_a_socket_outlives_an_incarnation_of_its_host(town: Town) -> None:
    host_id = town.host()
    socket = connected(town, host_id)
    town.fails = [OperationalError("disk full")]
    assert isinstance(create(town, host_id).error, Unavailable)
    assert (town.directory.rebuilt, town.fence(host_id)[1]) == (1, 2)
    create(town, host_id)
    assert socket.events == ["job:new"]
    assert socket.closed is None


def test_an_offer_whose_commit_failed_is_made_by_the_next_incarnation(town: Town) -> None:
    host_id = town.host()
    create(town, host_id)
    socket, _ = connect(town, host_id)
    town.settle()
    ack(town, socket)
    create(town, host_id)
    reported = town.ask(host_id, success(socket.offered().job_run_id))
    town.fails = [OperationalError("disk full")]
    town.settle()
    assert isinstance(reported.error, Unavailable)
    assert len(socket.of("job:new")) == 1
    town.ask(host_id, success(socket.offered().job_run_id))
    town.settle()
    assert len(socket.of("job:new")) == 2


def test_a_message_that_comes_before_the_host_is_rebuilt_finds_its_socket_there(town: Town) -> None:
    host_id = town.host()
    socket = connected(town, host_id, instance="a")
    town.fails = [OperationalError("disk full"), OperationalError("still full")]
    create(town, host_id)  # its claim fails too: the next one is some time away
    assert host_id not in town.directory.hosts
    beat = town.ask(host_id, Beat(instance_id="a", running=(), session=socket.session))
    town.settle()
    assert beat.get() == []


def test_a_connection_whose_commit_failed_is_not_kept(town: Town) -> None:
    host_id = town.host()
    town.ask(host_id, Describe())
    town.settle()
    socket, reply = connect(town, host_id)
    town.fails = [OperationalError("disk full")]
    town.settle()
    assert isinstance(reply.error, Unavailable)
    assert not socket.session.introduced
    assert town.directory.sessions == {}


def test_a_connected_host_stays_however_long_it_idles(town: Town) -> None:
    host_id = town.host()
    connected(town, host_id)
    for _ in range(100):
        town.wait(2)
        town.directory.sweep()
        town.settle()
    assert set(town.directory.hosts) == {host_id}


def test_an_unaccepted_offer_lapses_by_the_hosts_own_timer(town: Town) -> None:
    host_id = town.host()
    socket = connected(town, host_id)
    create(town, host_id)
    town.wait(31)
    assert len(socket.of("job:new")) == 2


# ---- other owners, and the end -----------------------------------------------------------------------------------------


class Shared(Alone):
    """Other nodes may own hosts."""

    alone = False


def fenced(town: Town, host_id: str) -> None:
    """Another node has claimed the host, and this one finds out."""
    town.around.ownership = Shared()
    town.database.execute_sql("UPDATE host SET owner = 'another', epoch = epoch + 1 WHERE id = ?", (host_id,))
    town.directory.reconcile(town.directory.epochs(), {})
    town.settle()


def test_the_socket_of_a_host_that_another_node_has_taken_over_is_closed_so_that_its_agent_comes_back(
    town: Town,
) -> None:
    host_id = town.host()
    socket = connected(town, host_id)
    fenced(town, host_id)
    assert socket.closed == (1012, "restart")
    assert town.directory.sessions == {}
    connected(town, host_id, 2)
    assert town.fence(host_id) == ("me", 3)


def test_nothing_goes_out_on_the_socket_of_a_host_that_another_node_has_taken_over(town: Town) -> None:
    host_id = town.host()
    socket = connected(town, host_id)
    town.database.execute_sql("UPDATE host SET owner = 'another', epoch = epoch + 1 WHERE id = ?", (host_id,))
    create(town, host_id)
    assert socket.of("job:new") == []


def test_a_node_that_cannot_say_that_it_lives_closes_its_sockets(town: Town) -> None:
    sockets = [connected(town, town.host()) for _ in range(3)]
    town.directory.abandon()
    assert [socket.closed for socket in sockets] == [(1012, "restart")] * 3
    assert town.directory.sessions == {}


def test_a_server_that_stops_closes_its_sockets_and_takes_no_more(town: Town) -> None:
    host_id = town.host()
    socket = connected(town, host_id)
    create(town, host_id)
    town.directory.close()
    late, reply = connect(town, host_id, 2)
    town.directory.disconnect(socket.session)
    town.settle()
    assert socket.closed is not None
    assert socket.closed[0] == 1001
    assert isinstance(reply.error, Unavailable)
    assert late.frames == []
    assert status(town) == "offered"  # until its deadline, or until its agent is back


def test_a_poll_and_a_socket_of_one_host_live_side_by_side(town: Town) -> None:
    host_id = town.host()
    socket = connected(town, host_id, instance="a")
    poll = town.poll(host_id)
    town.settle()
    create(town, host_id)
    assert answer_of(poll).taken is not None
    assert socket.events == []
