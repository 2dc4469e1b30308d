"""What one message leads to: changes to commit, and what may leave the process once they are durable."""

from typing import Any

from actors.line import Attempt
from actors.messages import AnyReply, Caller, Message, Poll
from actors.ports import Effect
from actors.sessions import Session
from interlock.clock import Millis
from interlock.ids import Ids
from interlock.states import JobStatus, RunStatus
from store.entries import Append, AskToStop, Change, Claim, JobChange, RunChange
from store.rows import Image, JobRow, RunRow, job_image, run_image


class Decision:
    """Filled while the state decides, then sealed. A row is touched *before* it is changed, so that its old status is
    what the commit will insist on.
    """

    __slots__ = (
        "_appends",
        "_jobs",
        "_leaving",
        "_runs",
        "_wide",
        "alarms",
        "answers",
        "chance",
        "claim",
        "claimed_by",
        "connected",
        "effects",
        "ends",
        "host_changed",
        "ids",
        "joins",
        "look_up",
        "now",
        "placed",
        "pooled",
        "pushes",
        "reply",
    )

    def __init__(self, now: Millis, ids: Ids, chance: float) -> None:
        self.now = now
        self.ids = ids
        self.chance = chance
        self.host_changed = False  # the owner's columns of the host row must be written
        self.effects: list[Effect] = []
        self.alarms: list[Millis] = []
        self.answers: list[tuple[Poll, AnyReply]] = []
        self.pushes: list[tuple[Session, str, Any]] | None = None
        self.ends: list[tuple[Session, int, str]] | None = None  # sessions to close, by code and reason
        self.joins: list[Attempt] = []  # new jobs: they stand in line once the commit has given them a seq
        self.placed: list[Attempt] = []  # new jobs that went out at once: they too learn their seq from the commit
        self.look_up: Message | None = None  # this actor does not know: ask the rows, then decide
        self.claim: Claim | None = None  # a job is taken out of the pool, if it still waits there
        self.claimed_by: Poll | Session | None = None
        self.connected: Session | None = None  # who was, when that was decided
        self.pooled: list[tuple[str, str | Millis]] | None = None  # what the org's supervisor is to know
        self.reply: AnyReply = None  # an InterlockError is raised at the asker
        self._jobs: dict[str, tuple[JobRow, JobStatus | None, bool]] | None = None
        self._runs: dict[str, tuple[RunRow, RunStatus | None]] | None = None
        self._appends: list[Append | AskToStop] | None = None
        self._leaving: set[str] | None = None  # jobs that go back to their pool
        self._wide: set[str] | None = None  # rows that change in other ways than by their move

    def moves(self, attempt: Attempt) -> None:
        """Both rows are about to change their status, and what goes with it (`JOB_MOVES`, `RUN_MOVES`)."""
        self._remember_run(attempt.run)
        self._remember_job(attempt.job)

    def moves_run(self, run: RunRow) -> None:
        """The run is about to change its status, and its job stays as it is."""
        self._remember_run(run)

    def touch(self, attempt: Attempt) -> None:
        """Both rows are about to change."""
        self.touch_run(attempt.run)
        self.touch_job(attempt.job)

    def touch_run(self, run: RunRow) -> None:
        """The run is about to change."""
        self._remember_run(run)
        self._widen(run.id)

    def touch_job(self, job: JobRow, *, new_seq: bool = False) -> None:
        """The job is about to change."""
        self._remember_job(job, new_seq=new_seq)
        self._widen(job.id)

    def _remember_run(self, run: RunRow) -> None:
        if self._runs is None:
            self._runs = {}
        self._runs.setdefault(run.id, (run, run.status))

    def _remember_job(self, job: JobRow, *, new_seq: bool = False) -> None:
        if self._jobs is None:
            self._jobs = {}
        self._jobs.setdefault(job.id, (job, job.status, new_seq))

    def _widen(self, row_id: str) -> None:
        if self._wide is None:
            self._wide = set()
        self._wide.add(row_id)

    def leaves(self, job: JobRow, *, narrow: bool = False) -> None:
        """The job is about to lose its host; `narrow`: and to change nothing that does not go with its move."""
        self._remember_job(job)
        self._leaving = {*(self._leaving or ()), job.id}
        if not narrow:
            self._widen(job.id)

    def taken(self, job_id: str) -> None:
        """The job does not wait in the pool any more: this host has it."""
        self.pooled = [*(self.pooled or ()), ("taken", job_id)]

    def missed(self, job_id: str) -> None:
        """The job did not wait in the pool any more when this host wanted it."""
        self.pooled = [*(self.pooled or ()), ("missed", job_id)]

    def free(self, job_id: str) -> None:
        """The job was kept for this host, which does not take it."""
        self.pooled = [*(self.pooled or ()), ("free", job_id)]

    def back(self, due_at: Millis) -> None:
        """A job goes back to the pool, and is due there at that time."""
        self.pooled = [*(self.pooled or ()), ("back", due_at)]

    def new_run(self, run: RunRow) -> None:
        """A run that has no row yet."""
        if self._runs is None:
            self._runs = {}
        self._runs[run.id] = (run, None)

    def new_job(self, job: JobRow) -> None:
        """A job that has no row yet: the commit gives it its place in line."""
        if self._jobs is None:
            self._jobs = {}
        self._jobs[job.id] = (job, None, True)

    def append(self, table: str, *values: object) -> None:
        """A row that is only ever inserted, its values in the order of `APPENDABLE`."""
        if self._appends is None:
            self._appends = []
        image: Image = values
        self._appends.append(Append(table, image))

    def ask_to_stop(self, run_id: str, how: str) -> None:
        """A word to the node that owns the run's host: "cancel" or "force"."""
        self._appends = [*(self._appends or ()), AskToStop(run_id, how)]

    def audit(self, by: Caller, action: str, org_id: str, target: tuple[str, str], detail: str = "{}") -> None:
        """A line in the audit trail; `target` is its kind and id."""
        who = (by.kind, by.id, action, *target, detail, by.request_id, by.address)
        self.append("audit_event", self.ids.new(), org_id, self.now, *who)

    def answer(self, poll: Poll, outcome: AnyReply) -> None:
        """Answer a parked poll once this is durable."""
        self.answers.append((poll, outcome))

    def push(self, session: Session, event: str, data: Any) -> None:
        """Send a frame on the session once this is durable; `data` is a struct of `interlock.frames`."""
        if self.pushes is None:
            self.pushes = []
        self.pushes.append((session, event, data))

    def end(self, session: Session, code: int, reason: str) -> None:
        """Close the session once this is durable, behind all that was sent on it."""
        if self.ends is None:
            self.ends = []
        self.ends.append((session, code, reason))

    @property
    def changes_anything(self) -> bool:
        """Whether there is something to commit."""
        return self.host_changed or self.claim is not None or bool(self._runs or self._jobs or self._appends)

    def seal(self) -> list[Change]:
        """The images of all touched rows as they are now."""
        wide, leaving = self._wide or (), self._leaving or ()
        changes: list[Change] = [
            JobChange(job.id, was, job_image(job), new_seq, job.id in wide, job.id in leaving)
            for job, was, new_seq in (self._jobs or {}).values()
        ]
        changes += [RunChange(run.id, was, run_image(run), run.id in wide) for run, was in (self._runs or {}).values()]
        return changes + (self._appends or [])
