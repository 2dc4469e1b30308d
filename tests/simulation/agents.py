"""Machines and their agents: three kinds, all of which may die, lose messages, and come back."""

from collections.abc import Callable
from typing import Any, Protocol

import msgspec

from actors.messages import AppendLogs, Beat, Line, NoteProgress, Poll, PollAnswer, ReportResult
from interlock.errors import Conflict, InterlockError, NotFound
from interlock.wire import Report, ReportStatus, TakenJob
from tests.simulation.loop import Violation
from tests.simulation.server import Life

POLL_SECONDS = 10.0
BEAT_SECONDS = 5.0
PATIENCE = 3.0  # seconds that an agent waits for an answer, beyond a poll's own wait


class WorldPort(Protocol):
    """What an agent needs of its world."""

    chance: Any
    loop: Any
    stats: Any

    def send(
        self,
        ask: Callable[[Life], Any],
        answered: Callable[[Any], None],
        failed: Callable[[], None],
        patience: float,
        sender: str = "",
    ) -> None:
        """A request over a bad network: `ask` runs at the server, one of the others at the agent."""


class Machine:
    """What survives its agent: the journal on its disk."""

    def __init__(self) -> None:
        self.started: dict[str, int] = {}  # runs that were begun here, ever, and how often
        self.results: dict[str, Report] = {}  # what they came to
        self.owed: list[str] = []  # results that no server has acknowledged
        self.last_run_no = 0


