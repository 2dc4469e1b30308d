"""Agents on sockets: two kinds, each with manners of its own.

* `link` is the reference agent: it says at its connect who it is and what it runs, names the run in every frame, polls
  and reports over HTTP while it has no socket, and comes back to one;
* `s2` is an unchanged client of S2: it declares nothing, ever, and knows jobs by their id alone.

Both begin when their ack is answered, and ack nothing while they run something. Manners: prompt; slow, with an ack after
half a minute; deaf, with none at all; some reject what they are offered, say everything twice, or ack all that they are
told of, and what they are not, at the same time.
"""

from collections.abc import Callable
from typing import Any

import msgspec

from interlock import frames
from interlock.wire import Heartbeat, LogLineIn, Report, TakenJob
from tests.simulation.agents import PATIENCE, Agent
from tests.simulation.database import FIRST_HOST
from tests.simulation.network import Network
from tests.simulation.nodes import Plane
from tests.simulation.sockets import Wire
from tests.simulation.truth import Truth

S2_STAYS = (60, 120)  # seconds that a connection of such a client lasts
SOCKET_KINDS = ("link", "link", "s2")
_SETTLED = {"invalid_state", "not_found", "superseded"}  # refusals of a report after which it is not repeated

Answered = Callable[[str, Any], None]


