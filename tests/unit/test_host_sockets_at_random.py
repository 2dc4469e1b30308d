"""Agents that connect, crash, poll, report and fall silent at random, against one host's state.

Such an agent acks only when its machine is free, begins when its ack is answered, and keeps what it could not report.
The rig checks after each step that memory is what the rows say, and that whatever is under way has somebody who will
move it. Here is checked that a machine is never asked to begin a second run, and that every job comes to an end.
"""

import random
from collections.abc import Callable

import pytest

from interlock.errors import InterlockError
from interlock.states import LIVE, TERMINAL
from tests.support.agent_sockets import Socket, SocketRig
from tests.support.hosts import answer_of

LONG = 12_000  # steps in which everything must have ended


class Machine:
    """One agent. `says` is whether it declares its process and what it runs."""

    def __init__(self, host: SocketRig, draw: random.Random, *, says: bool) -> None:
        self.host, self.draw, self.says = host, draw, says
        self.process = 1
        self.running: str | None = None
        self.unreported: list[tuple[str, str]] = []
        self.socket: Socket | None = None
        self._read = 0
        self._connections = 0

    @property
    def idle(self) -> bool:
        return self.running is None and not self.unreported

    @property
    def instance(self) -> str | None:
        return f"process-{self.process}" if self.says else None

    @property
    def named(self) -> tuple[str, ...] | None:
        """What it says that it runs: until a result is taken, that too."""
        running = () if self.running is None else (self.running,)
        return (*running, *(run_id for run_id, _ in self.unreported)) if self.says else None

    def step(self) -> None:
        """The next thing that it does."""
        if self.socket is None:
            if self.draw.random() < 0.6:
                self._connect()
        elif self._read < len(self.socket.frames):
            event, data = self.socket.frames[self._read]
            self._read += 1
            self._hear(self.socket, event, data)
        else:
            self._speak(self.socket)

    def _connect(self) -> None:
        self._connections += 1
        self.socket, self._read = self.host.connect(self._connections, instance=self.instance, running=self.named), 0

    def drop(self) -> None:
        """Its connection breaks."""
        if self.socket is not None:
            self.host.drop(self.socket)
            self.socket = None

    def crash(self) -> None:
        """Its process dies with all that it ran; the server may not notice before the next one connects."""
        self.running, self.unreported = None, []
        self.process += 1
        if self.draw.random() < 0.7:
            self.drop()
        self.socket = None

    def poll(self) -> None:
        """It may poll beside its socket, or while it has none."""
        if self.unreported or not (self.says or self.idle):
            return
        answer = answer_of(self.host.poll(instance=self.instance, running=self.named))
        if answer.job_run_id is not None:
            self._begin(answer.job_run_id)
        elif answer.cancel is not None and answer.cancel == self.running:
            self._end("cancelled")

    def _hear(self, socket: Socket, event: str, data: object) -> None:
        job_id, run_id = getattr(data, "job_id", ""), getattr(data, "job_run_id", "")
        if event == "error":
            self.socket = None
        elif event == "job:cancel" and run_id == self.running and self.draw.random() < 0.8:
            self._end("cancelled")
        elif event == "job:new" and self.idle:
            if self.draw.random() < 0.85:
                self._accept(socket, job_id, run_id)
            elif self.draw.random() < 0.2:
                self.host.reject(socket, job_id, run_id)

    def _accept(self, socket: Socket, job_id: str, run_id: str) -> None:
        taken = self.host.ack(socket, job_id, run_id)
        if isinstance(taken, InterlockError):
            return
        if self.draw.random() < 0.1:
            self.drop()  # and the answer with it
        else:
            self._begin(taken.job_run_id)

    def _begin(self, run_id: str) -> None:
        assert self.running is None, f"{run_id} beside {self.running}"
        assert self.host.status_of(run_id) in LIVE
        self.running = run_id

    def _end(self, status: str) -> None:
        assert self.running is not None
        self.unreported.append((self.running, status))
        self.running = None
        if self.draw.random() < 0.7:
            self._report()

    def _report(self) -> None:
        self.host.report(*self.unreported.pop(0))

    def _speak(self, socket: Socket) -> None:
        chance = self.draw.random()
        if self.running is not None and chance < 0.3:
            self._end(self.draw.choice(["success", "success", "failed"]))
        elif self.unreported and chance < 0.7:
            self._report()
        elif self.running is not None and chance < 0.5:
            self.host.progress(self.running)
        elif chance < 0.6:
            self._beat(socket)
        elif chance < 0.65:
            self.drop()

    def _beat(self, socket: Socket) -> None:
        verdicts = self.host.beat_on(socket, *(self.named or ()), silent=not self.says)
        if isinstance(verdicts, InterlockError):
            return
        for each in verdicts:
            if each.verdict != "continue" and each.job_run_id == self.running:
                self._end("cancelled")


class Life:
    """A host, its agent, its users and its server, for a while."""

    def __init__(self, seed: int) -> None:
        self.draw = random.Random(seed)  # noqa: S311 - a seed is to be repeated
        self.host = SocketRig()
        self.machine = Machine(self.host, self.draw, says=self.draw.random() < 0.7)
        self.jobs: list[str] = []
        self._does: list[tuple[float, Callable[[], object]]] = [
            (0.12, self._create),
            (0.04, self._cancel),
            (0.02, self.machine.crash),
            (0.02, self._rebuild),
            (0.005, self._restart),
            (0.1, lambda: self.host.wait(self.draw.choice([1, 5, 20, 31, 70]))),
            (0.06, self.machine.poll),
            (0.635, self.machine.step),
        ]

    def go_on(self) -> None:
        """Something happens."""
        chances, deeds = zip(*self._does, strict=True)
        self.draw.choices(deeds, chances)[0]()

    def settle(self) -> None:
        """Nothing new is asked: everything comes to its end."""
        for _ in range(LONG):
            self.machine.step()
            if self.draw.random() < 0.3:
                self.host.wait(self.draw.choice([1, 3, 11]))
            if self.machine.idle and all(run.status in TERMINAL for run in self.host.rows.runs.values()):
                return
            if self.host.state.host.awaiting_idle and self.machine.idle and not self.machine.says:
                self.machine.drop()  # an agent that never declares is idle when it connects
        raise AssertionError(f"not over: {self.host.state.current}, {self.host.waiting()}, {self.machine.named}")

    def _create(self) -> None:
        attempts, priority = self.draw.choice([1, 2, 3]), self.draw.choice([0, 0, 0, 5])
        self.jobs.append(self.host.create(max_attempts=attempts, priority=priority).job.id)

    def _cancel(self) -> None:
        if self.jobs:
            self.host.cancel(self.draw.choice(self.jobs), force=self.draw.random() < 0.3)

    def _rebuild(self) -> None:
        self.host.rebuild()
        if self.machine.socket is not None:
            self.host.tell_of(self.machine.socket)

    def _restart(self) -> None:
        if self.machine.socket is not None:
            self.machine.socket.session.open = False
            self.machine.socket = None
        self.host.rebuild(cold=True)


@pytest.mark.parametrize("seeds", [range(start, start + 10) for start in range(0, 60, 10)], ids=str)
def test_no_machine_begins_two_runs_and_every_job_comes_to_an_end(seeds: range) -> None:
    for seed in seeds:
        life = Life(seed)
        for _ in range(life.draw.randint(20, 120)):
            life.go_on()
        life.settle()
