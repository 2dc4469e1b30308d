"""What a host's state makes of its agent's processes: instances, heartbeats, leases, verdicts and presence."""

import pytest

from actors.messages import NOTHING, Describe, RunDue, Tick
from interlock.errors import Superseded
from interlock.states import RunStatus
from interlock.wire import RunVerdict
from tests.support.hosts import SECOND, HostRig, answer_of

S = RunStatus


@pytest.fixture
def host() -> HostRig:
    return HostRig()


def offline(host: HostRig) -> None:
    """Its agent has been silent for a good while."""
    host.wait(60)
    assert not host.state.online


# ---- instances ---------------------------------------------------------------------------------------------------------


def test_a_new_process_without_the_run_has_lost_it_and_the_retry_is_written(host: HostRig) -> None:
    created = host.create()
    run_id = host.take(instance="a", running=())
    host.poll(instance="b", running=())
    assert [run.status for run in host.runs_of(created.job.id)] == [S.LOST, S.SCHEDULED]
    assert host.rows.runs[run_id].error_code == "lost"
    assert not host.state.host.awaiting_idle


def test_a_new_process_that_names_the_run_keeps_it(host: HostRig) -> None:
    host.create()
    run_id = host.take(instance="a", running=())
    host.poll(instance="b", running=(run_id,))
    assert host.status_of(run_id) is S.RUNNING
    assert host.state.host.instance_id == "b"


def test_a_poll_without_an_instance_neither_changes_nor_contradicts_the_current_one(host: HostRig) -> None:
    host.create()
    run_id = host.take(instance="a", running=())
    host.poll()
    assert host.status_of(run_id) is S.RUNNING
    assert host.state.host.instance_id == "a"


def test_the_first_instance_that_is_named_loses_nothing(host: HostRig) -> None:
    host.create()
    run_id = host.take()
    host.poll(instance="a")
    assert host.status_of(run_id) is S.RUNNING


def test_a_heartbeat_of_a_process_that_was_replaced_is_superseded(host: HostRig) -> None:
    host.poll(instance="a", running=())
    host.poll(instance="b", running=())
    refusal = host.beat(instance="a")
    assert isinstance(refusal, Superseded)
    assert refusal.current == {"instanceId": "b"}


def test_a_heartbeat_never_changes_the_current_instance(host: HostRig) -> None:
    host.beat(instance="a")
    assert host.state.host.instance_id is None
    host.poll(instance="b")
    host.beat(silent=True)
    assert host.state.host.instance_id == "b"


def test_reports_are_fenced_by_the_run_alone(host: HostRig) -> None:
    host.create()
    run_id = host.take(instance="a", running=())
    host.poll(instance="b", running=(run_id,))
    assert host.report(run_id).status == "success"


def test_three_alternations_within_a_minute_make_the_host_unhealthy_for_a_minute(host: HostRig) -> None:
    for instance in ("a", "b", "a", "b"):
        host.poll(instance=instance, running=())
        assert host.do(Describe()).reply["health"] == "ok"
    host.create()
    assert answer_of(host.poll(instance="a", running=())) == NOTHING
    assert host.do(Describe()).reply["health"] == "unhealthy"
    assert "host.updated" in host.events
    host.wait(61)
    assert host.do(Describe()).reply["health"] == "ok"
    assert answer_of(host.poll(instance="a", running=())).taken is not None


def test_processes_that_follow_one_another_are_no_clones(host: HostRig) -> None:
    for number in range(10):
        host.poll(instance=f"process-{number}", running=())
    assert host.state.host.unhealthy is None


def test_alternations_over_many_minutes_are_no_clones(host: HostRig) -> None:
    for instance in ("a", "b") * 5:
        host.poll(instance=instance, running=())
        host.wait(61)
    assert host.state.host.unhealthy is None


def test_the_word_that_a_key_was_cloned_does_not_outlive_a_restart_by_more_than_a_minute(host: HostRig) -> None:
    for instance in ("a", "b", "a", "b", "a"):
        host.poll(instance=instance, running=())
    assert host.state.host.unhealthy is not None
    host.rebuild()
    host.wait(61)
    assert host.state.host.unhealthy is None


def test_a_rebuilt_host_is_unhealthy_until_its_minute_is_over_and_no_longer(host: HostRig) -> None:
    for instance in ("a", "b", "a", "b", "a"):
        host.poll(instance=instance, running=())
    host.wait(40)
    host.rebuild()
    host.do(RunDue())
    assert host.state.host.unhealthy is not None
    host.wait(19)
    assert host.state.host.unhealthy is not None
    host.wait(2)
    assert host.state.host.unhealthy is None


def test_a_host_that_is_rebuilt_after_its_minute_is_healthy_at_once(host: HostRig) -> None:
    for instance in ("a", "b", "a", "b", "a"):
        host.poll(instance=instance, running=())
    host.now += 61 * SECOND
    host.rebuild()
    host.do(RunDue())
    assert host.state.host.unhealthy is None