class SocketAgent(Agent):
    """Sequential, as all are: reports what is owed, then takes what it is offered, then runs."""

    def __init__(self, plane: Plane, network: Network, host_id: str, kind: str, name: str, truth: Truth) -> None:
        super().__init__(plane, network, host_id, kind, name, truth)
        self._wire: Wire | None = None
        self._is_up = False  # the config has come
        self._dials_at = 0
        self._was_refused = False  # the last try to connect came to nothing
        self._offers: dict[str, TakenJob] = {}  # by job
        self._hints: dict[str, None] = {}
        self._acking: str | None = None  # the job
        self._stop_at_once: set[str] = set()  # runs that are to stop before they begin
        self._job_of: dict[str, str] = {}  # by run; on the machine's disk
        self._asked: dict[int, Answered] = {}
        self._frames = 0
        manners = self._chance.random()
        self._manner = "slow" if manners < 0.15 else "deaf" if manners < 0.25 else "prompt"
        self._rejects = self._chance.choice((0.0, 0.0, 0.3))
        self._may_refuse_hints = host_id != FIRST_HOST  # somebody must be left who takes it
        self._repeats = self._chance.choice((0.0, 0.0, 0.3))
        self._greedy = self._chance.random() < 0.2
        self._heartbeats = kind == "link" or self._chance.random() < 0.5
        self._knows_no_cancel = kind == "s2" and self._chance.random() < 0.5
        self._keeps_results = kind == "link" or self._chance.random() < 0.5  # its process's death

    # ---- lives -----------------------------------------------------------------------------------------------------

    def begin(self) -> None:
        if not self.process.alive:
            self._forget_wire()
            self._dials_at = 0
            if not self._keeps_results:
                self.machine.forget()
        super().begin()

    def die(self, back_in: float | None = None) -> None:
        wire = self._wire
        super().die(back_in)
        if wire is not None and not self.process.alive:
            wire.process_died()

    def heal(self) -> None:
        """One that was deaf hears again once it has connected anew."""
        was_deaf, self._manner, self._rejects = self._manner == "deaf", "prompt", 0.0
        super().heal()
        if was_deaf and self._wire is not None:
            self._wire.hang_up()

    def _forget_wire(self) -> None:
        self._wire, self._is_up, self._acking = None, False, None
        self._asked.clear()
        self._offers.clear()
        self._hints.clear()
        self._stop_at_once.clear()
        self._reporting = False

    # ---- the connection --------------------------------------------------------------------------------------------

    def _loop(self) -> None:
        if self._wire is None:
            self._without()
        elif not self._is_up or self._reporting:
            return
        elif self.machine.owed:
            self._tell_result(self.machine.owed[0])
        else:
            self._look_at_offers()

    def _without(self) -> None:
        """No connection: dial when it is time to, and poll until then if the last try came to nothing."""
        now = self._plane.loop.now_ms
        if self._polling or self._reporting:
            return
        if now >= self._dials_at:
            self._dial()
        elif self.kind == "link" and self._was_refused:
            super()._loop()

    def _dial(self) -> None:
        links = self.kind == "link"
        self._wire = Wire(
            self._plane,
            self._network,
            self._sender,
            self.host_id,
            self._hear,
            self._ended,
            instance_id=self._instance if links else None,
            running=self._held() if links else None,
            truth=self._truth,
        )
        self._wire.dial()

    def _held(self) -> tuple[str, ...]:
        """What it runs, or has run and not yet reported."""
        return tuple(self.machine.owed[-1:]) if self._running is None else (self._running,)

    def _ended(self, wire: Wire) -> None:
        if wire is not self._wire:
            return
        self._was_refused = not self._is_up
        self._forget_wire()
        pause = self._chance.choice((0.05, 0.5, 3))
        self._dials_at = self._plane.loop.now_ms + round(pause * 1000)
        self._after(pause, self._loop)
        self._loop()

    def _say(self, event: str, data: msgspec.Struct, answered: Answered = lambda _event, _data: None) -> None:
        """A frame, perhaps twice. What is not answered in time ends the connection."""
        wire = self._wire
        if wire is None:
            return
        for _ in range(2 if self._chance.random() < self._repeats else 1):
            self._frames += 1
            number = self._frames
            self._asked[number] = answered
            wire.say(event, data, number)
            self._after(PATIENCE * 2, self._unanswered, wire, number)

    def _unanswered(self, wire: Wire, number: int) -> None:
        if number in self._asked and wire is self._wire:
            wire.hang_up()

    # ---- what the server says --------------------------------------------------------------------------------------

    def _hear(self, wire: Wire, event: str, data: Any, frame_id: int | None) -> None:
        if wire is not self._wire:
            return
        if frame_id is not None:
            answered = self._asked.pop(frame_id, None)
            if answered is not None:
                answered(event, data)
        elif event == "config":
            self._is_up, self._was_refused = True, False
            if self.kind == "s2":
                self._after(self._chance.uniform(*S2_STAYS), self._rests, wire)
            self._loop()
        elif event == "job:new":
            self._offer(data)
        elif event == "job:available":
            self._hints[data.job_id] = None
            self._loop()
        elif event == "job:cancel":
            self._cancel(data)

    def _rests(self, wire: Wire) -> None:
        """A browser ends the process of an extension that has nothing to do, and with it the connection."""
        if wire is self._wire and self._running is None:
            wire.hang_up()
        elif wire is self._wire:
            self._after(S2_STAYS[0], self._rests, wire)

    def _offer(self, job: TakenJob) -> None:
        if job.job_run_id == self._running:
            return
        if self._is_late(job):
            self._loop()
            return
        self._offers[job.job_id] = job
        self._loop()

    def _is_late(self, job: TakenJob) -> bool:
        """As the reference agent refuses a run whose number it has passed, or that it has done: it says so again."""
        if self.kind != "link" or job.job_run_id not in self.machine.results:
            return self.kind == "link" and job.run_no < self.machine.last_run_no
        if job.job_run_id not in self.machine.owed:
            self.machine.owed.append(job.job_run_id)
        return True

    def _cancel(self, stop: frames.CancelRun) -> None:
        running = self._running
        if self._knows_no_cancel:
            return
        if running is not None and (
            stop.job_run_id == running or (self.kind == "s2" and self._job_of[running] == stop.job_id)
        ):
            self._stopping = True
        elif self.kind == "s2":
            self._say("job:cancelled", frames.Cancelled(job_id=stop.job_id))
        elif self._acking is not None:
            self._stop_at_once.add(stop.job_run_id)
        elif any(job.job_run_id == stop.job_run_id for job in self._offers.values()):
            self._offers.pop(stop.job_id, None)
        else:
            self._never_began(stop.job_run_id)
            self._loop()

    # ---- acks ------------------------------------------------------------------------------------------------------

    def _look_at_offers(self) -> None:
        """Its own jobs before hints."""
        job_id = next(iter([*self._offers, *self._hints]), None)
        wire = self._wire
        if self._running is not None or self._acking is not None or job_id is None or self._manner == "deaf":
            return
        self._acking = job_id
        delay = self._chance.uniform(20, 45) if self._manner == "slow" else self._chance.uniform(0, 0.3)
        self._after(delay, self._take, wire, job_id)

    def _take(self, wire: Wire, job_id: str) -> None:
        if wire is not self._wire or self._acking != job_id:
            return
        if self._chance.random() < self._rejects and (self._may_refuse_hints or job_id in self._offers):
            self._reject(job_id)
            return
        for each in (job_id, *self._others(job_id)):
            offer = self._offers.get(each)
            run_id = offer.job_run_id if offer is not None and self.kind == "link" else None
            self._say("job:ack", frames.Ack(job_id=each, job_run_id=run_id), self._acked(each))

    def _others(self, job_id: str) -> list[str]:
        """What a greedy one asks for at the same time: all that it has been told of, and a job of which it has not."""
        if not self._greedy or self._offers:
            return []
        guessed = self._chance.choice(list(self._plane.invariants.rows.jobs))
        return [other for other in dict.fromkeys([*self._hints, guessed]) if other != job_id]

    def _acked(self, job_id: str) -> Answered:
        def answered(event: str, data: Any) -> None:
            if event == "job:ack_success":
                self._begin(data)
            elif data.code != "unavailable":
                self._offers.pop(job_id, None)
                self._hints.pop(job_id, None)
            if self._acking == job_id:
                self._acking = None
            self._after(0.5 if event == "error" else 0.01, self._loop)

        return answered

    def _begin(self, job: TakenJob) -> None:
        """The server has said that it may."""
        run_id = job.job_run_id
        if run_id == self._running:
            return  # its second ack is answered, too
        self._offers.clear()
        self._hints.clear()
        self._start(job)
        if self._running == run_id and run_id in self._stop_at_once:
            self._stopping = True
        self._stop_at_once.clear()

    def _start(self, job: TakenJob) -> None:
        self._job_of[job.job_run_id] = job.job_id
        super()._start(job)

    def _reject(self, job_id: str) -> None:
        offer = self._offers.pop(job_id, None)
        self._hints.pop(job_id, None)
        run_id = None if offer is None or self.kind == "s2" else offer.job_run_id
        self.machine.refused[job_id] = None
        if offer is not None:
            self.machine.results[offer.job_run_id] = Report(status="rejected")

        def answered(_event: str, _data: Any) -> None:
            self._acking = None
            self._loop()

        self._say("job:reject", frames.Reject(job_id=job_id, job_run_id=run_id, reason="not mine"), answered)

    # ---- reports ---------------------------------------------------------------------------------------------------

    def _tell_result(self, run_id: str) -> None:
        report, job_id = self.machine.results[run_id], self._job_of.get(run_id, "")
        framed = self._framed(run_id, job_id, report)
        if framed is None:
            self._report(run_id)  # over HTTP
            return
        self._reporting = True

        def answered(event: str, data: Any) -> None:
            self._reporting = False
            settled = event != "error" or data.code in _SETTLED
            if settled and run_id in self.machine.owed:
                self.machine.owed.remove(run_id)
            self._after(0.05 if settled else 1.0, self._loop)

        self._say(*framed, answered)

    def _framed(self, run_id: str, job_id: str, report: Report) -> tuple[str, msgspec.Struct] | None:
        """The frame that says the same; None for what the reference agent says over HTTP."""
        named = run_id if self.kind == "link" else None
        if self.kind == "link" and (not job_id or report.error_code is not None):
            return None
        if report.status == "success":
            return "job:done", frames.Done(job_id=job_id, job_run_id=named)
        if report.status == "rejected":
            if named is None:  # its next attempt may just have been pushed: that one is refused, then
                self.machine.refused[job_id] = None
            return "job:reject", frames.Reject(job_id=job_id, job_run_id=named)
        if report.status == "cancelled":
            return "job:cancelled", frames.Cancelled(job_id=job_id, job_run_id=named)
        return "job:error", frames.Failed(
            job_id=job_id, job_run_id=named, error_code=report.error_code, retryable=report.retryable
        )

    def _trail(self) -> None:
        if self.kind == "link":
            super()._trail()
        elif self._is_up and self.machine.started:
            job_id = self._job_of[self._chance.choice(list(self.machine.started))]
            line = LogLineIn(seq=self._chance.randrange(9), level="info", message="late")
            self._say("job:log", frames.Logs(job_id=job_id, lines=[line]))

    # ---- while it runs ---------------------------------------------------------------------------------------------

    def _beats(self) -> None:
        if self._heartbeats:
            self._beat()
        if self._running is not None and self._chance.random() < 0.3:
            self._progress(self._running)
        self._after(5.0, self._beats)

    def _beat(self) -> None:
        if self._is_up:
            running = list(self._held()) if self.kind == "link" else None
            instance = self._instance if self.kind == "link" else None
            self._say("heartbeat", Heartbeat(instance_id=instance, running=running), self._beat_answered)
        elif self.kind == "link" and self._running is not None:
            super()._beat()

    def _beat_answered(self, event: str, data: Any) -> None:
        if event != "error":
            self._told(data.runs)
        elif data.code == "superseded" and self._wire is not None:
            self._stopping = True  # as the reference agent does
            self._wire.hang_up()

    def _progress(self, run_id: str) -> None:
        if not self._is_up:
            if self.kind == "link":
                super()._progress(run_id)
            return
        named = run_id if self.kind == "link" else None
        job_id = self._job_of[run_id]
        needs = self._chance.choice((None, None, True, False))
        progress = self._chance.uniform(0, 100)
        frame = frames.Progress(
            job_id=job_id, job_run_id=named, progress=progress, message="on", needs_user_action=needs
        )
        self._say("job:progress", frame, self._noted(run_id))
        if self._chance.random() < 0.5:
            return
        evidence = frames.Evidence(job_id=job_id, job_run_id=named, evidence=self._items())
        self._say("job:evidence", evidence, self._noted(run_id))

    def _noted(self, run_id: str) -> Answered:
        def answered(event: str, data: Any) -> None:
            if event != "error" and data.cancel_requested and self._running == run_id:
                self._stopping = True

        return answered
