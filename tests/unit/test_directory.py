"""The directory finds, starts, rebuilds and passivates actors; parked polls and timers outlive their incarnations."""

from collections.abc import Iterator

import pytest
from peewee import OperationalError

from actors.loop_actor import LoopFuture
from actors.messages import NOTHING, Describe, ReportResult
from actors.org import CountPending
from interlock.errors import NotFound, QuotaExceeded, Superseded, Unavailable
from interlock.wire import Report
from tests.support.hosts import answer_of
from tests.support.town import Town


@pytest.fixture
def town() -> Iterator[Town]:
    made = Town()
    yield made
    assert made.directory.failures == []


# ---- coming to life ----------------------------------------------------------------------------------------------------


def test_a_hosts_first_message_claims_it_and_waits_for_its_rows(town: Town) -> None:
    host_id = town.host()
    reply = town.ask(host_id, Describe())
    assert (reply.done, town.fence(host_id)) == (False, (None, 0))
    town.settle()
    assert reply.get()["epoch"] == 1
    assert town.fence(host_id) == ("me", 1)


def test_a_host_that_does_not_exist_is_not_found_and_forgotten(town: Town) -> None:
    reply, poll = town.ask("unknown", Describe()), town.poll("unknown")
    town.settle()
    assert isinstance(reply.error, NotFound)
    assert isinstance(poll.answer.error, NotFound)
    assert (town.directory.hosts, town.directory.polls) == ({}, {})


def test_nobody_acts_for_a_host_that_was_deleted(town: Town) -> None:
    host_id = town.host()
    poll = town.poll(host_id)
    town.settle()
    reply = town.ask(host_id, Describe())
    town.directory.deleted(host_id)
    town.settle()
    assert isinstance(poll.answer.error, NotFound)
    assert reply.done
    assert (town.directory.hosts, town.directory.polls) == ({}, {})


def test_whoever_waits_until_a_host_has_been_read_is_answered_when_it_is_gone(town: Town) -> None:
    host_id = town.host()
    town.ask(host_id, Describe())
    town.settle()
    town.database.execute_sql("DELETE FROM host")
    reply = town.directory.changed(host_id)
    town.settle()
    assert reply.done


def test_all_hosts_that_are_asked_for_in_one_turn_are_claimed_together(town: Town) -> None:
    hosts = [town.host() for _ in range(5)]
    town.directory.activate(hosts)
    town.settle()
    assert town.exclusives == 1
    assert {town.fence(host_id) for host_id in hosts} == {("me", 1)}


def test_claims_are_bounded() -> None:
    town = Town(claims_per_batch=2)
    town.directory.activate([town.host() for _ in range(5)])
    town.settle()
    assert town.exclusives == 3


def test_hosts_that_are_asked_for_while_others_are_claimed_are_claimed_together(town: Town) -> None:
    """A fleet that comes back after a restart: each host's request comes by itself."""
    hosts = [town.host() for _ in range(6)]
    replies = [town.ask(host_id, Describe()) for host_id in hosts[:5]]
    town.fails = [OperationalError("away")]  # what befalls the first says nothing of those behind it
    town.write()
    assert [reply.done for reply in replies] == [True, False, False, False, False]
    replies.append(town.ask(hosts[5], Describe()))
    town.settle()
    assert [isinstance(reply.error, Unavailable) for reply in replies] == [True, *[False] * 5]
    assert town.exclusives == 3


def test_a_second_message_claims_nothing_again(town: Town) -> None:
    host_id = town.host()
    for _ in range(3):
        town.ask(host_id, Describe())
        town.settle()
    assert town.fence(host_id) == ("me", 1)


async def test_a_start_waits_until_all_rows_are_read(town: Town) -> None:
    town.directory.activate([town.host() for _ in range(3)])
    waiting = town.directory.all_claimed()
    waiting.send(None)
    town.settle()
    with pytest.raises(StopIteration):
        waiting.send(None)


def test_rows_that_cannot_be_read_are_a_try_later_and_a_later_message_tries_again(town: Town) -> None:
    host_id = town.host()
    town.fails = [OperationalError("away")]
    reply = town.ask(host_id, Describe())
    town.settle()
    assert isinstance(reply.error, Unavailable)
    again = town.ask(host_id, Describe())
    town.settle()
    assert again.get()["hostId"] == host_id


