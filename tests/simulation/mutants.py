"""Bugs planted in the shipping code, each of which the simulation must catch. Every one patches production, not a model.

The docstring of each says what goes wrong; `./scripts/simulate --mutants` prints them with the seeds they took.
"""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any
from unittest.mock import patch

import msgspec

from actors import host_polls, host_reports, host_times, host_users
from actors.host import HostActor
from actors.host_handlers import HANDLERS
from actors.host_state import HostState
from actors.line import Line
from actors.messages import AppendLogs, Beat, CreateJob, Found, ReportResult, RunDue
from interlock.states import LIVE, MOVES, TERMINAL, Move, RunEvent, RunStatus
from interlock.wire import ReportAnswer
from runtime.sweep import Due, Sweep
from store import statements
from store.committer import Committer
from store.entries import Committed, Entry, Outcome, Refused, RunChange
from store.rows import RUN_CHANGING, host_image
from tests.simulation import cluster_mutants, journal_mutants, socket_mutants
from tests.simulation.store import forget_compiled

Mutant = Callable[[], AbstractContextManager[None]]


@contextmanager
def host_freed_early() -> Iterator[None]:
    """A lapsed lease frees the host at once, as a queue with a visibility timeout would."""
    lost = Move(RunStatus.LOST, RunStatus.CANCELLED, RunStatus.TIMED_OUT)
    running = MOVES[RunStatus.RUNNING] | {RunEvent.LEASE_LAPSED: lost}
    cancelling = MOVES[RunStatus.CANCELLING] | {RunEvent.LEASE_LAPSED: lost}
    with patch.dict(MOVES, {RunStatus.RUNNING: running, RunStatus.CANCELLING: cancelling}):
        yield


@contextmanager
def answer_before_commit() -> Iterator[None]:
    """Replies, events and jobs leave when they are decided."""
    carry_out = HostActor._carry_out

    def hasty(self: HostActor, d: Any, reply: Any) -> None:
        if not d.joins and not d.placed:
            self._release(d, reply, None)
            d.effects, d.alarms, d.answers = [], [], []
        carry_out(self, d, reply)

    with patch.object(HostActor, "_carry_out", hasty):
        yield


@contextmanager
def alarm_without_sweep() -> Iterator[None]:
    """Retries rest on their alarms alone."""
    blind = lambda _self, _now: lambda _database: Due([], [], {})  # noqa: E731
    with patch.object(Sweep, "looking", blind), patch("actors.directory.Directory.sweep", lambda *_: None):
        yield


@contextmanager
def no_idle_gate() -> Iterator[None]:
    """The host is free as soon as the server has ended a run, be it by a deadline, by force or for lost."""
    with patch.object(HostState, "set_gate", lambda *_args, **_kwargs: None):
        yield


@contextmanager
def any_heartbeat_opens_the_gate() -> Iterator[None]:
    """A heartbeat that names no run opens the idle gate, even one that was sent before the run arrived."""

    def credulous(state: HostState, message: Beat, d: Any) -> None:
        host_polls.beat(state, message, d)
        if message.running == ():
            state.set_gate(d, closed=False)
            host_polls.serve(state, d)

    with patch.dict(HANDLERS, {Beat: credulous}):
        yield


@contextmanager
def no_poison() -> Iterator[None]:
    """What was decided behind a failed commit is written all the same, and the actor lives on."""
    commit, committed = Committer.commit, HostActor._committed

    def forgiving(self: Committer, entries: Any) -> list[Outcome]:
        outcomes = commit(self, entries)
        for entry in entries:
            entry.incarnation.poisoned = False
        return outcomes

    def shrugging(self: HostActor, flight: Any, outcome: Outcome) -> None:
        forgiven = isinstance(outcome, Refused) and self.state is not None
        committed(self, flight, _as_if_done(self) if forgiven else outcome)

    with patch.object(Committer, "commit", forgiving), patch.object(HostActor, "_committed", shrugging):
        yield


@contextmanager
def memory_kept_after_unknown_commit() -> Iterator[None]:
    """Only definite failures end an incarnation; an unknown outcome is taken for a success."""
    committed = HostActor._committed

    def hopeful(self: HostActor, flight: Any, outcome: Outcome) -> None:
        if isinstance(outcome, Refused) and outcome.unknown and self.incarnation is not None:
            self.incarnation.poisoned = False
            outcome = _as_if_done(self)
        committed(self, flight, outcome)

    with patch.object(HostActor, "_committed", hopeful):
        yield


