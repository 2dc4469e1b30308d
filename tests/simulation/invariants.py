"""What must hold after every step, judged by the rows that the step has committed and by what machines really did.

Rows: one live run per host; what has ended stays as it is; a job has one open run until it has ended, and its status
is that of its runs; a take is in order; the fence only rises; only a host's owner moves its runs; nothing disappears.
Truth: a run is a success only if some machine of that host has said so of this very run.
Answers: nothing is said before it is committed.
Memory: an actor that has nothing on its way remembers exactly its rows.
"""

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

from peewee import Database

from actors import LoopFuture
from actors.host import HostActor
from actors.messages import PollAnswer
from actors.policies import policy_of
from interlock.errors import InterlockError, InvalidState, NotFound
from interlock.states import LIVE, MOVES, TERMINAL, WAITING, JobStatus, RunStatus, StopReason, job_status, step
from interlock.wire import JobEvent, ReportAnswer
from store.entries import Entry, Incarnation, Outcome, Refused
from store.labels import carries
from store.rows import HostRow, JobRow, RunRow
from tests.simulation.database import Changes, HostChange, JobChange, Rows, RunChange, difference
from tests.simulation.loop import Violation
from tests.simulation.mix import Mix

Reported = Callable[[str, str, str], bool]
_ENDED = {JobStatus.COMPLETED, JobStatus.FAILED, JobStatus.CANCELLED}
_BY_THE_AGENT = {RunStatus.SUCCESS: "success", RunStatus.REJECTED: "rejected"}
TROUBLES = (
    *("commit_fails", "commit_unknown", "statement_fails", "rows_held", "claim_unknown", "read_fails"),
    *("outages_a_minute", "node_dies_a_minute", "node_stops_a_minute", "node_pauses_a_minute"),
)
STOPPED = 4_000 + 1_000  # ms: grace and slack (`nodes.LIMITS`), and some for commits
STOPPED_UNHEARD = 20_000 + 2 * STOPPED  # lost after so long; and it may come back and go again
STOPPED_AFTER_HEALING = 10_000 + 15_000 + STOPPED_UNHEARD  # a cold start's grace, and until its host is looked after
_KEPT_OF_HOST = ("run_no", "instance_id", "declares", "awaiting_idle", "unhealthy", "next_seq")


def _reachable() -> dict[RunStatus, frozenset[RunStatus]]:
    """Where the table can lead from each status, in any number of moves: a batch may hold several of them."""
    near = {
        status: {step(status, event, reason) for event in MOVES.get(status, ()) for reason in StopReason} - {None}
        for status in RunStatus
    }
    far: dict[RunStatus, frozenset[RunStatus]] = {}
    for status in RunStatus:
        seen: set[RunStatus] = {status}
        todo = [status]
        while todo:
            for following in near[todo.pop()]:
                if following is not None and following not in seen:
                    seen.add(following)
                    todo.append(following)
        far[status] = frozenset(seen)
    return far


_REACHABLE = _reachable()  # now, while the table is what it should be


def must(holds: object, what: str, *about: object) -> None:
    """`Violation` unless it does. What it is `about` is put into words only then: rows are long, and mostly all is well."""
    if not holds:
        raise Violation(": ".join((what, *map(str, about))))


class Deadlines:
    """A run that is to stop does so in time, by its agent's word or without: unless servers or clocks are in trouble."""

    def __init__(self, mix: Mix, now: Callable[[], int]) -> None:
        self.healed_at: int | None = None
        self._now = now
        self._clocks_are_right = not mix.clock_steps_a_minute
        self._servers_are_well = mix.nodes == 1 and not any(getattr(mix, name) for name in TROUBLES)
        self._since: dict[str, int] = {}  # by run: when it was asked to stop
        self._out_of_reach: dict[str, None] = {}

    def look(self, before: RunRow, after: RunRow) -> None:
        """A run has changed."""
        if after.stop_reason is StopReason.NONE and after.asked_to_stop is None:
            return
        since = self._since.setdefault(after.id, self._now())
        if after.status is RunStatus.UNREACHABLE:
            self._out_of_reach[after.id] = None
        if after.status in TERMINAL and before.status in LIVE and self._clocks_are_right:
            self._was_in_time(after, since)

    def _was_in_time(self, run: RunRow, since: int) -> None:
        took = self._now() - since
        if self._servers_are_well:
            most = STOPPED_UNHEARD if run.id in self._out_of_reach else STOPPED
            must(took <= most, f"it took {took} ms to stop a run", run)
        elif self.healed_at is not None:
            took = self._now() - max(since, self.healed_at)
            must(took <= STOPPED_AFTER_HEALING, f"it took {took} ms after healing to stop a run", run)


