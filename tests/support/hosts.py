"""A host's state driven by hand: a fake clock, counted ids, and rows kept as the journal would keep them."""

import itertools
from dataclasses import replace
from typing import Any

import msgspec

from actors.decision import Decision
from actors.host_handlers import HANDLERS
from actors.host_polls import serve
from actors.host_state import HostState
from actors.host_times import next_deadline
from actors.host_users import join
from actors.limits import Limits
from actors.line import Attempt
from actors.loop_actor import LoopFuture
from actors.messages import (
    Ack,
    AddEvidence,
    AppendLogs,
    Beat,
    Caller,
    CancelJob,
    CreateJob,
    FindRun,
    Found,
    Line,
    Message,
    MoveInLine,
    NewJob,
    NoteProgress,
    Poll,
    PollAnswer,
    Reject,
    ReportResult,
    ResolveAction,
    RetryJob,
    Take,
    Tick,
)
from interlock.errors import InterlockError
from interlock.states import LIVE, TERMINAL, WAITING, RunStatus
from interlock.wire import Report, TakenJob, UserRef
from store.claims import Claimed
from store.entries import Append, JobChange, RunChange
from store.evidence import EvidenceStored
from store.logs import TRUNCATED, LogStored, ranges_of
from store.rows import RUN_MOVES, HostRow, JobRow, RunRow, host_image
from tests.support.rows import host_row

NOW = 1_700_000_000_000
SECOND = 1000
USER = Caller("user", "ann")
ANN = UserRef(id="ann", name="Ann", email="ann@example.org")
NEW_JOB = NewJob(
    org_id="org",
    host_id="host",
    server_instance_id=None,
    type="SERVER_START",
    payload="{}",
    policy=None,
    timeout_ms=None,
    max_attempts=3,
    priority=0,
    run_at=None,
    start_before=None,
    creator=ANN,
)
FRESH_HOST = host_row(id="host", owner="me", epoch=1)


class Ids:
    """1, 2, 3 …, padded so that they sort."""

    def __init__(self) -> None:
        self._numbers = itertools.count(1)

    def new(self) -> str:
        return f"{next(self._numbers):06d}"


class Rows:
    """What the journal would have written. A change of a row that is not where it was thought to be is an error."""

    def __init__(self) -> None:
        self.jobs: dict[str, JobRow] = {}
        self.runs: dict[str, RunRow] = {}
        self.appended: list[Append] = []
        self.host: tuple[Any, ...] = ()
        self._next_seq = 1

    def write(self, d: Decision, host: HostRow) -> dict[str, int]:
        """Write what was decided; the places that new jobs got."""
        seqs: dict[str, int] = {}
        changes = d.seal()
        for change in changes:
            if isinstance(change, JobChange):
                before = self.jobs.get(change.id)
                assert (None if before is None else before.status) == change.was, change
                job = JobRow(*change.image)
                job.seq = 0 if before is None else before.seq  # the commit alone gives a job its place
                job.log_seq = 0 if before is None else before.log_seq
                if change.new_seq:
                    job.seq = seqs[job.id] = self._next_seq
                    self._next_seq += 1
                self.jobs[job.id] = job
            elif isinstance(change, RunChange):
                known = self.runs.get(change.id)
                assert (None if known is None else known.status) == change.was, change
                self.runs[change.id] = _written(known, change)
            else:
                assert isinstance(change, Append)  # its owner leaves itself no word
                self.appended.append(change if change.table != "job_log" else self._numbered(change))
        if d.changes_anything:
            self.host = host_image(host)
        assert sum(run.status in LIVE for run in self.runs.values()) <= 1
        return seqs

    def _numbered(self, line: Append) -> Append:
        """The commit counts a job's lines."""
        job = self.jobs[line.values[2]]
        job.log_seq += 1
        return Append(line.table, (*line.values[:4], job.log_seq, *line.values[5:]))

    def open(self) -> list[tuple[JobRow, RunRow]]:
        """What a claim would read."""
        kept = [run for run in self.runs.values() if run.status not in TERMINAL]
        return [(replace(self.jobs[run.job_id]), replace(run)) for run in kept]

    def appended_to(self, table: str) -> list[tuple[Any, ...]]:
        """The rows that were inserted into one of the tables that only grow."""
        return [each.values for each in self.appended if each.table == table]


def _written(known: RunRow | None, change: RunChange) -> RunRow:
    """The row as the commit leaves it: a change that says that it is no more than a move writes no more than that."""
    image = RunRow(*change.image)
    columns = None if known is None else RUN_MOVES.get((known.status, image.status))
    if known is None or columns is None or change.wide:
        return image
    return replace(known, **{name: getattr(image, name) for name in columns})