def test_a_parked_poll_outlives_rows_that_could_not_be_read(town: Town) -> None:
    host_id = town.host()
    town.fails = [OperationalError("away")]
    poll = town.poll(host_id)
    town.settle()
    assert not poll.answer.done
    town.wait(2)
    town.create(host_id)
    town.settle()
    assert answer_of(poll).taken is not None


# ---- rebuilding --------------------------------------------------------------------------------------------------------


def test_a_change_that_was_not_written_ends_the_incarnation_and_its_parked_poll_stays(town: Town) -> None:
    host_id = town.host()
    poll = town.poll(host_id)
    town.settle()
    town.fails = [OperationalError("disk full")]
    refused = town.create(host_id)
    town.settle()
    assert isinstance(refused.error, Unavailable)
    assert not poll.answer.done
    town.create(host_id)
    town.settle()
    assert answer_of(poll).taken is not None
    assert (town.fence(host_id)[1], town.directory.rebuilt) == (2, 1)


def test_a_host_with_a_live_run_is_rebuilt_at_once(town: Town) -> None:
    host_id = town.host()
    town.create(host_id)
    town.settle()
    poll = town.poll(host_id, waits=False)
    town.settle()
    town.fails = [OperationalError("disk full")]
    town.create(host_id)
    town.settle()
    assert town.fence(host_id)[1] == 2
    reported = town.ask(host_id, _report(answer_of(poll).job_run_id or ""))
    town.settle()
    assert reported.get().status == "success"


def test_a_host_with_nothing_under_way_is_rebuilt_by_its_next_message(town: Town) -> None:
    host_id = town.host()
    town.create(host_id)
    town.fails = [OperationalError("disk full")]
    town.write()
    town.settle()
    assert host_id not in town.directory.hosts
    created = town.create(host_id)
    town.settle()
    assert isinstance(created.get(), bytes)


