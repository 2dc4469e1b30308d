"""A world: nodes on one database, hosts with agents, users, everything that goes wrong, and then healing.

After every step the rows that it has committed are judged, and the memory of each actor that has come to rest. Once the
faults stop, all that was accepted must end within bounded time, and a fresh job must get through on every host.
"""

import hashlib
import itertools
import random
from collections import Counter
from collections.abc import Callable
from functools import partial

from interlock.states import JobStatus
from tests.simulation.agents import KINDS, Agent
from tests.simulation.database import fresh_database, ids_of_hosts
from tests.simulation.invariants import Invariants
from tests.simulation.loop import START_MS, Violation, VirtualLoop
from tests.simulation.mix import Mix, calm, drawn
from tests.simulation.network import Network
from tests.simulation.nodes import Node, Plane, Unrest
from tests.simulation.socket_agents import SOCKET_KINDS, SocketAgent
from tests.simulation.store import Weather
from tests.simulation.truth import Truth
from tests.simulation.users import Users

HEALING_SECONDS = 1500  # beyond the longest step of a clock
MOST_STEPS = 400_000
_OPEN = {JobStatus.PENDING, JobStatus.RUNNING}


class World:
    """One seed, with its own mix or a given one."""

    def __init__(
        self, seed: int, mix: Mix | None = None, tell: Callable[[str], None] | None = None, *, traced: bool = True
    ) -> None:
        self.seed = seed
        self.mix = mix or drawn(seed)
        self.stats: Counter[str] = Counter()
        self.loop = VirtualLoop(self._dice("order"))
        self._tell = tell
        self._traced = traced  # a tenth of the time of a world goes into putting its changes into words
        self._trace = hashlib.blake2b(digest_size=8)
        database = fresh_database(self.mix.hosts)
        self.invariants = Invariants(database, self.mix, lambda: self.loop.now_ms, self._reported)
        weather = Weather(self.mix, self._dice("weather"), self.stats)
        self._plane = Plane(
            self.loop, database, weather, self.invariants, itertools.count(1), self._dice, [0], {}, Unrest()
        )
        self._chance = self._dice("nemesis")
        self.loop.looked = self._look
        self.nodes = [Node(f"node-{number}", self._plane) for number in range(self.mix.nodes)]
        self._network = Network(self._plane, self.nodes)
        self._truth = Truth(database, self.invariants)
        host_ids = ids_of_hosts(self.mix.hosts)
        sockets = self._dice("kinds")
        self.agents = [
            self._agent(host_id, self._kind(sockets), f"agent-{number}") for number, host_id in enumerate(host_ids)
        ]
        self._clones: list[Agent] = []
        for node in self.nodes:
            node.start()
        for agent in self.agents:
            agent.begin()
        self.users = Users(self._plane, self._network, host_ids)
        self.loop.call_later(1, self._nemesis)

    def _dice(self, name: str) -> random.Random:
        """Dice of its own for everyone, so that less changes for the others when one fault is taken away."""
        return random.Random(f"{self.seed}/{name}")  # noqa: S311 - a simulation wants the same dice every time

    def _kind(self, sockets: random.Random) -> str:
        kind = self._chance.choice(KINDS)
        return sockets.choice(SOCKET_KINDS) if sockets.random() < self.mix.sockets else kind

    def _agent(self, host_id: str, kind: str, name: str) -> Agent:
        if kind in SOCKET_KINDS:
            return SocketAgent(self._plane, self._network, host_id, kind, name, self._truth)
        return Agent(self._plane, self._network, host_id, kind, name, self._truth)

    def _reported(self, host_id: str, run_id: str, status: str) -> bool:
        machines = [agent.machine for agent in [*self.agents, *self._clones] if agent.host_id == host_id]
        job_id = self.invariants.rows.runs[run_id].job_id
        refused = status == "rejected" and any(job_id in machine.refused for machine in machines)
        said = any(run_id in machine.results and machine.results[run_id].status == status for machine in machines)
        return refused or said

    # ---- what goes wrong -------------------------------------------------------------------------------------------

    def _nemesis(self) -> None:
        """Once a second."""
        mix = self._plane.weather.mix
        if self._happens(mix.outages_a_minute):
            for node in self.nodes if self._chance.random() < 0.5 else [self._chance.choice(self.nodes)]:
                node.lose_database()
        if self._happens(mix.bells_down_a_minute):
            self._silence()
        for node in self.nodes:
            for rate, harm in (
                (mix.node_dies_a_minute, node.kill),
                (mix.node_stops_a_minute, node.stop),
                (mix.node_pauses_a_minute, node.pause),
                (mix.clock_steps_a_minute, node.step_clock),
            ):
                if self._happens(rate):
                    harm()
        for agent in self.agents:
            for rate, harm in (
                (mix.cuts_a_minute, partial(self._network.cut, agent.link)),
                (mix.agent_dies_a_minute, agent.die),
                (mix.agent_vanishes_a_minute, agent.vanish),
                (mix.agent_pauses_a_minute, agent.pause),
                (mix.clones_a_minute, partial(self._clone, agent)),
            ):
                if self._happens(rate):
                    harm()
        self.loop.call_later(1, self._nemesis)

    def _silence(self) -> None:
        """What carries doorbells and alarms is away for a while, and comes back empty."""
        if not self._plane.weather.bells_are_down:
            self.stats["bells down"] += 1
            self._plane.weather.bells_are_down = True
            self.loop.call_later(self._chance.choice((2, 15, 60)), self._bells_are_back)

    def _bells_are_back(self) -> None:
        self._plane.weather.bells_are_down = False
        for node in self.nodes:
            node.bells_are_back()

    def _happens(self, a_minute: float) -> bool:
        return bool(a_minute) and self._chance.random() < a_minute / 60

    def _clone(self, agent: Agent) -> None:
        """Somebody has copied the machine, key and all; its twin is switched off after a while.

        Not of one that polls or connects while it runs and does not say what: while two such processes share a key
        nobody can know of either that it is at work.
        """
        if agent.kind in {"split", "s2"}:
            return
        self.stats["cloned"] += 1
        name = f"clone-{len(self._clones)}"
        twin = self._agent(agent.host_id, agent.kind, name)
        self._clones.append(twin)
        twin.begin()
        self.loop.call_later(self._chance.choice((2, 15, 60)), twin.die, 1e9)

    def _heal(self) -> None:
        self._plane.weather.mix = calm(self.mix)
        self._bells_are_back()
        for node in self.nodes:
            node.heal()
        for clone in self._clones:
            clone.die(1e9)
        for agent in self.agents:
            agent.heal()
        self.users.resolve_all()
        self.invariants.healed()

    # ---- running ---------------------------------------------------------------------------------------------------

    def run(self) -> Counter[str]:
        """Trouble, then healing; the figures of what happened. `Violation` when anything does not hold."""
        try:
            self._run()
        finally:
            self.loop.close()
            for life in self._plane.lives.values():
                life.process.kill()
        return self.stats

    def _run(self) -> None:
        self._until(self.loop.now_ms + self.mix.seconds * 1000, lambda: False)
        self._heal()
        self._all_must_end("what was accepted")
        self.users.probe()
        self._all_must_end("a job for each host, when all was well")
        lost = self.invariants.accepted.keys() - self.invariants.rows.jobs.keys()
        if lost:
            raise Violation(f"accepted jobs are gone: {sorted(lost)}")
        if len(self.invariants.rows.jobs) > self.users.keys:
            raise Violation(f"{len(self.invariants.rows.jobs)} jobs came of {self.users.keys} keys")
        self.stats["steps"] += self.loop.steps
        self.stats["jobs"] += len(self.invariants.rows.jobs)
        self.stats["virtual seconds"] += (self.loop.now_ms - START_MS) // 1000

    def _all_must_end(self, which: str) -> None:
        if not self._until(self.loop.now_ms + HEALING_SECONDS * 1000, self._all_ended):
            left = [job for job in self.invariants.rows.jobs.values() if job.status in _OPEN]
            raise Violation(f"{which}: not all has ended {HEALING_SECONDS} s after the faults had stopped: {left}")

    @property
    def trace(self) -> str:
        """A digest of all that was committed, in its order and at its time; of nothing in a world that is not traced."""
        return self._trace.hexdigest()

    def _all_ended(self) -> bool:
        return not self.users.unanswered and not any(job.status in _OPEN for job in self.invariants.rows.jobs.values())

    def _until(self, end_ms: int, done: Callable[[], bool]) -> bool:
        loop = self.loop
        while loop.now_ms < end_ms:
            if loop.steps > MOST_STEPS:
                raise Violation("no end in sight: the world is busy with itself")
            if not loop.step():
                break
            self._look()
            if loop.steps % 64 == 0 and done():
                return True
        return done()

    def _look(self) -> None:
        """After each step."""
        unrest = self._plane.unrest
        if not unrest.actors and not self.invariants.rows.stale:
            return
        changes = self.invariants.look()
        if changes is not None and self._traced:
            self._note(changes)
        if unrest.errors:
            raise Violation(f"an actor failed: {unrest.errors[0]!r}") from unrest.errors[0]
        for actor, life in list(unrest.actors.items()):
            if not life.process.alive or life.directory.hosts.get(actor.host_id) is not actor:
                del unrest.actors[actor]
            elif not actor.busy:
                del unrest.actors[actor]
                if self.invariants.remembers(actor):
                    self._truth.remembers(actor, life.directory)

    def _note(self, changes: object) -> None:
        text = f"{self.loop.now_ms - START_MS} {self.loop.steps} {changes}"
        self._trace.update(text.encode())
        if self._tell is not None:
            self._tell(text)
