"""What a host's state makes of polls: the take, what it declares, and the idle gate."""

from typing import Any

import pytest

from actors.host_state import RUN_NUMBERS_FROM
from actors.messages import NOTHING, EndPoll, HandOutAgain, Poll, PollAnswer, Take
from actors.policies import Policy, text_of
from interlock.errors import Superseded
from interlock.states import RunStatus
from tests.support.hosts import HostRig, answer_of, job_in

S = RunStatus


@pytest.fixture
def host() -> HostRig:
    return HostRig()


# ---- the take ----------------------------------------------------------------------------------------------------------


def test_a_poll_starts_the_first_in_line(host: HostRig) -> None:
    first, second = host.create(), host.create()
    job = job_in(answer_of(host.poll()))
    assert (job.job_id, job.job_run_id, job.attempt, job.run_no) == (first.job.id, first.run.id, 1, 1)
    assert host.status_of(first.run.id) is S.RUNNING
    assert host.waiting() == [second.run.id]
    assert (first.job.started_at, first.job.attempts, first.job.assigned_agent_id) == (host.now, 1, "host")
    assert "job_run.started" in host.events


def test_a_short_poll_of_a_host_without_jobs_gets_nothing(host: HostRig) -> None:
    assert answer_of(host.poll()) == NOTHING


def test_a_long_poll_waits_and_gets_the_job_that_comes(host: HostRig) -> None:
    poll = host.poll(waits=True)
    assert not poll.answer.done
    created = host.create()
    assert answer_of(poll).job_run_id == created.run.id


def test_a_long_poll_ends_with_nothing_when_its_time_is_over(host: HostRig) -> None:
    poll = host.poll(waits=True)
    host.do(EndPoll(poll=poll))
    assert answer_of(poll) == NOTHING
    assert host.state.poll is None


def test_the_end_of_a_poll_that_was_answered_already_changes_nothing(host: HostRig) -> None:
    old, new = host.poll(waits=True), host.poll(waits=True)
    host.do(EndPoll(poll=old))
    assert host.state.poll is new


def test_a_newer_poll_supersedes_the_parked_one(host: HostRig) -> None:
    old, new = host.poll(waits=True), host.poll(waits=True)
    assert isinstance(old.answer.error, Superseded)
    assert not new.answer.done


def test_a_poll_whose_connection_has_gone_gets_no_job(host: HostRig) -> None:
    gone = Poll("host", waits=True, is_open=lambda: False)
    host.do(Take(poll=gone))
    created = host.create()
    assert answer_of(gone) == NOTHING
    assert host.status_of(created.run.id) is S.PENDING


def test_a_busy_host_gets_no_second_job(host: HostRig) -> None:
    host.create()
    host.create()
    host.take()
    assert answer_of(host.poll()) == NOTHING
    assert len(host.waiting()) == 1


def test_a_plain_poll_never_gets_a_run_twice(host: HostRig) -> None:
    host.create()
    host.take()
    assert answer_of(host.poll()) == NOTHING


def test_a_reply_that_was_never_written_is_handed_out_again_to_the_next_poll(host: HostRig) -> None:
    host.create()
    run_id = host.take()
    host.do(HandOutAgain(job_run_id=run_id))
    again = job_in(answer_of(host.poll()))
    assert (again.job_run_id, again.run_no) == (run_id, 1)
    assert answer_of(host.poll()) == NOTHING


def test_a_reply_that_was_never_written_goes_to_the_poll_that_is_parked_by_then(host: HostRig) -> None:
    host.create()
    run_id = host.take()
    parked = host.poll(waits=True)
    host.do(HandOutAgain(job_run_id=run_id))
    assert answer_of(parked).job_run_id == run_id


def test_a_run_that_has_ended_meanwhile_is_not_handed_out_again(host: HostRig) -> None:
    host.create()
    run_id = host.take()
    host.report(run_id)
    host.do(HandOutAgain(job_run_id=run_id))
    assert answer_of(host.poll()) == NOTHING


def test_the_number_of_runs_rises_with_every_take(host: HostRig) -> None:
    host.create()
    host.create()
    numbers = []
    for _ in range(2):
        job = job_in(answer_of(host.poll()))
        numbers.append(job.run_no)
        host.report(job.job_run_id)
    assert numbers == [1, 2]