class Agent:
    """Sequential, as the reference agent: report what is owed, then poll, then run. Declares what it runs.

    `plain` agents declare nothing and never heartbeat (S1). `split` agents poll all the time, also while they run, and
    name what they run only in their heartbeats: they trust the server to send nothing meanwhile.
    """

    def __init__(self, world: WorldPort, host_id: str, kind: str) -> None:
        self.world = world
        self.host_id = host_id
        self.kind = kind
        self.machine = Machine()
        self.running: str | None = None
        self.stopping = False
        self.polling = False
        self.life = 0
        self.healthy = False  # heals: runs end well and nobody dies
        self.instance = ""
        self.begin()

    # ---- lives -----------------------------------------------------------------------------------------------------

    def begin(self) -> None:
        """A new process of the agent."""
        self.life += 1
        self.instance = f"{self.host_id[:8]}-{self.life}"
        self.polling = self.stopping = False
        self.running = None
        for run_id in self.machine.started:
            if run_id not in self.machine.results:
                self._remember(run_id, Report(status="failed", error_code="interrupted"))
        self._loop()
        if self.kind != "plain":
            self._beats()

    def die(self) -> None:
        """The process dies, and what it ran with it; it is back after a while."""
        self.life += 1
        self.running = None
        self.polling = False
        self.world.stats["agent died"] += 1
        self.world.loop.call_later(self.world.chance.uniform(0.1, 8), self.begin)

    def _mine(self, callback: Callable[..., None]) -> Callable[..., None]:
        """The callback, unless this process has died meanwhile."""
        life = self.life
        return lambda *args: callback(*args) if self.life == life else None

    def _after(self, seconds: float, callback: Callable[[], None]) -> None:
        self.world.loop.call_later(seconds, self._mine(callback))

    # ---- reports and polls -----------------------------------------------------------------------------------------

    def _loop(self) -> None:
        if self.machine.owed:
            self._report(self.machine.owed[0])
        elif not self.polling and (self.running is None or self.kind == "split"):
            self._poll()

    def _report(self, run_id: str) -> None:
        report = self.machine.results[run_id]
        body = msgspec.json.encode(report).decode()
        message = ReportResult(job_run_id=run_id, report=report, digest=body, body=body)

        def answered(answer: Any) -> None:
            settled = not isinstance(answer, InterlockError) or isinstance(answer, Conflict | NotFound)
            if settled and run_id in self.machine.owed:
                self.machine.owed.remove(run_id)
            self._after(0.05 if settled else 1.0, self._loop)

        retry = lambda: self._after(1.0, self._loop)  # noqa: E731
        self.world.send(
            lambda life: life.directory.ask(self.host_id, message),
            self._mine(answered),
            self._mine(retry),
            PATIENCE,
            self.host_id,
        )

    def _poll(self) -> None:
        self.polling = True
        declares = self.kind == "declared"
        running = None if not declares else () if self.running is None else (self.running,)

        def ask(life: Life) -> Any:
            poll = Poll(
                self.host_id,
                waits=True,
                instance_id=None if self.kind == "plain" else self.instance,
                running=running,
            )
            life.directory.poll(poll, int(POLL_SECONDS * 1000))
            return poll.answer

        self.world.send(
            ask, self._mine(self._polled), self._mine(self._poll_failed), POLL_SECONDS + PATIENCE, self.host_id
        )

    def _poll_failed(self) -> None:
        self.polling = False
        self._after(0.5, self._loop)

    def _polled(self, answer: Any) -> None:
        self.polling = False
        if isinstance(answer, PollAnswer) and answer.taken is not None:
            self._start(msgspec.json.decode(answer.taken, type=TakenJob))
        elif isinstance(answer, PollAnswer) and answer.cancel is not None and answer.cancel == self.running:
            self.stopping = True
        self._after(0.2, self._loop)

    # ---- running ---------------------------------------------------------------------------------------------------

    def _start(self, job: TakenJob) -> None:
        machine = self.machine
        if job.job_run_id in machine.results:
            if self.kind != "plain" and job.job_run_id not in machine.owed:
                machine.owed.append(job.job_run_id)  # it was done already: say so again
            return
        if self.running is not None:
            raise Violation(f"host {self.host_id} got {job.job_run_id} while it runs {self.running} ({self.kind})")
        if self.kind == "declared" and job.run_no < machine.last_run_no:
            return
        machine.last_run_no = max(machine.last_run_no, job.run_no)
        machine.started[job.job_run_id] = machine.started.get(job.job_run_id, 0) + 1
        if machine.started[job.job_run_id] > 1:
            raise Violation(f"run {job.job_run_id} was started twice")
        self.world.stats["started"] += 1
        self.running, self.stopping = job.job_run_id, False
        takes = 0.5 if self.healthy else self.world.chance.choice((0.05, 0.5, 3, 20, 45))
        self._after(takes, lambda: self._finish(job.job_run_id))
        self._watch(job.job_run_id)

    def _watch(self, run_id: str) -> None:
        """A run that was asked to stop stops, or does not listen."""
        if self.running != run_id:
            return
        if self.stopping and self.world.chance.random() < 0.5:
            self._end(run_id, Report(status="cancelled"))
        else:
            self._after(1.0, lambda: self._watch(run_id))

    def _finish(self, run_id: str) -> None:
        if self.running == run_id:
            draw = 0.9 if self.healthy else self.world.chance.random()
            status: ReportStatus = "failed" if draw < 0.3 else "rejected" if draw < 0.33 else "success"
            self._end(run_id, Report(status=status, retryable=draw > 0.05))

    def _end(self, run_id: str, report: Report) -> None:
        self.running = None
        self._remember(run_id, report)
        self._after(self.world.chance.uniform(0, 10), self._trail)
        if self.kind == "split":
            self._beat()
        self._loop()

    def _trail(self) -> None:
        """Log lines may come after the end of their run, and even while its next attempt runs."""
        run_id = self.world.chance.choice(list(self.machine.started))
        message = AppendLogs(job_run_id=run_id, lines=(Line(self.world.chance.randrange(9), "info", "late", None),))
        self.world.send(
            lambda life: life.directory.ask(self.host_id, message), lambda _: None, lambda: None, PATIENCE, self.host_id
        )

    def _remember(self, run_id: str, report: Report) -> None:
        self.machine.results[run_id] = report
        self.machine.owed.append(run_id)

    # ---- heartbeats ------------------------------------------------------------------------------------------------

    def _beats(self) -> None:
        if self.running is not None or self.kind == "split":
            self._beat()
            if self.world.chance.random() < 0.3:
                self._progress()
        self._after(BEAT_SECONDS, self._beats)

    def _beat(self) -> None:
        message = Beat(instance_id=self.instance, running=() if self.running is None else (self.running,))
        self.world.send(
            lambda life: life.directory.ask(self.host_id, message),
            self._mine(self._told),
            lambda: None,
            PATIENCE,
            self.host_id,
        )

    def _told(self, verdicts: Any) -> None:
        for verdict in verdicts if isinstance(verdicts, list) else []:
            if verdict.job_run_id == self.running and verdict.verdict != "continue":
                self.stopping = True

    def _progress(self) -> None:
        if self.running is None:
            return
        message = NoteProgress(job_run_id=self.running, progress=self.world.chance.randrange(100), message="on my way")
        self.world.send(
            lambda life: life.directory.ask(self.host_id, message), lambda _: None, lambda: None, PATIENCE, self.host_id
        )
