"""Machines and their agents: five kinds, all of which may die, vanish, freeze, be cloned, and lose messages.

* `declared` is the reference agent: it polls when it runs nothing and says so, and heartbeats while it runs something;
* `next` is the same, and takes its next run with the report of the last;
* `named` polls while it runs, too, and says what it runs;
* `split` polls all the time and names what it runs only in its heartbeats; it begins with one of them, since until an
  agent has declared anything its polls are taken to say that it is idle;
* `plain` (S1) declares nothing and never heartbeats.
"""

from collections.abc import Callable
from typing import Any

import msgspec

from actors import LoopFuture
from actors.host_polls import UNDER_WAY
from actors.messages import AddEvidence, AppendLogs, Beat, HandOutAgain, Line, Message, NoteProgress, Poll, PollAnswer
from interlock.errors import Conflict, InterlockError, NotFound, Superseded
from interlock.wire import Report, ReportAnswer, ReportStatus, TakenJob
from tests.simulation.loop import Process, Violation
from tests.simulation.network import Exchange, Link, Network, Sender
from tests.simulation.nodes import Life, Plane
from tests.simulation.truth import Truth, is_kept_as_late
from web.agent_messages import result_message
from web.evidence_items import items_from
from web.services import WebLimits

DECLARING = frozenset({"declared", "next", "named", "link"})  # their polls say what runs
KINDS = ("declared", "declared", "next", "named", "plain", "split", "split")
POLL_SECONDS = 10.0
BEAT_SECONDS = 5.0
PATIENCE = 3.0  # seconds that an agent waits for an answer, beyond a poll's own wait
WEB_LIMITS = WebLimits()
_ITEM = '{{"type": "page", "title": "{0}", "source": "sim", "snippet": "{0}", "confidence": "low"}}'


class Machine:
    """What survives its agent: the journal on its disk."""

    def __init__(self) -> None:
        self.started: dict[str, None] = {}  # runs that were begun here, ever
        self.results: dict[str, Report] = {}  # what they came to
        self.owed: list[str] = []  # results that no server has acknowledged
        self.refused: dict[str, None] = {}  # jobs that it would not begin
        self.last_run_no = 0

    def forget(self) -> None:
        """As a machine without a journal does."""
        self.owed.clear()
        for run_id in self.started:
            self.results.setdefault(run_id, Report(status="failed", error_code="interrupted"))