def _as_if_done(actor: HostActor) -> Committed:
    flights: Any = actor._in_flight
    decision = flights[0].decision if flights else None
    joining = [attempt.job.id for attempt in decision.joins + decision.placed] if decision else []
    return Committed(rev=0, first_seq=0, seqs=dict.fromkeys(joining, 0))


@contextmanager
def half_written_commit() -> Iterator[None]:
    """A statement fails, and what stood before it is kept."""
    with patch.object(Committer, "_roll_back", lambda _self, connection: connection.commit()):
        yield


@contextmanager
def row_order_inside_a_batch() -> Iterator[None]:
    """Rows that enter a live state are written before those that leave one."""
    with patch("store.committer.LIVE", frozenset(RunStatus) - LIVE):
        yield


@contextmanager
def retry_in_a_second_commit() -> Iterator[None]:
    """A failure is committed first, and the next attempt's row a moment later."""
    submit = HostActor._submit

    def in_two(self: HostActor, changes: Any, flight: Any) -> None:
        later = [one for one in changes if isinstance(one, RunChange) and one.was is None and len(changes) > 2]
        submit(self, [one for one in changes if one not in later], flight)
        if later and self.incarnation is not None and self.state is not None:
            host = host_image(self.state.host)
            self._around.journal.submit(Entry(self.incarnation, host, [*later], lambda _: None))

    with patch.object(HostActor, "_submit", in_two):
        yield


@contextmanager
def zombie_result() -> Iterator[None]:
    """A success that comes after its run had ended otherwise is believed."""
    late = host_reports._late

    def believed(state: Any, message: ReportResult, job: Any, run: Any, d: Any) -> None:
        if message.report.status != "success" or run.report_hash == message.digest:
            late(state, message, job, run, d)
            return
        d.touch_run(run)
        run.status, run.report_hash = RunStatus.SUCCESS, message.digest
        d.reply = ReportAnswer(status=run.status, job_status=job.status, will_retry=False, replayed=False)

    with patch.object(host_reports, "_late", believed):
        yield


@contextmanager
def late_result_ends_the_next_attempt() -> Iterator[None]:
    """A report is taken for the job, not for the attempt that it names."""
    found = host_reports.found

    def by_job(state: Any, message: Found, d: Any) -> None:
        current = state.current
        run = message.run
        about_run = isinstance(message.asked, ReportResult) and run is not None and run.status in TERMINAL
        if about_run and run is not None and current is not None and current.job.id == run.job_id:
            state.advance(current, RunEvent.SUCCEEDED, d)
            status, job_status = current.run.status, current.job.status
            d.reply = ReportAnswer(status=status, job_status=job_status, will_retry=False, replayed=False)
        else:
            found(state, message, d)

    with patch.object(host_reports, "found", by_job):
        yield


@contextmanager
def redelivery_lost() -> Iterator[None]:
    """An agent that says it runs nothing does not get the run again whose reply never reached it."""
    declared_idle = host_polls.declared_idle

    def forgetful(state: HostState, poll: Any, d: Any) -> None:
        declared_idle(state, poll, d)
        state.undelivered = False

    with patch.object(host_polls, "declared_idle", forgetful):
        yield


@contextmanager
def trailing_log_writes_an_old_row() -> Iterator[None]:
    """Log lines that trail their run's end write the job's row as it was when the first of them came."""
    found = host_reports.found
    old: dict[str, Any] = {}

    def stale(state: Any, message: Found, d: Any) -> None:
        found(state, message, d)
        if isinstance(message.asked, AppendLogs) and message.job is not None:
            d.touch_job(old.setdefault(message.job.id, message.job))

    with patch.object(host_reports, "found", stale):
        yield


@contextmanager
def alarm_that_comes_early_is_obeyed() -> Iterator[None]:
    """An alarm starts what it rang for, whatever the row's `availableAt` says."""

    def obedient(state: HostState, message: RunDue, d: Any) -> None:
        for attempt in list(state.backoff.values()):
            state.advance(attempt, RunEvent.DUE, d)
        host_times.look_at_clock(state, message, d)

    with patch.dict(HANDLERS, {RunDue: obedient}):
        yield