class HostRig:
    """One host, one incarnation after the other. `do` is what its actor does with a message, commit included."""

    def __init__(self, *, limits: Limits | None = None, **host: Any) -> None:
        self.now = NOW
        self.limits = limits or Limits()
        self.ids = Ids()
        self.rows = Rows()
        self.chance = 0.5  # the draw that moves no delay
        self.events: list[str] = []
        self.alarms: list[int] = []
        self.state = HostState(Claimed(replace(FRESH_HOST, **host)), self.limits, self.now)

    # ---- messages --------------------------------------------------------------------------------------------------

    def decide(self, message: Message) -> Decision:
        """Decide, and leave the commit under way; a refusal is the decision's reply, as it is in the actor."""
        d = self.decision()
        try:
            HANDLERS[type(message)](self.state, message, d)
        except InterlockError as refusal:
            d.reply = refusal
        return d

    def do(self, message: Message) -> Decision:
        """Decide, commit, and let the effects out."""
        d = self.decide(message)
        self._carry_out(d)
        if d.look_up is not None and not isinstance(message, Found):
            return self.do(self._found(d.look_up))
        return d

    def decision(self) -> Decision:
        return Decision(self.now, self.ids, self.chance)

    def _carry_out(self, d: Decision) -> None:
        seqs = self.rows.write(d, self.state.host)
        self.events += [effect.event for effect in d.effects]
        self.alarms += d.alarms
        for poll, answer in d.answers:
            poll.answer.settle(answer)
        for session, event, data in d.pushes or ():
            session.deliver(event, data)
        for session, code, reason in d.ends or ():
            session.end(code, reason)
        if seqs:
            join(self.state, d, seqs)
            served = self.decision()
            serve(self.state, served)
            self._carry_out(served)
        self.check()

    def _found(self, asked: Message) -> Found:
        """What the rows say, as the actor would read it."""
        if isinstance(asked, Ack | Reject) and asked.job_run_id is not None:
            run = self.rows.runs.get(asked.job_run_id)
        elif isinstance(asked, FindRun):
            runs = [
                run for run in self.rows.runs.values() if run.job_id == asked.job_id and run.finished_at is not None
            ]
            run = max((run for run in runs if run.run_no is not None), key=lambda each: each.run_no or 0, default=None)
        elif isinstance(asked, CancelJob | RetryJob | ResolveAction | MoveInLine | Ack | Reject):
            runs = [run for run in self.rows.runs.values() if run.job_id == asked.job_id]
            run = max(runs, key=lambda each: each.id, default=None)
        else:
            assert isinstance(asked, ReportResult | NoteProgress | AppendLogs | AddEvidence)
            run = self.rows.runs.get(asked.job_run_id)
        job = None if run is None else replace(self.rows.jobs[run.job_id])
        beside = None if run is None else self._beside(asked, run)
        return Found(asked=asked, job=job, run=None if run is None else replace(run), reply=LoopFuture(), beside=beside)

    def _beside(self, asked: Message, run: RunRow) -> LogStored | EvidenceStored | None:
        """What else the actor reads with a run."""
        if isinstance(asked, AddEvidence):
            items = [row for row in self.rows.appended_to("evidence") if row[2] == run.job_id]
            return EvidenceStored(len(items), sum(row[5] for row in items), {row[4]: row[0] for row in items})
        if isinstance(asked, ReportResult | FindRun) or run.id in (self.state.logs or ()):
            return None
        lines = [row for row in self.rows.appended_to("job_log") if row[3] == run.id]
        numbers = sorted({row[5] for row in lines if row[5] is not None})
        size_bytes = sum(len(row[7].encode()) for row in lines)
        ranges = ranges_of(number for number in numbers if number >= 0)
        return LogStored(len(lines), size_bytes, ranges, TRUNCATED in numbers)

    # ---- what must always hold -------------------------------------------------------------------------------------

    def check(self) -> None:
        """Memory is what the rows say, and whatever is under way has somebody who will move it."""
        stored = {run.id: (job, run) for job, run in self.rows.open()}
        remembered = {attempt.run.id: (attempt.job, attempt.run) for attempt in self.attempts()}
        assert remembered == stored
        if self.rows.host:
            # The last two are when it was last seen: those are saved every half minute.
            assert self.rows.host[:-2] == host_image(self.state.host)[:-2]
        current = self.state.current
        if current is not None and not current.job.needs_user_action:
            assert next_deadline(self.state) is not None, f"nobody moves {current.run}"
        if current is not None and current.run.status is RunStatus.CANCELLING:
            assert current.run.stop_by is not None, f"no deadline of {current.run}"

    def attempts(self) -> list[Attempt]:
        """All that the host remembers."""
        current = [] if self.state.current is None else [self.state.current]
        return [*current, *self.state.line, *self.state.backoff.values()]

    # ---- time ------------------------------------------------------------------------------------------------------

    def wait(self, seconds: float) -> None:
        """Time passes, and the host's own timer fires whenever it is due."""
        end = self.now + round(seconds * SECOND)
        for _ in range(1000):
            at = self.next_look()
            if at is None or at > end:
                self.now = end
                return
            self.now = max(at, self.now)
            self.do(Tick())
        raise AssertionError("the timer fires without end")

    def next_look(self) -> int | None:
        """When its timer, an alarm or the sweep would make it look at the clock."""
        state = self.state
        silent = max(state.host.last_seen_at or 0, state.built_at) + self.limits.offline_after_ms
        here = state.poll is not None or state.session is not None
        goes_offline = silent if state.online and not here else None
        times = [next_deadline(state), state.first_due(), goes_offline]
        return min((at for at in times if at is not None), default=None)

    # ---- lives -----------------------------------------------------------------------------------------------------

    def rebuild(self, *, cold: bool = False) -> None:
        """A new incarnation reads the rows; `cold`: the whole server has just started."""
        line, current = self.waiting(), self.state.current
        claimed = Claimed(replace(self.state.host), self.rows.open())
        self.state = HostState(claimed, self.limits, self.now, started_at=self.now if cold else 0)
        assert self.waiting() == line
        assert (self.state.current is None) == (current is None)
        self.check()

    # ---- short forms -----------------------------------------------------------------------------------------------

    def create(self, **changes: Any) -> Attempt:
        """A new job in line; the attempt as the host remembers it."""
        d = self.do(CreateJob(job=msgspec.structs.replace(NEW_JOB, **changes), by=USER))
        assert not isinstance(d.reply, InterlockError), d.reply
        (attempt,) = [*d.placed, *d.joins]
        return attempt

    def poll(self, *, waits: bool = False, instance: str | None = None, running: tuple[str, ...] | None = None) -> Poll:
        """An agent polls; look at `answer_of` for what it got."""
        poll = Poll("host", waits=waits, instance_id=instance, running=running)
        self.do(Take(poll=poll))
        return poll

    def take(self, *, instance: str | None = None, running: tuple[str, ...] | None = None) -> str:
        """Poll and get a job: the run's id."""
        answer = answer_of(self.poll(instance=instance, running=running))
        assert answer.job_run_id is not None, answer
        return answer.job_run_id

    def report(self, run_id: str, status: str = "success", *, take_next: bool = False, **details: Any) -> Any:
        """An agent reports; the reply."""
        report = msgspec.convert({"status": status, **details}, Report)
        body = msgspec.json.encode(report).decode()
        message = ReportResult(job_run_id=run_id, report=report, digest=body, body=body, take_next=take_next)
        return self.do(message).reply

    def beat(self, *running: str, instance: str | None = None, silent: bool = False) -> Any:
        """A heartbeat that names these runs, or (`silent`) has no list at all; the reply."""
        return self.do(Beat(instance_id=instance, running=None if silent else running)).reply

    def progress(self, run_id: str, percent: int = 50, **details: Any) -> Any:
        """An agent says how far it is; the reply."""
        return self.do(NoteProgress(job_run_id=run_id, progress=percent, **details)).reply

    def logs(self, run_id: str, *lines: str, first: int = 1) -> Any:
        """An agent's log lines; the reply."""
        numbered = tuple(Line(number, "info", text, None) for number, text in enumerate(lines, first))
        return self.do(AppendLogs(job_run_id=run_id, lines=numbered)).reply

    def cancel(self, job_id: str, *, force: bool = False) -> Any:
        """A user cancels; the reply."""
        return self.do(CancelJob(job_id=job_id, by=USER, force=force)).reply

    def retry(self, job_id: str) -> Any:
        """A user wants it tried afresh; the reply."""
        return self.do(RetryJob(job_id=job_id, by=USER)).reply

    def runs_of(self, job_id: str) -> list[RunRow]:
        """The job's runs as stored, oldest first."""
        return sorted((run for run in self.rows.runs.values() if run.job_id == job_id), key=lambda run: run.id)

    def status_of(self, run_id: str) -> RunStatus:
        """The run's status as stored."""
        return self.rows.runs[run_id].status

    def waiting(self) -> list[str]:
        """The ids of the runs in line, the next one first."""
        assert all(attempt.run.status in WAITING for attempt in self.state.line)
        return [attempt.run.id for attempt in self.state.line]


def answer_of(poll: Poll) -> PollAnswer:
    """What the poll was answered; it must have been."""
    assert poll.answer.done
    answer = poll.answer.get()
    assert isinstance(answer, PollAnswer)
    return answer


def job_in(answer: PollAnswer) -> TakenJob:
    """The job that a poll was answered with."""
    assert answer.taken is not None
    return msgspec.json.decode(answer.taken, type=TakenJob)
