"""Any order of messages: what a host remembers is what the rows say, one run holds the slot, and nothing gets stuck."""

from collections.abc import Callable
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from actors.messages import HandOutAgain, RunDue, Tick
from actors.policies import Policy, text_of
from interlock.errors import InterlockError, InvalidState
from interlock.states import LIVE, REFUSALS, RunEvent, RunStatus
from tests.support.hosts import HostRig

S = RunStatus
HOLD = text_of(Policy(while_backing_off="hold"))
NO_RETRY = text_of(Policy(on_lost="fail"))

Step = Callable[[HostRig], Any]


def some_run(host: HostRig, draw: int) -> str:
    """One of all runs so far, mostly the one in the slot."""
    runs = sorted(host.rows.runs)
    current = host.state.current
    if not runs or (current is not None and draw % 3):
        return current.run.id if current is not None else "nobody"
    return runs[draw % len(runs)]


def some_job(host: HostRig, draw: int) -> str:
    """One of all jobs so far."""
    jobs = sorted(host.rows.jobs)
    return jobs[draw % len(jobs)] if jobs else "nobody"


def creates(priority: int, policy: str | None, later: int | None, before: int | None) -> Step:
    def step(host: HostRig) -> None:
        host.create(
            priority=priority,
            policy=policy,
            run_at=None if later is None else host.now + later,
            start_before=None if before is None else host.now + before,
        )

    return step


def polls(instance: str | None, *, waits: bool, names: str) -> Step:
    def step(host: HostRig) -> None:
        current = host.state.current
        running: tuple[str, ...] | None = None if names == "nothing said" else ()
        if names == "the current" and current is not None:
            running = (current.run.id,)
        elif names == "a stranger":
            running = ("stranger",)
        host.poll(waits=waits, instance=instance, running=running)

    return step


def beats(instance: str, *, names: str) -> Step:
    def step(host: HostRig) -> None:
        current = host.state.current
        named = (current.run.id,) if names == "the current" and current is not None else ()
        host.beat(*named, instance=instance, silent=names == "nothing said")

    return step


numbers = st.integers(0, 1000)
instances = st.sampled_from(["a", "a", "a", "b"])
names = st.sampled_from(["nothing said", "nothing", "the current", "the current", "a stranger"])
steps = st.one_of(
    st.builds(
        creates,
        st.sampled_from([0, 0, 0, 5]),
        st.sampled_from([None, None, HOLD, NO_RETRY]),
        st.sampled_from([None, None, None, 5000]),
        st.sampled_from([None, None, None, 20_000]),
    ),
    st.builds(polls, st.one_of(st.none(), instances), waits=st.booleans(), names=names),
    st.builds(beats, instances, names=names),
    st.builds(
        lambda draw, status, next_too: lambda host: host.report(some_run(host, draw), status, take_next=next_too),
        numbers,
        st.sampled_from(["success", "failed", "failed", "cancelled", "rejected"]),
        st.booleans(),
    ),
    st.builds(
        lambda draw, needed: lambda host: host.progress(some_run(host, draw), 10, needs_user_action=needed),
        numbers,
        st.sampled_from([None, None, True, False]),
    ),
    st.builds(lambda draw: lambda host: host.logs(some_run(host, draw), "a line"), numbers),
    st.builds(lambda draw, force: lambda host: host.cancel(some_job(host, draw), force=force), numbers, st.booleans()),
    st.builds(lambda draw: lambda host: host.retry(some_job(host, draw)), numbers),
    st.builds(lambda seconds: lambda host: host.wait(seconds), st.sampled_from([0.5, 3, 12, 31, 61, 301])),
    st.sampled_from([Tick(), RunDue()]).map(lambda message: lambda host: host.do(message)),
    st.builds(lambda draw: lambda host: host.do(HandOutAgain(job_run_id=some_run(host, draw))), numbers),
    st.booleans().map(lambda cold: lambda host: host.rebuild(cold=cold)),
)


@settings(max_examples=120, deadline=None)
@given(st.lists(steps, min_size=25, max_size=60))
def test_whatever_happens_memory_and_rows_agree_and_somebody_moves_every_run(script: list[Step]) -> None:
    host = HostRig()
    for step in script:
        step(host)  # each ends with the checks of `HostRig.check`


@settings(max_examples=80, deadline=None)
@given(st.lists(steps, min_size=25, max_size=60))
def test_whatever_has_happened_an_agent_that_behaves_brings_every_job_to_its_end(script: list[Step]) -> None:
    host = HostRig()
    for step in script:
        step(host)
    host.wait(400)  # a host that was taken for cloned is well again, and what nobody speaks of is lost
    for _ in range(4 * len(host.rows.jobs) + 10):
        host.poll(instance="last", running=())
        if host.state.current is not None:
            host.report(host.state.current.run.id)
        host.wait(10)
    assert {run.status for run in host.rows.runs.values()} <= set(S) - LIVE - {S.PENDING, S.SCHEDULED}
    ended = {run.job_id for run in host.rows.runs.values() if run.status is S.SUCCESS}
    assert all((job.status == "COMPLETED") == (job.id in ended) for job in host.rows.jobs.values())


def test_a_move_that_the_table_refuses_changes_nothing_and_shows_the_present_state() -> None:
    host = HostRig()
    attempt = host.create()
    d = host._decision()
    try:
        host.state.advance(attempt, RunEvent.DEADLINE, d)
    except InvalidState as refusal:
        assert REFUSALS[S.PENDING][RunEvent.DEADLINE] in refusal.detail
        assert refusal.current.status == "pending"
    else:
        raise AssertionError("it was not refused")
    assert not d.changes_anything
    host.check()


def test_every_refusal_of_a_handler_leaves_no_change_behind() -> None:
    host = HostRig()
    created = host.create()
    replies = [
        host.report(created.run.id),
        host.progress(created.run.id),
        host.logs(created.run.id, "too early"),
        host.retry(created.job.id),
        host.cancel("unknown"),
    ]
    assert all(isinstance(reply, InterlockError) for reply in replies)
    assert len(host.rows.appended) == 1  # the audit line of the creation