@contextmanager
def retries_at_the_end_of_the_line() -> Iterator[None]:
    """A retry that is due stands behind all others, not where its job's `seq` puts it."""

    def at_the_end(self: Line, attempt: Any) -> None:
        self._count += 1
        self._lane(attempt.job.priority).append(attempt)

    with patch.object(Line, "add", at_the_end):
        yield


@contextmanager
def idempotency_key_forgotten() -> Iterator[None]:
    """The key of a create is not stored with its job."""

    def keyless(state: HostState, message: CreateJob, d: Any) -> None:
        host_users.create_job(state, msgspec.structs.replace(message, idempotency=None), d)

    with patch.dict(HANDLERS, {CreateJob: keyless}):
        yield


@contextmanager
def column_forgotten() -> Iterator[None]:
    """An update leaves one of the columns out that its move changes."""
    without = tuple(name for name in RUN_CHANGING if name != "stop_reason")
    forget_compiled()
    with patch.object(statements, "RUN_CHANGING", without):
        yield
    forget_compiled()


@contextmanager
def no_startup_grace() -> Iterator[None]:
    """After a restart deadlines that passed meanwhile end runs before their agents could come back."""
    place = HostState._place

    def graceless(self: HostState, *args: Any) -> None:
        place(self, *args)
        self.grace_until = 0

    with patch.object(HostState, "_place", graceless):
        yield


MUTANTS: dict[str, Mutant] = {
    mutant.__name__: mutant
    for mutant in (
        host_freed_early,
        answer_before_commit,
        alarm_without_sweep,
        no_idle_gate,
        any_heartbeat_opens_the_gate,
        no_poison,
        memory_kept_after_unknown_commit,
        half_written_commit,
        row_order_inside_a_batch,
        retry_in_a_second_commit,
        zombie_result,
        late_result_ends_the_next_attempt,
        redelivery_lost,
        trailing_log_writes_an_old_row,
        alarm_that_comes_early_is_obeyed,
        retries_at_the_end_of_the_line,
        idempotency_key_forgotten,
        column_forgotten,
        no_startup_grace,
        cluster_mutants.no_fence,
        cluster_mutants.index_only,
        cluster_mutants.fence_folded_into_a_statement,
        cluster_mutants.doorbell_only,
        cluster_mutants.gap_not_seen,
        cluster_mutants.placed_without_a_look,
        cluster_mutants.stop_by_who_does_not_own,
        socket_mutants.offer_outlives_its_connection,
        socket_mutants.late_close_clears_the_newer,
        socket_mutants.offer_stays_with_the_older_connection,
        socket_mutants.pool_claim_without_its_condition,
        socket_mutants.pool_job_announced_once,
        socket_mutants.job_id_alone_means_the_latest_attempt,
        socket_mutants.cancel_not_pushed,
        socket_mutants.cancel_without_a_deadline,
        socket_mutants.pushed_before_its_commit,
        socket_mutants.claim_believed_before_its_commit,
        socket_mutants.unread_offer_is_not_handed_out_again,
        journal_mutants.told_before_an_earlier_one,
        journal_mutants.dead_writers_batch_is_written_again,
        journal_mutants.poison_stays_in_the_process,
    )
}


# What is rare in the mixes that seeds draw: the figure of such a mutant counts seeds with this mix, or with this changed.
MIXES: dict[str, str] = {"any_heartbeat_opens_the_gate": "hosts=2 jobs=24 seconds=90 request_slow=0.5 cancels=1"}
WEATHER: dict[str, str] = {
    "no_startup_grace": "nodes=1 clock_steps_a_minute=0 node_dies_a_minute=2",
    **dict.fromkeys((name for name in MUTANTS if hasattr(cluster_mutants, name)), "nodes=2"),
    "pool_claim_without_its_condition": "nodes=2 hosts=3 pooled=1",
    "claim_believed_before_its_commit": "nodes=2 hosts=3 pooled=1",
    "redelivery_lost": "sockets=0 reply_lost=0.3",
    "pool_job_announced_once": "sockets=1 pooled=1",
    "job_id_alone_means_the_latest_attempt": "sockets=1",
    "told_before_an_earlier_one": "nodes=1 loop_writes=1",
    "dead_writers_batch_is_written_again": "loop_writes=1 writer_dies=0.01",
    "poison_stays_in_the_process": "loop_writes=1 commit_fails=0.05",
}


def described(name: str) -> str:
    """What goes wrong in a mutant, in a sentence."""
    return " ".join((MUTANTS[name].__doc__ or "").split())