def test_a_host_that_was_online_is_rebuilt_at_once_so_that_somebody_sees_it_go(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[str] = []
    monkeypatch.setattr(town, "publish", lambda _org, event, _data: told.append(event))
    host_id = town.host()
    town.poll(host_id, waits=False)
    town.settle()
    town.fails = [OperationalError("disk full")]
    town.create(host_id)
    town.settle()
    assert town.fence(host_id)[1] == 2
    for _ in range(60):
        town.wait(2)
        town.directory.sweep()
        town.settle()
    assert told == ["host.online", "host.offline"]
    assert town.directory.hosts == {}


def test_a_poll_whose_time_is_over_while_its_host_is_rebuilt_is_still_answered(town: Town) -> None:
    host_id = town.host()
    poll = town.poll(host_id, wait=25)
    town.settle()
    town.fails = [OperationalError("disk full")]
    town.create(host_id)  # its commit is under way …
    town.at += 25_000
    for _, _, timer in sorted(town.timers, key=lambda each: each[:2]):
        if not timer.cancelled:
            timer.callback(*timer.args)  # … when the poll's time is over, and the loop has not turned yet
    town.timers.clear()
    town.write()
    town.settle()
    town.wait(60)
    assert poll.answer.done


def _report(run_id: str) -> ReportResult:
    return ReportResult(job_run_id=run_id, report=Report(status="success"), digest="digest", body="{}")


# ---- polls -------------------------------------------------------------------------------------------------------------


def test_a_poll_ends_with_nothing_after_its_wait(town: Town) -> None:
    poll = town.poll(town.host(), wait=25)
    town.settle()
    town.wait(24)
    assert not poll.answer.done
    town.wait(2)
    assert answer_of(poll) == NOTHING
    assert town.directory.polls == {}


def test_an_answered_poll_leaves_no_timer_behind(town: Town) -> None:
    host_id = town.host()
    poll = town.poll(host_id)
    town.settle()
    town.create(host_id)
    town.settle()
    assert poll.answer.done
    assert [timer for _, _, timer in town.timers if not timer.cancelled and poll in timer.args] == []


def test_a_newer_poll_supersedes_the_parked_one(town: Town) -> None:
    host_id = town.host()
    old = town.poll(host_id)
    town.settle()
    new = town.poll(host_id)
    town.settle()
    assert isinstance(old.answer.error, Superseded)
    assert town.directory.polls == {host_id: new}


def test_a_poll_that_finds_a_full_mailbox_is_answered() -> None:
    town = Town(mailbox=2)
    host_id = town.host()
    for _ in range(2):
        town.directory.tell(host_id, Describe())
    poll = town.poll(host_id, wait=25)
    town.settle()
    town.wait(60)
    assert poll.answer.done


def test_a_full_mailbox_refuses_and_a_tell_is_dropped() -> None:
    town = Town(mailbox=2)
    host_id = town.host()
    kept = [town.ask(host_id, Describe()) for _ in range(2)]
    refused = town.ask(host_id, Describe())
    town.directory.tell(host_id, Describe())
    assert isinstance(refused.error, Unavailable)
    assert len(town.directory.hosts[host_id].inbox) == 2
    town.settle()
    assert all(reply.get()["hostId"] == host_id for reply in kept)


# ---- time --------------------------------------------------------------------------------------------------------------


def test_a_hosts_own_timer_looks_when_something_is_due(town: Town) -> None:
    host_id = town.host()
    town.create(host_id)
    town.settle()
    town.poll(host_id, waits=False)
    town.settle()
    town.wait(599)
    assert _status(town) == "running"
    town.wait(2)
    assert _status(town) == "cancelling"


def test_a_host_where_time_changes_nothing_has_no_timer(town: Town) -> None:
    host_id = town.host()
    town.create(host_id)
    town.settle()
    assert [timer for _, _, timer in town.timers if not timer.cancelled] == []


def test_the_sweep_tells_hosts_that_are_due_and_brings_them_to_life(town: Town) -> None:
    host_id = town.host()
    town.directory.sweep([host_id])
    town.settle()
    assert town.fence(host_id) == ("me", 1)


def test_the_sweep_saves_now_and_then_that_a_connected_host_is_here(town: Town) -> None:
    host_id = town.host()
    town.poll(host_id, wait=1000)
    town.settle()
    town.wait(40)
    town.directory.sweep()
    town.settle()
    seen = town.database.execute_sql("SELECT last_seen_at FROM host").fetchone()[0]
    assert seen == town.at


def test_nothing_new_goes_out_before_a_change_of_the_hosts_row_is_read(town: Town) -> None:
    host_id = town.host()
    poll = town.poll(host_id)
    town.settle()
    town.database.execute_sql("UPDATE host SET paused = 1, rev = rev + 1")
    read = town.directory.changed(host_id)
    known = [read.done]
    town.create(host_id)
    town.settle()
    assert [*known, read.done] == [False, True]
    assert not poll.answer.done
    state = town.directory.hosts[host_id].state
    assert state is not None
    assert (state.stale, state.host.paused, len(state.line)) == (False, True, 1)


def test_the_sweep_has_a_host_look_again_that_could_not_read_its_rows(town: Town) -> None:
    host_id = town.host()
    poll = town.poll(host_id)
    town.create(host_id)
    town.settle()
    state = town.directory.hosts[host_id].state
    assert state is not None
    state.stale = True
    town.directory.sweep()
    town.settle()
    assert not state.stale
    assert poll.answer.done


def test_an_idle_host_leaves_the_memory_and_its_next_message_brings_it_back(town: Town) -> None:
    host_id = town.host()
    town.create(host_id)
    town.settle()
    town.wait(59)
    town.directory.sweep()
    assert host_id in town.directory.hosts
    town.wait(1)
    town.directory.sweep()
    town.settle()
    assert (town.directory.hosts, town.fence(host_id)) == ({}, (None, 1))
    described = town.ask(host_id, Describe())
    town.settle()
    assert (described.get()["pendingCount"], town.fence(host_id)) == (1, ("me", 2))


def test_a_host_with_a_parked_poll_or_a_live_run_stays(town: Town) -> None:
    polled, busy = town.host(), town.host()
    town.poll(polled, wait=10_000)
    town.create(busy)
    town.settle()
    town.poll(busy, waits=False)
    town.settle()
    town.wait(500)
    for _ in range(3):
        town.directory.sweep()
        town.settle()
    assert set(town.directory.hosts) == {polled, busy}


def test_a_host_that_was_seen_leaves_after_it_has_gone_offline(town: Town) -> None:
    host_id = town.host()
    town.poll(host_id, waits=False)
    town.settle()
    for _ in range(200):
        town.wait(2)
        town.directory.sweep()
        town.settle()
    assert town.directory.hosts == {}


def _status(town: Town) -> str:
    """Of the only run."""
    return str(town.database.execute_sql("SELECT status FROM job_run").fetchone()[0])


# ---- organizations -----------------------------------------------------------------------------------------------------


def test_a_quota_of_an_organization_counts_what_was_routed_since_the_last_count() -> None:
    town = Town(max_pending_per_org=3)
    host_id = town.host()
    replies = [town.create(host_id) for _ in range(4)]
    town.settle()
    assert [type(reply.error) for reply in replies] == [type(None)] * 3 + [QuotaExceeded]


def test_an_old_count_refuses_nobody_before_the_rows_were_counted_afresh() -> None:
    town = Town(max_pending_per_org=3)
    town.directory.supervisor("org").actor_ref.tell(CountPending(pending=99))
    assert isinstance(_settled(town, town.create(town.host())).get(), bytes)


def test_an_organizations_supervisor_that_died_is_started_again(town: Town) -> None:
    host_id = town.host()
    first = town.directory.supervisor("org")
    first.stop()
    town.settle()
    assert isinstance(_settled(town, town.create(host_id)).get(), bytes)
    assert town.directory.supervisor("org") is not first


def test_an_organizations_supervisor_that_has_nothing_to_do_leaves_the_memory(town: Town) -> None:
    host_id = town.host()
    _settled(town, town.create(host_id))
    _quiet(town)
    assert town.directory.orgs == {}
    assert isinstance(_settled(town, town.create(host_id)).get(), bytes)
    assert set(town.directory.orgs) == {"org"}


def test_a_supervisor_stays_while_a_host_waits_for_pool_jobs(town: Town) -> None:
    host_id = town.host()
    for _ in range(6):
        town.poll(host_id, 25)
        town.settle()
        town.directory.sweep()
        town.wait(20)
    assert set(town.directory.orgs) == {"org"}


def test_a_supervisor_stays_while_it_counts_jobs_that_wait() -> None:
    town = Town(max_pending_per_org=3)
    host_id = town.host()
    _settled(town, town.create(host_id))
    town.directory.supervisor("org").actor_ref.tell(CountPending(pending=1))
    _quiet(town)
    assert set(town.directory.orgs) == {"org"}
    town.directory.supervisor("org").actor_ref.tell(CountPending(pending=0))
    _quiet(town)
    assert town.directory.orgs == {}


def _quiet(town: Town) -> None:
    """Nobody says anything for two minutes, but the sweep comes round."""
    for _ in range(13):
        town.settle()
        town.directory.sweep()
        town.wait(10)


def _settled(town: Town, reply: LoopFuture) -> LoopFuture:
    town.settle()
    return reply


# ---- the end -----------------------------------------------------------------------------------------------------------


def test_a_job_that_is_on_its_way_to_a_poll_at_the_end_still_reaches_it(town: Town) -> None:
    host_id = town.host()
    poll = town.poll(host_id)
    town.settle()
    created = town.create(host_id)
    town.directory.close()
    town.settle()
    assert isinstance(created.get(), bytes)
    assert poll.answer.get().taken is not None


def test_at_the_end_parked_polls_are_answered_and_nothing_new_is_taken(town: Town) -> None:
    host_id = town.host()
    poll = town.poll(host_id)
    town.settle()
    created = town.create(town.host())
    town.directory.close()
    refused, late = town.ask(host_id, Describe()), town.poll(host_id)
    town.settle()
    assert [type(each.error) for each in (poll.answer, refused, late.answer)] == [Unavailable] * 3
    assert isinstance(created.get(), bytes)
    assert town.directory.polls == {}