def test_the_number_of_runs_follows_the_clock_so_that_a_restored_database_is_ahead_of_its_agents(host: HostRig) -> None:
    numbers = []
    for now in (RUN_NUMBERS_FROM + 5000, RUN_NUMBERS_FROM + 5000, RUN_NUMBERS_FROM + 4000, RUN_NUMBERS_FROM + 90_000):
        host.now = now  # twice the same, once stepped back
        host.create()
        job = job_in(answer_of(host.poll()))
        numbers.append(job.run_no)
        host.report(job.job_run_id)
    assert numbers == [5000, 5001, 5002, 90_000]


def test_the_highest_priority_goes_first_then_the_lowest_place(host: HostRig) -> None:
    normal, urgent, second = host.create(), host.create(priority=9), host.create()
    order = []
    for _ in range(3):
        order.append(host.take())
        host.report(order[-1])
    assert order == [urgent.run.id, normal.run.id, second.run.id]


def test_a_poll_of_a_run_that_should_stop_is_told_so(host: HostRig) -> None:
    created = host.create()
    run_id = host.take()
    parked = host.poll(waits=True)
    host.cancel(created.job.id)
    assert answer_of(parked) == PollAnswer(cancel=run_id)
    assert answer_of(host.poll()) == PollAnswer(cancel=run_id)


@pytest.mark.parametrize("closed", [{"paused": True}, {"draining": True}, {"unhealthy": "a cloned key"}])
def test_a_host_that_may_take_nothing_gets_nothing(closed: dict[str, Any]) -> None:
    host = HostRig(**closed)
    if "unhealthy" in closed:
        host.state.switches = ()
        host.state.set_health("two processes use this host's key in turn", host.decision())
    host.create()
    assert answer_of(host.poll()) == NOTHING


def test_a_pause_ends_at_its_time_and_a_parked_poll_gets_the_job_then() -> None:
    host = HostRig(paused=True)
    host.state.host.paused_until = host.now + 30_000
    poll = host.poll(waits=True)
    created = host.create()
    host.wait(29)
    assert not poll.answer.done
    host.wait(2)
    assert answer_of(poll).job_run_id == created.run.id


# ---- a poll that declares ----------------------------------------------------------------------------------------------


def test_an_agent_that_polls_idle_gets_the_run_whose_reply_was_lost_again(host: HostRig) -> None:
    host.create()
    run_id = host.take(instance="a", running=())
    again = job_in(answer_of(host.poll(instance="a", running=())))
    assert (again.job_run_id, again.run_no, again.attempt) == (run_id, 1, 1)
    assert len(host.rows.runs) == 1


def test_an_agent_that_names_its_run_gets_nothing_and_keeps_it(host: HostRig) -> None:
    host.create()
    host.create()
    run_id = host.take(instance="a", running=())
    assert answer_of(host.poll(instance="a", running=(run_id,))) == NOTHING
    assert host.status_of(run_id) is S.RUNNING


def test_an_agent_that_polls_idle_has_confirmed_a_cancel(host: HostRig) -> None:
    created = host.create()
    following = host.create()
    run_id = host.take(instance="a", running=())
    host.cancel(created.job.id)
    assert answer_of(host.poll(instance="a", running=())).job_run_id == following.run.id
    assert host.status_of(run_id) is S.CANCELLED


def test_an_agent_that_names_a_run_that_is_over_is_told_to_stop_it_and_gets_nothing_new(host: HostRig) -> None:
    created = host.create()
    host.create()
    run_id = host.take(instance="a", running=())
    host.cancel(created.job.id, force=True)
    host.beat(instance="a")  # within the seconds in which it may have been under way: it opens nothing
    for _ in range(2):
        assert answer_of(host.poll(instance="a", running=(run_id,))) == PollAnswer(cancel=run_id)
    assert host.state.host.awaiting_idle


def test_a_machine_that_is_busy_with_an_unknown_run_is_told_to_stop_it_by_the_first_poll(host: HostRig) -> None:
    host.create()
    assert answer_of(host.poll(instance="a", running=("unknown",))) == PollAnswer(cancel="unknown")
    assert host.state.host.awaiting_idle
    assert answer_of(host.poll(instance="a", running=("unknown",))) == PollAnswer(cancel="unknown")


def test_naming_a_run_is_a_sign_of_its_life(host: HostRig) -> None:
    host.create()
    host.beat(instance="a")
    run_id = host.take(instance="a", running=())
    host.beat(run_id, instance="a")
    host.wait(70)
    assert host.status_of(run_id) is S.UNREACHABLE
    host.poll(instance="a", running=(run_id,))
    assert host.status_of(run_id) is S.RUNNING


# ---- the idle gate -----------------------------------------------------------------------------------------------------