def test_a_rebuilt_host_that_falls_silent_is_told_to_be_offline_once(host: HostRig) -> None:
    host.poll()
    host.rebuild()
    host.wait(200)
    assert host.events.count("host.online") == host.events.count("host.offline") == 1


def test_a_rebuilt_host_whose_agent_goes_on_is_told_nothing_of(host: HostRig) -> None:
    host.poll()
    for _ in range(5):
        host.rebuild()
        host.wait(20)
        host.poll()
    assert host.events == ["host.online"]


# ---- heartbeats and leases ---------------------------------------------------------------------------------------------


def test_a_heartbeat_gets_a_verdict_for_each_run_that_it_names(host: HostRig) -> None:
    host.create()
    run_id = host.take(instance="a", running=())
    assert host.beat(run_id, "unknown", instance="a") == [
        RunVerdict(job_run_id=run_id, verdict="continue"),
        RunVerdict(job_run_id="unknown", verdict="abandon"),
    ]


def test_a_heartbeat_about_a_run_that_should_stop_says_cancel(host: HostRig) -> None:
    created = host.create()
    run_id = host.take(instance="a", running=())
    host.cancel(created.job.id)
    assert host.beat(run_id, instance="a") == [RunVerdict(job_run_id=run_id, verdict="cancel")]


def test_a_heartbeat_about_a_run_that_has_ended_says_abandon(host: HostRig) -> None:
    host.create()
    run_id = host.take(instance="a", running=())
    host.report(run_id)
    assert host.beat(run_id, instance="a") == [RunVerdict(job_run_id=run_id, verdict="abandon")]


def test_a_plain_poller_has_no_lease(host: HostRig) -> None:
    host.create()
    run_id = host.take()
    host.wait(500)
    assert host.status_of(run_id) is S.RUNNING


def test_an_agent_that_heartbeats_has_a_minute_without_a_word(host: HostRig) -> None:
    host.create()
    run_id = host.take(instance="a", running=())
    host.beat(run_id, instance="a")
    host.wait(59)
    host.beat(run_id, instance="a")
    host.wait(59)
    assert host.status_of(run_id) is S.RUNNING
    host.wait(2)
    assert host.status_of(run_id) is S.UNREACHABLE


def test_an_agent_that_has_heartbeat_before_leases_its_run_from_the_take(host: HostRig) -> None:
    host.poll(instance="a", running=())
    host.beat(instance="a")
    host.create()
    run_id = host.take(instance="a", running=())
    host.wait(61)
    assert host.status_of(run_id) is S.UNREACHABLE


def test_a_heartbeat_without_a_list_extends_the_lease(host: HostRig) -> None:
    host.create()
    run_id = host.take(instance="a", running=())
    for _ in range(5):
        host.beat(instance="a", silent=True)
        host.wait(50)
    assert host.status_of(run_id) is S.RUNNING


def test_a_heartbeat_that_does_not_name_the_run_extends_nothing(host: HostRig) -> None:
    host.create()
    run_id = host.take(instance="a", running=())
    host.beat(run_id, instance="a")
    for _ in range(2):
        host.wait(40)
        host.beat(instance="a")
    assert host.status_of(run_id) is S.UNREACHABLE


@pytest.mark.parametrize("word", ["progress", "logs"])
def test_what_is_said_of_a_run_extends_its_lease(host: HostRig, word: str) -> None:
    host.create()
    run_id = host.take(instance="a", running=())
    host.beat(run_id, instance="a")
    for _ in range(4):
        host.wait(50)
        host.progress(run_id) if word == "progress" else host.logs(run_id, "still here")
    assert host.status_of(run_id) is S.RUNNING


def test_a_lease_starts_afresh_when_the_host_is_rebuilt(host: HostRig) -> None:
    host.create()
    run_id = host.take(instance="a", running=())
    host.beat(run_id, instance="a")
    host.wait(50)
    host.rebuild()
    host.wait(50)
    assert host.status_of(run_id) is S.RUNNING
    host.wait(11)
    assert host.status_of(run_id) is S.UNREACHABLE


# ---- presence ----------------------------------------------------------------------------------------------------------


def test_a_host_is_online_from_its_first_word_until_it_is_silent(host: HostRig) -> None:
    assert host.state.presence() == "never_connected"
    host.poll()
    assert host.state.presence() == "online"
    offline(host)
    assert host.state.presence() == "offline"
    host.beat(instance="a")
    assert [event for event in host.events if event.startswith("host.")] == [
        "host.online",
        "host.offline",
        "host.online",
    ]


def test_a_parked_poll_is_a_connection(host: HostRig) -> None:
    host.poll(waits=True)
    host.wait(1000)
    assert host.state.presence() == "online"


def test_a_saved_look_writes_when_the_host_was_seen(host: HostRig) -> None:
    host.poll(waits=True)
    host.wait(100)
    host.do(Tick(save=True))
    assert host.rows.host[-2:] == (host.now, host.now - 100_000)
