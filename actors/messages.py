"""What may be told to or asked of an actor. Frozen values that carry all that the receiver needs.

Commands are verbs. Each says what its reply is; a refusal is an `InterlockError`.
"""

from collections.abc import Callable
from typing import Any, Literal, NamedTuple

import msgspec

from actors.loop_actor import LoopFuture
from actors.sessions import Session
from interlock.clock import Millis
from interlock.errors import InterlockError
from interlock.wire import Report, UserRef
from store.claims import Claimed
from store.rows import JobRow, RunRow


class Message(msgspec.Struct, frozen=True, kw_only=True):
    """Anything that an actor understands."""


class Caller(NamedTuple):
    """Who asks, for the audit trail."""

    kind: str  # user, agent or system
    id: str | None
    request_id: str | None = None
    address: str | None = None


SYSTEM = Caller("system", None)


class Idempotency(NamedTuple):
    """The key of a create, and the fingerprint of its body."""

    user_id: str
    key: str
    fingerprint: str


class NewJob(msgspec.Struct, frozen=True, kw_only=True):
    """A job that has passed validation."""

    org_id: str
    host_id: str | None  # None: it waits in the org's pool
    server_instance_id: str | None
    type: str
    payload: str  # JSON text
    policy: str | None
    timeout_ms: Millis | None
    max_attempts: int
    priority: int
    run_at: Millis | None
    start_before: Millis | None
    creator: UserRef
    labels: str | None = None  # what the host of a pool job must carry: JSON text, as hosts have it
    payload_shown: str | None = None  # the payload as all but its agent see it; None: as it is
    trace: str | None = None  # W3C `traceparent`, and behind a space `tracestate` if there is one


class CreateJob(Message, frozen=True, kw_only=True):
    """Put a job in the host's line. Reply: its JSON document, as bytes."""

    job: NewJob
    by: Caller
    idempotency: Idempotency | None = None


class CreateJobs(Message, frozen=True, kw_only=True):
    """Many at once, each for itself. Reply: for each its JSON document, or the `InterlockError` that refused it."""

    jobs: tuple[NewJob, ...]
    by: Caller


class PollAnswer(NamedTuple):
    """What a poll came to: a job (its JSON document), or nothing, perhaps with a run that should stop."""

    taken: bytes | None = None
    job_run_id: str | None = None
    cancel: str | None = None


NOTHING = PollAnswer()


class Poll:
    """A parked long-poll. It outlives the actor's incarnations: the directory keeps it until it is answered."""

    __slots__ = ("after", "answer", "host_id", "instance_id", "is_open", "over", "running", "waits")

    def __init__(
        self,
        host_id: str,
        *,
        waits: bool,
        instance_id: str | None = None,
        running: tuple[str, ...] | None = None,
        is_open: Callable[[], bool] = lambda: True,
        after: str | None = None,
    ) -> None:
        self.host_id = host_id
        self.after = after  # the run whose report also asks for the next one
        self.waits = waits
        self.instance_id = instance_id
        self.running = running  # None: it says nothing; (): it says that it runs nothing
        self.is_open = is_open  # whether anybody still listens
        self.over = False  # it has waited long enough
        self.answer = LoopFuture()

    @property
    def listens(self) -> bool:
        """Whether an answer would still reach somebody. An answered poll's connection may well stay open."""
        return not self.answer.done and self.is_open()


class Take(Message, frozen=True, kw_only=True):
    """An agent polls. No reply: the poll itself is answered."""

    poll: Poll


class EndPoll(Message, frozen=True, kw_only=True):
    """The poll's wait is over, or (`why`) the server is stopping. No reply: the poll itself is answered."""

    poll: Poll
    why: InterlockError | None = None


class HandOutAgain(Message, frozen=True, kw_only=True):
    """The reply that carried this run was never written: the next poll gets it."""

    job_run_id: str


class OfRun(Message, frozen=True, kw_only=True):
    """What an agent says of a run. `job_id`: the job that it names beside it, which must be the run's own."""

    job_run_id: str
    job_id: str | None = None


class FindRun(Message, frozen=True, kw_only=True):
    """Which run an agent means that names a job of which its connection has had none. Reply: the last run that went out
    to this host and has ended, never one that waits or goes on.
    """

    job_id: str


class ReportResult(OfRun, frozen=True, kw_only=True):
    """An agent says how a run ended. Reply: `wire.ReportAnswer`."""

    report: Report
    digest: str  # SHA-256 of the report in canonical form
    body: str  # the report as JSON text, kept when it comes too late
    take_next: bool = False