def ended_by_server(host: HostRig, *, instance: str | None = "a") -> str:
    """A run that a user ended by force; another job waits. The run's id."""
    created = host.create()
    host.create()
    running = None if instance is None else ()
    run_id = host.take(instance=instance, running=running)
    host.wait(15)
    host.cancel(created.job.id, force=True)
    return run_id


def test_after_a_forced_end_the_host_gets_nothing_until_its_agent_says_that_it_is_idle(host: HostRig) -> None:
    ended_by_server(host)
    assert answer_of(host.poll(instance="a")) == NOTHING
    assert host.state.host.awaiting_idle
    assert answer_of(host.poll(instance="a", running=())).taken is not None
    assert not host.state.host.awaiting_idle


def test_a_heartbeat_that_names_nothing_opens_the_gate(host: HostRig) -> None:
    ended_by_server(host)
    parked = host.poll(waits=True, instance="a")
    assert not parked.answer.done
    host.beat(instance="a")
    assert answer_of(parked).taken is not None


def test_a_heartbeat_without_a_list_opens_no_gate(host: HostRig) -> None:
    ended_by_server(host)
    host.beat(instance="a", silent=True)
    assert host.state.host.awaiting_idle


def test_a_heartbeat_that_says_that_nothing_runs_opens_the_gate(host: HostRig) -> None:
    created = host.create()
    host.take(instance="a", running=())
    host.cancel(created.job.id, force=True)
    assert host.state.host.awaiting_idle
    host.beat(instance="a")
    assert not host.state.host.awaiting_idle


def test_a_young_heartbeat_opens_no_gate_where_the_agent_polls_beside_its_runs(host: HostRig) -> None:
    created = host.create()
    host.take(instance="a", running=())
    host.poll(instance="a")
    host.cancel(created.job.id, force=True)
    host.beat(instance="a")
    assert host.state.host.awaiting_idle
    host.wait(10)
    host.beat(instance="a")
    assert not host.state.host.awaiting_idle


def test_a_poll_that_was_parked_before_the_forced_end_cannot_vouch_for_the_machine(host: HostRig) -> None:
    created = host.create()
    host.create()
    host.take(instance="a", running=())
    parked = host.poll(waits=True, instance="a")
    host.cancel(created.job.id, force=True)
    assert answer_of(parked).taken is None
    assert len(host.waiting()) == 1


def test_an_agent_that_never_declares_anything_is_taken_to_be_idle_when_it_polls(host: HostRig) -> None:
    ended_by_server(host, instance=None)
    assert answer_of(host.poll()).taken is not None


def test_a_new_process_that_names_no_run_is_idle(host: HostRig) -> None:
    ended_by_server(host)
    assert answer_of(host.poll(instance="b")).taken is not None


def test_a_run_that_its_agent_ended_closes_no_gate(host: HostRig) -> None:
    host.create()
    host.create()
    run_id = host.take(instance="a", running=())
    host.report(run_id, "cancelled")
    assert not host.state.host.awaiting_idle


def test_the_gate_survives_a_restart(host: HostRig) -> None:
    ended_by_server(host)
    host.rebuild(cold=True)
    assert answer_of(host.poll(instance="a")) == NOTHING
    assert answer_of(host.poll(instance="a", running=())).taken is not None


# ---- retries that hold -------------------------------------------------------------------------------------------------


def test_while_a_retry_waits_other_jobs_overtake_it(host: HostRig) -> None:
    host.create()
    other = host.create()
    host.report(host.take(), "failed")
    assert host.take() == other.run.id


def test_a_retry_whose_type_holds_the_host_lets_nobody_pass(host: HostRig) -> None:
    created = host.create(policy=text_of(Policy(while_backing_off="hold")))
    other = host.create()
    host.report(host.take(), "failed")
    poll = host.poll(waits=True)
    assert not poll.answer.done
    host.wait(2)
    again = job_in(answer_of(poll))
    assert (again.job_id, again.attempt) == (created.job.id, 2)
    assert host.waiting() == [other.run.id]


def test_a_job_that_waits_for_its_hour_holds_nobody(host: HostRig) -> None:
    host.create(policy=text_of(Policy(while_backing_off="hold")), run_at=host.now + 60_000)
    other = host.create()
    assert host.take() == other.run.id


def test_a_retry_that_is_due_stands_by_the_place_of_its_job(host: HostRig) -> None:
    created = host.create()
    overtaker, third = host.create(), host.create()
    host.report(host.take(), "failed")
    assert host.take() == overtaker.run.id
    host.wait(3)
    host.report(overtaker.run.id)
    second = host.take()
    assert host.rows.runs[second].job_id == created.job.id
    assert host.waiting() == [third.run.id]