class Agent:
    """Sequential: reports what is owed, then polls, then runs."""

    def __init__(self, plane: Plane, network: Network, host_id: str, kind: str, name: str, truth: Truth) -> None:
        self.host_id = host_id
        self.kind = kind
        self.machine = Machine()
        self.link = Link()
        self.process = Process(plane.loop)
        self.process.kill()
        self.healthy = False  # runs end well, and nobody dies
        self._truth = truth
        self._plane = plane
        self._network = network
        self._chance = plane.dice(name)
        self._name = name
        self._lives = 0
        self._running: str | None = None
        self._stopping = False
        self._polling = False
        self._reporting = False
        self._declared = True
        self._asked_for: str | None = None  # what the rows said it runs when it last said that it runs nothing
        self._sent_away = 0  # how often it has been told since that there is nothing
        self._instance = ""
        self._sender = Sender(self.link, self.process)

    # ---- lives -----------------------------------------------------------------------------------------------------

    def begin(self) -> None:
        """A new process of the agent, unless one runs."""
        if self.process.alive:
            return
        self._lives += 1
        self._instance = f"{self._name}-{self._lives}"
        self.process = Process(self._plane.loop)
        self._sender = Sender(self.link, self.process)
        self._polling = self._reporting = self._stopping = False
        self._running = None
        for run_id in self.machine.started:
            if run_id not in self.machine.results:
                self._remember(run_id, Report(status="failed", error_code="interrupted"))
        self._declared = self.kind != "split"
        self._loop()
        if self.kind != "plain":
            self._beats()

    def die(self, back_in: float | None = None) -> None:
        """The process dies, and what it ran with it; it is back after so many seconds, by default a few."""
        if self.process.alive:
            self._plane.weather.stats["agent died" if back_in is None else "agent vanished"] += 1
            self.process.kill()
            self._running = None
            self._plane.loop.call_later(back_in or self._chance.uniform(0.1, 8), self.begin)

    def vanish(self) -> None:
        """It is away for a long time."""
        self.die(self._chance.choice((20, 60, 180)))

    def pause(self) -> None:
        """The machine is suspended, or its agent stopped. One that is `split` not for long: an answer that it has not
        read for longer than `UNDER_WAY` is not to be told from one that never came (decision 4).
        """
        self._plane.weather.stats["agent paused"] += 1
        self.process.pause(self._chance.choice((1, 8) if self.kind == "split" else (1, 8, 25, 70)))

    def heal(self) -> None:
        """It is there, and its runs end well."""
        self.healthy = True
        self.link.mute = self.link.deaf = 0
        self.process.resume()
        self.begin()

    def _after(self, seconds: float, callback: Callable[..., None], *args: Any) -> None:
        self.process.call_later(seconds, callback, *args)

    def _ask(
        self,
        message: Message,
        answered: Callable[[Any], None] = lambda _: None,
        failed: Callable[[], None] = lambda: None,
        judge: Callable[[LoopFuture], None] = lambda _: None,
    ) -> None:
        async def ask(life: Life, _: Exchange) -> Any:
            reply = life.directory.ask(self.host_id, message)
            reply.then(judge)
            return await reply

        self._network.send(self._sender, ask, answered, failed, PATIENCE, at_owner_of=self.host_id)

    # ---- reports and polls -----------------------------------------------------------------------------------------

    def _loop(self) -> None:
        if self.machine.owed:
            if not self._reporting:
                self._report(self.machine.owed[0])
        elif self._declared and not self._polling and (self._running is None or self.kind in {"split", "named"}):
            self._poll()

    def _report(self, run_id: str) -> None:
        self._reporting = True
        takes_next = self.kind == "next" and self.machine.owed == [run_id] and self._running is None
        report = self.machine.results[run_id]
        message = result_message(run_id, report, None, WEB_LIMITS, take_next=takes_next)

        def answered(answer: Any) -> None:
            self._reporting = False
            settled = not isinstance(answer, InterlockError) or isinstance(answer, Conflict | NotFound)
            if settled and run_id in self.machine.owed:
                self.machine.owed.remove(run_id)
            if isinstance(answer, ReportAnswer) and answer.next is not None:
                self._start(answer.next)
            self._after(0.05 if settled else 1.0, self._loop)

        def judge(reply: LoopFuture) -> None:
            self._plane.invariants.report_answered(run_id, message.digest, reply.outcome, self._is_kept_as_late)

        def failed() -> None:
            self._reporting = False
            self._after(1.0, self._loop)

        self._ask(message, answered, failed, judge)

    def _is_kept_as_late(self, run_id: str, digest: str) -> bool:
        return is_kept_as_late(self._plane.database, run_id, digest)

    def _poll(self) -> None:
        self._polling = True
        self._asked_for = self._kept_back()
        declares = self.kind in DECLARING
        running = None if not declares else () if self._running is None else (self._running,)
        instance = None if self.kind == "plain" else self._instance

        async def ask(life: Life, exchange: Exchange) -> Any:
            poll = Poll(self.host_id, waits=True, instance_id=instance, running=running, is_open=exchange.is_open)
            exchange.unwritten = lambda answer: self._unwritten(life, answer)
            poll.answer.then(self._plane.invariants.poll_answered)
            life.directory.poll(poll, int(POLL_SECONDS * 1000))
            return await poll.answer

        self._network.send(self._sender, ask, self._polled, self._poll_failed, POLL_SECONDS + PATIENCE)

    def _unwritten(self, life: Life, answer: Any) -> None:
        """At the server: it could not write the answer, so it must hand the run out again."""
        if isinstance(answer, PollAnswer) and answer.job_run_id is not None:
            life.directory.tell(self.host_id, HandOutAgain(job_run_id=answer.job_run_id))

    def _poll_failed(self) -> None:
        self._polling = False
        self._after(0.5, self._loop)

    def _polled(self, answer: Any) -> None:
        self._polling = False
        if isinstance(answer, PollAnswer):
            self._heed(answer)
        self._after(0.2, self._loop)

    def _heed(self, answer: PollAnswer) -> None:
        if answer.taken is not None:
            self._start(msgspec.json.decode(answer.taken, type=TakenJob))
        elif answer.cancel is None:
            self._look_for_what_is_kept_back()
        elif answer.cancel == self._running:
            self._stopping = True
        elif self.kind in DECLARING:
            self._never_began(answer.cancel)

    def _never_began(self, run_id: str) -> None:
        """As the reference agent says of what it is to stop: it never came here, or is over."""
        if run_id not in self.machine.owed:
            self.machine.results.setdefault(run_id, Report(status="cancelled", error_code="cancelled"))
            self.machine.owed.append(run_id)

    def _look_for_what_is_kept_back(self) -> None:
        """It is told that there is nothing, although the rows said already when it asked that it runs something. Where
        there are several nodes that may happen once, by a poll that has been overtaken.
        """
        kept = self._kept_back()
        if kept is None or kept != self._asked_for:
            self._sent_away = 0
            return
        self._sent_away += 1
        if self._sent_away == self._plane.weather.mix.nodes:
            raise Violation(f"run {kept} of host {self.host_id} is not handed out again to {self._instance}")

    def _kept_back(self) -> str | None:
        """What the rows say that this process runs, if it says that it runs nothing."""
        if self._running is not None or self.kind not in {"declared", "next"}:
            return None
        return self._plane.invariants.kept_back(self.host_id, self._instance)

    # ---- running ---------------------------------------------------------------------------------------------------

    def _start(self, job: TakenJob) -> None:
        machine, run_id = self.machine, job.job_run_id
        if run_id in machine.results:
            if self.kind != "plain" and run_id not in machine.owed:
                machine.owed.append(run_id)  # it was done already: say so again
            return
        if self._running is not None:
            raise Violation(f"host {self.host_id} got {run_id} while it runs {self._running} ({self.kind})")
        if self.kind in {"declared", "next", "link"} and job.run_no < machine.last_run_no:
            return
        machine.last_run_no = max(machine.last_run_no, job.run_no)
        if run_id in machine.started:
            raise Violation(f"run {run_id} was started twice")
        machine.started[run_id] = None
        self._plane.weather.stats["started"] += 1
        self._running, self._stopping = run_id, False
        takes = 0.5 if self.healthy else self._chance.choice((0.05, 0.5, 3, 20, 45))
        self._after(takes, self._finish, run_id)
        if self.healthy or self._chance.random() < 0.6:
            self._watch(run_id)

    def _watch(self, run_id: str) -> None:
        """A run that listens stops when it is asked to, sooner or later; others go on to their end."""
        if self._running != run_id:
            return
        if self._stopping and self._chance.random() < 0.5:
            self._end(run_id, Report(status="cancelled"))
        else:
            self._after(1.0, self._watch, run_id)

    def _finish(self, run_id: str) -> None:
        if self._running == run_id:
            draw = 0.9 if self.healthy else self._chance.random()
            status: ReportStatus = "failed" if draw < 0.3 else "rejected" if draw < 0.33 else "success"
            self._end(run_id, Report(status=status, retryable=draw > 0.05))

    def _end(self, run_id: str, report: Report) -> None:
        self._running = None
        self._remember(run_id, report)
        if not self.healthy:
            self._after(self._chance.uniform(0, 10), self._trail)
        if self.kind == "split":
            self._beat()
        self._loop()

    def _trail(self) -> None:
        """Log lines may come after the end of their run, and even while its next attempt runs."""
        run_id = self._chance.choice(list(self.machine.started))
        self._ask(AppendLogs(job_run_id=run_id, lines=(Line(self._chance.randrange(9), "info", "late", None),)))

    def _remember(self, run_id: str, report: Report) -> None:
        self.machine.results[run_id] = report
        self.machine.owed.append(run_id)

    # ---- heartbeats ------------------------------------------------------------------------------------------------

    def _beats(self) -> None:
        if self._running is not None or self.kind == "split":
            self._beat()
            if self._running is not None and self._chance.random() < 0.3:
                self._progress(self._running)
        self._after(BEAT_SECONDS, self._beats)

    def _beat(self) -> None:
        running, now = () if self._running is None else (self._running,), self._plane.loop.now_ms
        beat = Beat(instance_id=self._instance, running=running)

        async def ask(life: Life, _: Exchange) -> Any:
            if self.kind == "split" and self._plane.loop.now_ms - now > UNDER_WAY:
                return None  # decision 0004 assumes that none is so old
            return await life.directory.ask(self.host_id, beat)

        self._network.send(self._sender, ask, self._told, lambda: None, PATIENCE, at_owner_of=self.host_id)

    def _told(self, verdicts: Any) -> None:
        if not self._declared and isinstance(verdicts, list | Superseded):
            self._declared = True  # or an earlier process of it has: then a poll must say who speaks now
            self._loop()
        if not isinstance(verdicts, list):
            return
        for verdict in verdicts:
            if verdict.job_run_id == self._running and verdict.verdict != "continue":
                self._stopping = True

    def _progress(self, run_id: str) -> None:
        progress, needs = self._chance.randrange(100), self._chance.choice((None, None, True, False))
        self._ask(NoteProgress(job_run_id=run_id, progress=progress, message="on my way", needs_user_action=needs))
        if self._chance.random() < 0.5:
            return
        found = AddEvidence(job_run_id=run_id, items=items_from(self._items(), WEB_LIMITS))
        self._ask(found, judge=lambda reply: self._truth.kept(found, reply.outcome))

    def _items(self) -> list[msgspec.Raw]:
        """Evidence that is often found again."""
        return [msgspec.Raw(_ITEM.format(self._chance.randrange(4)).encode()) for _ in range(2)]
