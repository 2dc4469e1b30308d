"""Sockets and two nodes: the node that holds the agent's socket owns the host, and who has lost it lets the socket go."""

from collections.abc import Iterator
from typing import Any

import msgspec
import pytest

from actors.loop_actor import LoopFuture
from actors.messages import Ack, Beat, ResolveAction
from interlock.errors import InterlockError, Unavailable
from tests.support.agent_sockets import Socket
from tests.support.hosts import USER
from tests.support.region import Region, Side


@pytest.fixture
def region() -> Iterator[Region]:
    made = Region()
    yield made
    assert made.a.directory.failures + made.b.directory.failures == []


def connect(side: Side, host_id: str, number: int = 1, **said: Any) -> tuple[Socket, LoopFuture]:
    """A connection there, and the reply to come."""
    socket = Socket(number, host_id=host_id, instance="one", **said)
    reply = side.directory.connect(socket.session)
    side.turn()
    return socket, reply


def connected(side: Side, host_id: str, number: int = 1, **said: Any) -> Socket:
    """A connection there, all heard of."""
    socket, reply = connect(side, host_id, number, **said)
    side.region.settle()
    assert reply.get() is None
    return socket


def job(side: Side, host_id: str) -> str:
    """A job, made there and heard of everywhere; its id."""
    reply = side.create(host_id)
    side.region.settle()
    return str(msgspec.json.decode(reply.get())["id"])


def ack(side: Side, socket: Socket) -> Any:
    """What became of the ack of the job that was pushed last."""
    message = Ack(session=socket.session, job_id=socket.offered().job_id)
    reply = side.ask(socket.session.host_id, message)
    side.region.settle()
    return reply.outcome


def test_a_connect_takes_the_host_over_and_the_socket_at_its_last_owner_is_closed(region: Region) -> None:
    host_id = region.host()
    old = connected(region.a, host_id, 1)
    new = connected(region.b, host_id, 2)
    assert (region.owner(host_id)[0], old.closed, new.closed) == ("b", (1012, "restart"), None)
    assert region.a.directory.sessions == {}


def test_an_offer_of_the_last_owner_is_made_again_by_the_next(region: Region) -> None:
    host_id = region.host()
    old = connected(region.a, host_id, 1)
    job_id = job(region.a, host_id)
    new = connected(region.b, host_id, 2)
    assert old.offered().job_run_id == new.offered().job_run_id
    assert region.one("SELECT offers FROM job_run WHERE job_id = ?", job_id) == 2
    assert ack(region.b, new).job_id == job_id


def test_an_ack_that_reaches_who_has_lost_the_host_starts_nothing(region: Region) -> None:
    host_id = region.host()
    old = connected(region.a, host_id, 1)
    job_id = job(region.a, host_id)
    connect(region.b, host_id, 2)
    region.b.settle()
    region.rings.clear()  # node A does not know yet
    assert isinstance(ack(region.a, old), InterlockError)
    assert region.runs(job_id) == ["offered"]
    assert old.closed == (1012, "restart")


def test_who_has_lost_the_host_does_not_call_its_newer_socket_superseded(region: Region) -> None:
    host_id = region.host()
    old = connected(region.a, host_id, 1)
    connect(region.b, host_id, 2)
    region.b.settle()
    region.rings.clear()
    stranger = Socket(3, host_id=host_id)
    reply = region.a.ask(host_id, Beat(instance_id=None, running=(), session=stranger.session))
    region.a.settle()
    assert isinstance(reply.error, Unavailable)
    assert old.closed == (1012, "restart")


def test_a_job_that_is_made_elsewhere_is_pushed_by_the_owner(region: Region) -> None:
    host_id = region.host()
    socket = connected(region.a, host_id)
    job_id = job(region.b, host_id)
    assert socket.offered().job_id == job_id
    assert region.owner(host_id)[0] == "a"


def test_a_cancel_that_is_asked_elsewhere_is_pushed_by_the_owner(region: Region) -> None:
    host_id = region.host()
    socket = connected(region.a, host_id)
    offered = job(region.a, host_id)
    region.b.cancel(host_id, offered)
    region.settle()
    assert region.runs(offered) == ["cancelled"]
    running = job(region.a, host_id)
    assert ack(region.a, socket).job_id == running
    region.b.cancel(host_id, running)
    region.settle()
    assert region.runs(running) == ["cancelling"]
    assert [stop.job_id for stop in socket.of("job:cancel")] == [offered, running]


def test_only_the_owner_can_tell_an_agent_to_go_on(region: Region) -> None:
    host_id = region.host()
    connected(region.a, host_id)
    job_id = job(region.a, host_id)
    reply = region.b.ask(host_id, ResolveAction(job_id=job_id, by=USER))
    region.settle()
    assert isinstance(reply.error, Unavailable)


def test_a_rebuilt_actor_does_not_steal_its_host_back_for_an_old_socket(region: Region) -> None:
    host_id = region.host()
    old = connected(region.a, host_id, 1)
    connect(region.b, host_id, 2)
    region.b.settle()
    region.rings.clear()
    region.a.directory._dropped(region.a.directory.hosts[host_id], "a bug", None)
    region.settle()
    assert region.owner(host_id)[0] == "b"
    assert old.closed == (1012, "restart")
    assert region.a.directory.hosts == {}