class NoteProgress(OfRun, frozen=True, kw_only=True):
    """An agent says how far a run is. Reply: `wire.RunState`."""

    progress: int
    message: str | None = None
    needs_user_action: bool | None = None


class Line(NamedTuple):
    """One line of a log."""

    line_no: int | None  # None: a progress message
    level: str
    message: str
    at: Millis | None


class AppendLogs(OfRun, frozen=True, kw_only=True):
    """An agent's log lines. Reply: `wire.LogAnswer`."""

    lines: tuple[Line, ...]


class EvidenceItem(NamedTuple):
    """An item that has passed validation. `hash` is the SHA-256 of its canonical content, of `size_bytes` bytes."""

    hash: str
    size_bytes: int
    collected_at: Millis | None
    type: str
    confidence: str
    source: str
    title: str
    url: str | None
    snippet: str


class RefusedItem(NamedTuple):
    """An item that has not, and why."""

    why: str


class AddEvidence(OfRun, frozen=True, kw_only=True):
    """What an agent has found, in the order in which it is to be answered; without items it only asks for the run's state.
    Reply: `wire.EvidenceAnswer`.
    """

    items: tuple[EvidenceItem | RefusedItem, ...]


class Beat(Message, frozen=True, kw_only=True):
    """A heartbeat. Reply: a list of `wire.RunVerdict`. `running` None says nothing about what runs."""

    instance_id: str | None
    running: tuple[str, ...] | None
    session: Session | None = None  # the socket that it came on


class Connect(Message, frozen=True, kw_only=True):
    """An agent's socket is here: a new one, or (`session.introduced`) one of an earlier incarnation. Reply: None."""

    session: Session


class Disconnect(Message, frozen=True, kw_only=True):
    """An agent's socket has gone. No reply; a late one about an older socket does no harm."""

    session: Session


class Ack(Message, frozen=True, kw_only=True):
    """An agent accepts what it was offered. Reply: `frames.JobGiven`. Without `job_run_id` it means what the session was
    last handed of that job.
    """

    session: Session | None
    job_id: str
    job_run_id: str | None = None


class Reject(Message, frozen=True, kw_only=True):
    """An agent will not do what it was offered, now or later. Reply: None."""

    session: Session | None
    job_id: str
    job_run_id: str | None = None
    reason: str | None = None


class ResolveAction(Message, frozen=True, kw_only=True):
    """A user has done what a run waited for. Reply: None."""

    job_id: str
    by: Caller


class CancelJob(Message, frozen=True, kw_only=True):
    """Reply: True when the job is CANCELLED now, False while its agent is being asked."""

    job_id: str
    by: Caller
    force: bool = False
    reason: str | None = None


class RetryJob(Message, frozen=True, kw_only=True):
    """A user wants an ended job to be tried afresh. Reply: None."""

    job_id: str
    by: Caller


class MoveInLine(Message, frozen=True, kw_only=True):
    """A user puts a waiting job ahead of all others, holds it back, lets it go again, or drops it. Reply: None."""

    job_id: str
    op: Literal["front", "hold", "release", "drop"]
    by: Caller


class RunDue(Message, frozen=True, kw_only=True):
    """An alarm rang, or the sweep found a row: look whether anything is due. No reply; twice does no harm."""


class Tick(Message, frozen=True, kw_only=True):
    """A timer of this actor fired, or (`save`) its row should say again that the host is here. No reply."""

    save: bool = False


class Look(Message, frozen=True, kw_only=True):
    """Somebody else has committed on this host's rows: read the news, or the `whole`. No reply; twice does no harm."""

    whole: bool = False
    since: Millis = 0  # filled in by the actor: what was made before is known
    run_id: str | None = None  # the current run, whatever its age
    asked_at: Millis = 0


class Seen(Message, frozen=True, kw_only=True):
    """What the rows hold, while nothing of this actor was under way. No reply."""

    claimed: Claimed
    asked_at: Millis


class ExplainWait(Message, frozen=True, kw_only=True):
    """Reply: `wire.Wait` of a waiting job, or None when this actor does not hold it as waiting."""

    job_id: str


class Describe(Message, frozen=True, kw_only=True):
    """Reply: the host in full as plain values, without payloads and keys."""


class Found(Message, frozen=True, kw_only=True):
    """What the rows say of a run or job that is not in the actor's memory, for the message that asked."""

    asked: Message
    job: JobRow | None
    run: RunRow | None
    reply: LoopFuture
    beside: Any = None  # what else was asked for: `LogStored` of the run's log, `EvidenceStored` of its job
    rounds: int = 0  # how often the rows were asked for it before


AnyReply = Any
