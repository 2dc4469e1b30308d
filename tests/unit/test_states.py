"""The life of a run: the table is closed, and says what the specification says, row by row."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from interlock.states import (
    ENDED_UNHEARD,
    ERROR_CODES,
    LIVE,
    MOVES,
    NEXT_MOVER,
    REFUSALS,
    REPORTS,
    TERMINAL,
    WAITING,
    JobStatus,
    RunEvent,
    RunStatus,
    StopReason,
    job_status,
    step,
)

S, E = RunStatus, RunEvent
NONE, USER, TIMEOUT = StopReason.NONE, StopReason.USER, StopReason.TIMEOUT

Row = tuple[RunStatus, RunEvent, StopReason, RunStatus]


def rows(state: RunStatus, event: RunEvent, to: RunStatus) -> list[Row]:
    """The same move whatever the run is being stopped for."""
    return [(state, event, reason, to) for reason in StopReason]


def by_reason(state: RunStatus, event: RunEvent, none: RunStatus, user: RunStatus, timeout: RunStatus) -> list[Row]:
    """A move that remembers why the run is being stopped."""
    return [(state, event, NONE, none), (state, event, USER, user), (state, event, TIMEOUT, timeout)]


def reports_of(state: RunStatus) -> list[Row]:
    """Truth wins: what the agent reports counts, unless the run had run out of time."""
    return [
        *by_reason(state, E.SUCCEEDED, S.SUCCESS, S.SUCCESS, S.TIMED_OUT),
        *by_reason(state, E.FAILED, S.FAILED, S.FAILED, S.TIMED_OUT),
        *by_reason(state, E.REJECTED, S.REJECTED, S.REJECTED, S.TIMED_OUT),
        *by_reason(state, E.STOPPED, S.FAILED, S.CANCELLED, S.TIMED_OUT),
    ]


EXPECTED: list[Row] = [
    # scheduled
    *rows(S.SCHEDULED, E.DUE, S.PENDING),
    *rows(S.SCHEDULED, E.START_BEFORE_PASSED, S.EXPIRED),
    *rows(S.SCHEDULED, E.CANCEL, S.CANCELLED),
    *rows(S.SCHEDULED, E.FORCE, S.CANCELLED),
    *rows(S.SCHEDULED, E.HOST_DELETED, S.CANCELLED),
    # pending
    *rows(S.PENDING, E.START_BEFORE_PASSED, S.EXPIRED),
    *rows(S.PENDING, E.CANCEL, S.CANCELLED),
    *rows(S.PENDING, E.FORCE, S.CANCELLED),
    *rows(S.PENDING, E.HOST_DELETED, S.CANCELLED),
    *rows(S.PENDING, E.TAKEN, S.RUNNING),
    *rows(S.PENDING, E.OFFERED, S.OFFERED),
    *rows(S.PENDING, E.POOL_ACKED, S.RUNNING),
    *rows(S.PENDING, E.ACKED, S.RUNNING),
    *rows(S.PENDING, E.SIGN_OF_LIFE, S.RUNNING),
    *reports_of(S.PENDING),
    # offered
    *rows(S.OFFERED, E.ACKED, S.RUNNING),
    *rows(S.OFFERED, E.SIGN_OF_LIFE, S.RUNNING),
    *reports_of(S.OFFERED),
    *rows(S.OFFERED, E.OFFER_LAPSED, S.PENDING),
    *rows(S.OFFERED, E.NEW_INSTANCE, S.PENDING),
    *rows(S.OFFERED, E.UNDELIVERABLE, S.FAILED),
    *rows(S.OFFERED, E.CANCEL, S.CANCELLED),
    *rows(S.OFFERED, E.FORCE, S.CANCELLED),
    *rows(S.OFFERED, E.HOST_DELETED, S.CANCELLED),
    # running
    *rows(S.RUNNING, E.ACKED, S.RUNNING),
    *rows(S.RUNNING, E.SIGN_OF_LIFE, S.RUNNING),
    *rows(S.RUNNING, E.HEARD_IDLE, S.RUNNING),
    *reports_of(S.RUNNING),
    *rows(S.RUNNING, E.CANCEL, S.CANCELLING),
    *rows(S.RUNNING, E.TIMEOUT, S.CANCELLING),
    *rows(S.RUNNING, E.LEASE_LAPSED, S.UNREACHABLE),
    *rows(S.RUNNING, E.NEW_INSTANCE, S.LOST),
    *rows(S.RUNNING, E.FORCE, S.CANCELLED),
    *rows(S.RUNNING, E.HOST_DELETED, S.CANCELLED),
    # cancelling
    *rows(S.CANCELLING, E.ACKED, S.CANCELLING),
    *rows(S.CANCELLING, E.SIGN_OF_LIFE, S.CANCELLING),
    *rows(S.CANCELLING, E.CANCEL, S.CANCELLING),
    *by_reason(S.CANCELLING, E.HEARD_IDLE, S.CANCELLED, S.CANCELLED, S.TIMED_OUT),
    *reports_of(S.CANCELLING),
    *by_reason(S.CANCELLING, E.DEADLINE, S.CANCELLED, S.CANCELLED, S.TIMED_OUT),
    *rows(S.CANCELLING, E.FORCE, S.CANCELLED),
    *rows(S.CANCELLING, E.LEASE_LAPSED, S.UNREACHABLE),
    *by_reason(S.CANCELLING, E.NEW_INSTANCE, S.CANCELLED, S.CANCELLED, S.TIMED_OUT),
    *rows(S.CANCELLING, E.HOST_DELETED, S.CANCELLED),
    # unreachable
    *by_reason(S.UNREACHABLE, E.ACKED, S.RUNNING, S.CANCELLING, S.CANCELLING),
    *by_reason(S.UNREACHABLE, E.SIGN_OF_LIFE, S.RUNNING, S.CANCELLING, S.CANCELLING),
    *by_reason(S.UNREACHABLE, E.HEARD_IDLE, S.RUNNING, S.CANCELLED, S.TIMED_OUT),
    *reports_of(S.UNREACHABLE),
    *rows(S.UNREACHABLE, E.CANCEL, S.UNREACHABLE),
    *rows(S.UNREACHABLE, E.FORCE, S.CANCELLED),
    *by_reason(S.UNREACHABLE, E.LOST_AFTER, S.LOST, S.CANCELLED, S.TIMED_OUT),
    *by_reason(S.UNREACHABLE, E.NEW_INSTANCE, S.LOST, S.CANCELLED, S.TIMED_OUT),
    *rows(S.UNREACHABLE, E.HOST_DELETED, S.CANCELLED),
]


def named(row: Row) -> str:
    """The row as pytest shows it."""
    state, event, reason, _ = row
    return f"{state}-{event}" + (f"-{reason}" if reason else "")


@pytest.mark.parametrize("row", EXPECTED, ids=named)
def test_each_row_of_the_specification_is_a_move(row: Row) -> None:
    state, event, reason, to = row
    assert step(state, event, reason) is to


def test_there_are_no_other_moves_than_those_of_the_specification() -> None:
    stated = {(state, event) for state, event, _, _ in EXPECTED}
    assert {(state, event) for state, moves in MOVES.items() for event in moves} == stated
    assert len(EXPECTED) == len(stated) * len(StopReason)


@pytest.mark.parametrize("state", S)
def test_every_event_in_every_state_is_a_move_or_a_sentence_never_both(state: RunStatus) -> None:
    for event in E:
        refusal = REFUSALS[state].get(event)
        assert (event in MOVES.get(state, {})) != (refusal is not None), event
        assert refusal is None or refusal.strip(), event
        assert all((step(state, event, reason) is None) == (refusal is not None) for reason in StopReason), event


def test_each_state_is_live_waiting_or_ended() -> None:
    assert frozenset(S) == LIVE | WAITING | TERMINAL
    assert len(LIVE) + len(WAITING) + len(TERMINAL) == len(S)


@pytest.mark.parametrize("state", sorted(TERMINAL))
def test_nothing_moves_what_has_ended(state: RunStatus) -> None:
    assert state not in MOVES
    assert set(REFUSALS[state]) == set(E)
    assert all(str(state) in sentence for sentence in REFUSALS[state].values())


@pytest.mark.parametrize("state", sorted(LIVE | WAITING))
def test_what_is_under_way_names_its_mover_and_has_a_way_to_an_end(state: RunStatus) -> None:
    assert NEXT_MOVER[state].strip()
    assert not NEXT_MOVER[state].startswith("nobody")
    seen = {state}
    while True:
        reached = seen | {to for each in seen for move in MOVES.get(each, {}).values() for to in move}
        if reached == seen:
            break
        seen = reached
    assert seen & TERMINAL


def test_every_state_has_a_mover_and_what_has_ended_has_none() -> None:
    assert set(NEXT_MOVER) == set(S)
    assert all(NEXT_MOVER[state].startswith("nobody") for state in TERMINAL)


@pytest.mark.parametrize("state", sorted(LIVE))
def test_silence_never_frees_a_host_at_once(state: RunStatus) -> None:
    for reason in StopReason:
        assert step(state, E.LEASE_LAPSED, reason) in LIVE | {None}


@pytest.mark.parametrize("state", sorted(LIVE))
def test_a_user_can_always_end_a_live_run_by_force(state: RunStatus) -> None:
    assert all(step(state, E.FORCE, reason) is S.CANCELLED for reason in StopReason)


@pytest.mark.parametrize("state", sorted(LIVE))
@pytest.mark.parametrize("report", sorted(REPORTS))
def test_a_report_about_a_live_run_always_ends_it(state: RunStatus, report: RunEvent) -> None:
    assert all(step(state, report, reason) in TERMINAL for reason in StopReason)


def test_the_server_ends_runs_unheard_only_by_force_deadline_loss_or_deletion() -> None:
    assert {E.FORCE, E.DEADLINE, E.LOST_AFTER, E.HOST_DELETED} == ENDED_UNHEARD


def test_each_way_to_end_badly_has_an_error_code_of_its_own() -> None:
    assert set(ERROR_CODES) == TERMINAL - {S.SUCCESS, S.CANCELLED}
    assert len(set(ERROR_CODES.values())) == len(ERROR_CODES)


ENDINGS = {
    S.SUCCESS: JobStatus.COMPLETED,
    S.CANCELLED: JobStatus.CANCELLED,
    S.FAILED: JobStatus.FAILED,
    S.REJECTED: JobStatus.FAILED,
    S.TIMED_OUT: JobStatus.FAILED,
    S.LOST: JobStatus.FAILED,
    S.EXPIRED: JobStatus.FAILED,
}


@pytest.mark.parametrize(("last", "job"), ENDINGS.items())
def test_a_job_whose_last_run_has_ended_ends_as_that_run_did(last: RunStatus, job: JobStatus) -> None:
    assert job_status([last]) is job
    assert job_status([S.FAILED, S.LOST, last]) is job


@pytest.mark.parametrize("waiting", [S.SCHEDULED, S.PENDING, S.OFFERED])
def test_a_job_with_another_attempt_before_it_is_pending(waiting: RunStatus) -> None:
    assert job_status([waiting]) is JobStatus.PENDING
    assert job_status([S.FAILED, waiting]) is JobStatus.PENDING


@given(
    st.lists(st.sampled_from(sorted(TERMINAL))),
    st.sampled_from([S.RUNNING, S.CANCELLING, S.UNREACHABLE]),
    st.lists(st.sampled_from(S)),
)
def test_a_job_with_a_run_under_way_is_running(
    before: list[RunStatus], live: RunStatus, after: list[RunStatus]
) -> None:
    assert job_status([*before, live, *after]) is JobStatus.RUNNING


@given(st.lists(st.tuples(st.sampled_from(E), st.sampled_from(StopReason)), max_size=40))
def test_no_sequence_of_events_leaves_the_table_or_an_end(events: list[tuple[RunEvent, StopReason]]) -> None:
    path = [S.SCHEDULED]
    for event, reason in events:
        to = step(path[-1], event, reason)
        path.append(path[-1] if to is None else to)
    assert set(path) <= set(S)
    assert all(earlier is later for earlier, later in pairwise(path) if earlier in TERMINAL)