class Invariants:
    """Looks at each step. `reported(host, run, status)` says whether a machine of the host ever said that of the run."""

    def __init__(self, database: Database, mix: Mix, now: Callable[[], int], reported: Reported) -> None:
        self.rows = Rows(database)
        self._mix = mix
        self._now = now
        self.accepted: dict[str, None] = {}
        self.polled: dict[str, None] = {}  # runs that a poll was answered with
        self._refused: set[Incarnation] = set()  # of which a decision was not written
        self.writer: str | None = None  # the owner whose decisions the step at hand may have written
        self._reported = reported
        self._seqs: dict[tuple[str, int], str] = {}  # which job got a host's place in line
        self._graced: dict[str, None] = {}  # runs that were live before the last cold start
        self._grace_until = 0
        self._done: dict[str, None] = {}  # runs whose end was published
        self._at_rest: dict[str, dict[str, None]] = {}  # by host: what waited when its actor last came to rest
        self._troubled: dict[str, None] = {}  # runs during which a commit of their host was refused
        self._deadlines = Deadlines(mix, now)

    def healed(self) -> None:
        """From now on nothing goes wrong."""
        self._deadlines.healed_at = self._now()

    # ---- rows ------------------------------------------------------------------------------------------------------

    def look(self) -> Changes | None:
        """After a step: judge what it has committed; None when nothing was written."""
        if not self.rows.stale:
            self.writer = None
            return None
        writer, self.writer = self.writer, None
        waiting = {host_id: list(runs.values()) for host_id, runs in self.rows.open_of_host.items()}
        changes = self.rows.refresh()
        must(not changes.gone, f"rows are gone: {changes.gone}")
        for host in changes.hosts:
            self._host(*host)
        for run in changes.runs:
            self._run(*run, writer)
        for job in changes.jobs:
            self._job(*job)
        for job_id in dict.fromkeys(
            [job.after.id for job in changes.jobs] + [run.after.job_id for run in changes.runs]
        ):
            self._job_and_runs(self.rows.jobs.get(job_id), job_id)
        for host_id in dict.fromkeys(run.after.host_id for run in changes.runs):
            if host_id is not None:
                self._slot(host_id)
                self._order(waiting[host_id], [run.after for run in changes.runs if _was_taken(run)], host_id)
        return changes

    def _host(self, before: HostRow, after: HostRow) -> None:
        known = f"host {after.id}, that was {before.owner} {before.epoch}, is {after.owner} {after.epoch}"
        must(after.epoch >= before.epoch and after.rev > before.rev, f"the fence fell: {known}")
        taken_over = after.owner is not None and after.owner != before.owner
        must(after.epoch > before.epoch or not taken_over, f"an owner without an epoch of its own: {known}")
        must(after.next_seq >= before.next_seq, f"places in line are given again: {known}")
        must(after.run_no >= before.run_no, f"numbers of runs are given again: {known}")

    def _run(self, before: RunRow | None, after: RunRow, writer: str | None) -> None:
        if before is None:
            return
        known = f"run {after.id}, that was {before.status}, is {after.status}"
        must(before.host_id in {None, after.host_id}, f"at two hosts: {known}", before, after)
        if before.host_id is None and after.host_id is not None:
            labels = self.rows.hosts[after.host_id].labels
            must(carries(labels, after.pool_labels or "{}"), f"at a host without its labels: {known}", after)
        must(before.status not in TERMINAL, f"what has ended was changed: {known}", before, after)
        must(after.status in _REACHABLE[before.status], f"no way leads there: {known}")
        self._in_time(before, after, known)
        self._deadlines.look(before, after)
        said = _BY_THE_AGENT.get(after.status)
        if said is not None:
            must(self._reported(after.host_id or "", after.id, said), f"no machine has said so: {known}")
        if _was_moved(before, after):
            owner = self.rows.hosts[after.host_id or ""].owner
            must(owner == writer, f"{writer} moved a run of {owner}: {known}")

    def _in_time(self, before: RunRow, after: RunRow, known: str) -> None:
        """Nothing happens before its time; where clocks are set nobody can tell."""
        if self._mix.clock_steps_a_minute:
            return
        if before.status is RunStatus.SCHEDULED and after.status not in {RunStatus.CANCELLED, RunStatus.EXPIRED}:
            must((before.available_at or 0) <= self._now(), f"before its time: {known}", before)
        if after.id in self._graced and self._now() < self._grace_until:
            silent = after.status is RunStatus.UNREACHABLE and before.status is not RunStatus.UNREACHABLE
            late = after.stop_reason is StopReason.TIMEOUT and before.stop_reason is StopReason.NONE
            must(not silent and not late, f"ended by time alone, just after a cold start: {known}", after)
        if after.status is RunStatus.LOST and before.status is not RunStatus.UNREACHABLE:
            replaced = self.rows.hosts[after.host_id or ""].instance_id != after.instance_id
            must(replaced or self._mix.clones_a_minute, f"lost, though nobody has missed it: {known}", before)

    def _job(self, before: JobRow | None, after: JobRow) -> None:
        if after.labels is None:
            place = (after.host_id or "", after.seq)
            holder = self._seqs.setdefault(place, after.id)
            must(holder == after.id, f"jobs {holder} and {after.id} have the same place in line")
        if before is not None and before.status in _ENDED:
            pooled = after.labels is not None and after.host_id is None
            afresh = before.status is not JobStatus.COMPLETED and (pooled or after.seq > before.seq)
            logged = before.status is after.status
            must(afresh or logged, f"job {after.id} had ended {before.status} and is {after.status}")

    def _job_and_runs(self, job: JobRow | None, job_id: str) -> None:
        runs = [self.rows.runs[run_id] for run_id in self.rows.runs_of_job.get(job_id, ())]
        must(job is not None and runs, f"job {job_id} has no row, or no run", job, runs)
        if job is None:
            return
        stands = [run for run in runs if run.status not in TERMINAL]
        known = f"job {job_id} is {job.status}, its runs are {[run.status.value for run in runs]}"
        must(len(stands) == (job.status not in _ENDED), f"one open run until it has ended: {known}")
        must(sum(run.status is RunStatus.SUCCESS for run in runs) <= 1, f"done twice: {known}")
        last = stands or [runs[-1]]
        must(job.status is job_status([run.status for run in last]), f"its status is not that of its runs: {known}")
        must(job.host_id == last[0].host_id, f"job and run are at different hosts: {known}", job, last[0])

    def _slot(self, host_id: str) -> None:
        live = [run.id for run in self.rows.open_of_host[host_id].values() if run.status in LIVE]
        must(len(live) <= 1, f"two live runs on one host: {live}")

    def _order(self, before: Iterable[RunRow], taken: list[RunRow], host_id: str) -> None:
        """Nobody who was waiting before this step, and still is, stood ahead of one that was taken. A job of another
        priority may just have been on its way into the line: that counts once the actor has come to rest with it.
        """
        mine = [run for run in taken if run.host_id == host_id]
        if not mine:
            return
        for was in before:
            run = self.rows.runs[was.id]
            if was.status not in WAITING or run.status is not was.status:
                continue
            job = self.rows.jobs[run.job_id]
            for other in mine:
                known = f"run {other.id} was taken before {run.id}"
                if run.status is RunStatus.PENDING:
                    taken_job, rested = self.rows.jobs[other.job_id], run.id in self._at_rest.get(host_id, ())
                    pooled = taken_job.labels is not None and (rested or self._mix.nodes == 1)
                    must(not pooled, f"{known}, which is the host's own, out of the pool")
                    same = job.priority == taken_job.priority or rested
                    must(not (same and _place(taken_job) > _place(job)), f"{known}, which stood ahead of it")
                elif run.attempt > 1:
                    held = policy_of(job.policy).while_backing_off == "hold"
                    must(not held, f"{known}, for which the host is held")

    # ---- answers ---------------------------------------------------------------------------------------------------

    def poll_answered(self, reply: LoopFuture) -> None:
        """A run that is handed out is in the rows."""
        value = reply.outcome
        if isinstance(value, PollAnswer) and value.job_run_id is not None:
            run = self.rows.runs.get(value.job_run_id)
            self.polled[value.job_run_id] = None
            taken = run is not None and run.status not in WAITING
            must(taken, f"handed out before its commit: {value.job_run_id}", run)

    def job_accepted(self, job_id: str) -> None:
        """A 201 is a promise."""
        must(job_id in self.rows.jobs, f"job {job_id} was accepted before its commit")
        self.accepted[job_id] = None

    def report_answered(self, run_id: str, digest: str, value: Any, late: Callable[[str, str], bool]) -> None:
        """A report that is acknowledged has ended its run, or is kept as a late one."""
        run = self.rows.runs.get(run_id)
        if isinstance(value, ReportAnswer):
            known = digest if run is None or run.status is not RunStatus.CANCELLED or not value.replayed else None
            ended = run is not None and run.status in TERMINAL and run.report_hash in {digest, known}
            must(ended, f"a report was acknowledged before its commit: {run_id}", run)
        elif isinstance(value, InvalidState) and run is not None and run.status in TERMINAL:
            must(late(run_id, digest), f"a late report was not kept: {run_id}", run)
        elif isinstance(value, NotFound):
            must(run is None, f"a report was turned away although its run is there: {run_id}", run)

    def kept_back(self, host_id: str, instance_id: str) -> str | None:
        """The run that a process of the host's agent should be running, if nothing went wrong since it was taken."""
        for run in self.rows.open_of_host[host_id].values():
            mine = run.status is RunStatus.RUNNING and run.instance_id == instance_id
            if mine and run.stop_reason is StopReason.NONE and run.id not in self._troubled:
                return run.id
        return None

    def cancel_answered(self, job_id: str, value: Any) -> None:
        """A job that is said to be cancelled is."""
        if value is True:  # somebody may have asked for another try meanwhile
            runs = [self.rows.runs[run_id].status for run_id in self.rows.runs_of_job[job_id]]
            must(RunStatus.CANCELLED in runs, f"job {job_id} was said to be cancelled before its commit", runs)

    def published(self, event: str, data: Any) -> None:
        """An event tells what is in the rows, and an end is told once."""
        if not isinstance(data, JobEvent):
            return
        run = self.rows.runs.get(data.job_run_id)
        must(run is not None, f"{event} was published before its commit", data)
        if event == "job_run.started":
            must(run is not None and run.started_at is not None, f"{event} was published before its commit", run)
        if event == "job_run.done":
            must(run is not None and run.status == data.status, f"{event} was published before its commit", run)
            must(data.job_run_id not in self._done, f"the end of run {data.job_run_id} was published twice")
            self._done[data.job_run_id] = None

    def cold_start(self, grace_until: int) -> None:
        """The only server starts: what is live now does not end through the passing of time before that instant."""
        runs = (run for runs in self.rows.open_of_host.values() for run in runs.values())
        self._graced = {run.id: None for run in runs if run.status in LIVE}
        self._grace_until = grace_until

    # ---- commits ---------------------------------------------------------------------------------------------------

    def was_told(self, entry: Entry, outcome: Outcome) -> None:
        """A commit fails because of a fault or of another owner, never because the decisions do not fit together; and what
        was decided behind it fails too.
        """
        if isinstance(outcome, Refused):
            self._refused.add(entry.incarnation)
            self._was_refused(entry, outcome)
        else:
            must(entry.incarnation not in self._refused, f"written behind what was not: {entry.incarnation.host_id}")

    def _was_refused(self, entry: Entry, why: Refused) -> None:
        self._troubled.update(dict.fromkeys(self.rows.open_of_host[entry.incarnation.host_id]))
        if self._mix.nodes > 1 and ("idempotency_key" in why.why or "RowMoved" in why.why):
            return  # a create came to two nodes at once, or a waiting run was ended by another node and taken here
        for word in ("IntegrityError", "RowMoved"):
            must(word not in why.why, f"decisions that do not fit: {why.why}")

    # ---- memory ----------------------------------------------------------------------------------------------------

    def remembers(self, actor: HostActor) -> bool:
        """An actor without anything on its way; False when its host belongs to somebody else, or was appended to."""
        state, row = actor.state, self.rows.hosts[actor.host_id]
        if state is None or actor.incarnation is None or row.epoch != actor.incarnation.epoch:
            return False  # claimed by another: this one will find out with its next commit
        if self._mix.nodes > 1 and (state.stale or row.rev != state.host.rev):
            return False  # somebody has appended to it: this one knows, or will find out by its next commit or a look
        must(
            row.rev == state.host.rev, f"somebody has written to host {row.id}, whose actor knows rev {state.host.rev}"
        )
        stored = self.rows.open_of_host[actor.host_id]
        attempts = [*state.line, *state.backoff.values()] + ([] if state.current is None else [state.current])
        remembered = {attempt.run.id: attempt for attempt in attempts}
        must(
            len(attempts) == len(remembered) and remembered.keys() == stored.keys(),
            f"host {row.id} remembers {sorted(remembered)}, the rows hold {sorted(stored)}",
        )
        for run_id, attempt in remembered.items():
            job = self.rows.jobs[attempt.job.id]
            run = attempt.run
            if stored[run_id].asked_to_stop is None and run.asked_to_stop is not None:
                run = replace(run, asked_to_stop=None)  # what its predecessor was asked holds for it too
            if run != stored[run_id] or attempt.job != job:
                differ = f"{difference(stored[run_id], attempt.run)} {difference(job, attempt.job)}"
                raise Violation(f"host {row.id}: run {run_id} is remembered otherwise than stored: {differ}")
        for name in _KEPT_OF_HOST:
            mine, theirs = getattr(state.host, name), getattr(row, name)
            must(mine == theirs, f"host {row.id} remembers {name} {mine}, the row says {theirs}")
        slot = None if state.current is None else state.current.run
        must(slot is None or slot.status in LIVE, f"host {row.id} holds in its slot what is not live", slot)
        self._at_rest[actor.host_id] = {attempt.run.id: None for attempt in state.line}
        places = [_place(attempt.job) for attempt in state.line]
        must(places == sorted(places), f"host {row.id}: the line is out of order: {places}")
        return True

    def unexpected(self, value: BaseException | None) -> None:
        """Whatever is answered is an answer or a refusal that its caller can understand."""
        if value is not None and not isinstance(value, InterlockError):
            raise Violation(f"an unexpected error was answered: {value!r}") from value


def _place(job: JobRow) -> tuple[int, int]:
    return (-job.priority, job.seq)


def _was_moved(before: RunRow, after: RunRow) -> bool:
    """Whether a run in its host's slot was changed as only the host's owner may; any node may ask that it stops."""
    if before.status not in LIVE and after.status not in LIVE and after.run_no == before.run_no:
        return False
    return replace(before, asked_to_stop=after.asked_to_stop) != after


def _was_taken(change: RunChange) -> bool:
    before, after = change
    return after.run_no is not None and (before is None or before.run_no is None)


__all__ = ["HostChange", "Invariants", "JobChange", "RunChange"]
