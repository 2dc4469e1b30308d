"""Breaks things, by a seed: kills nodes, also while they start, stops them for a while, takes their engines away."""

import asyncio
import random
from collections import Counter

from chaos_rig.errors import RigFailed
from chaos_rig.history import Fault, History, now
from chaos_rig.nodes import Node
from chaos_rig.topology import Engine, Topology
from engines.processes import EngineFailed

GAP_SECONDS = (0.05, 0.6)  # between the end of one fault of a node and the next
KILLS = 0.75  # of the faults; the others stop the process
WRITERS = 0.15  # of the turns only the process that writes for the node is killed
KILLED_EARLY = 0.12  # of the starts
EARLY_SECONDS = (0.0, 0.6)
KILLED_STOPPED = 0.15  # of the pauses end in a kill
SHORT_PAUSE = (0.02, 0.8)
LONG_SHARE = 0.12  # of the time is spent in long pauses
LONG_PAUSE = 60.0  # seconds, and never more than a tenth of the whole run
OUTAGE_SECONDS = (0.5, 6.0)
FLUSHES = 0.4  # of what befalls an engine that may forget
CALM_SECONDS = (4.0, 15.0)  # between two outages of an engine


class Nemesis:
    """One task for each node and engine. `calm` ends them all with everything whole again."""

    def __init__(
        self, topology: Topology, history: History, seed: int, seconds: float, only_pauses: float | None = None
    ) -> None:
        self.counts: Counter[str] = Counter()
        self._topology = topology
        self._history = history
        self._seed = seed
        self._longest = min(LONG_PAUSE, seconds / 10)
        self._only_pauses = only_pauses
        self._calm = asyncio.Event()

    @property
    def faults(self) -> int:
        """How often a node was killed or stopped."""
        return self.counts["kill"] + self.counts["pause"]

    def calm(self) -> None:
        """Mend what is broken, and break nothing more."""
        self._calm.set()

    async def run(self) -> None:
        """Until calm; raises `RigFailed` when a node does not come back."""
        try:
            await self._run()
        except* (RigFailed, EngineFailed) as group:
            raise RigFailed("; ".join(map(str, group.exceptions))) from group

    async def _run(self) -> None:
        if self._only_pauses is not None:
            await self._stop_in_turn(self._only_pauses)
            return
        async with asyncio.TaskGroup() as group:
            for number, node in enumerate(self._topology.nodes):
                group.create_task(self._torment(node, random.Random(self._seed + number)))  # noqa: S311 - not secrets
            for number, engine in enumerate(self._topology.engines):
                group.create_task(self._deprive(engine, random.Random(self._seed - number - 1)))  # noqa: S311 - the same

    async def _stop_in_turn(self, longest: float) -> None:
        """One node at a time, so long that its agents go to another; and nothing else is broken."""
        chance = random.Random(self._seed)  # noqa: S311 - not secrets
        while not await self._calm_within(chance.uniform(*GAP_SECONDS)):
            await self._pause(chance.choice(self._topology.nodes), chance.uniform(longest / 2, longest), chance)

    async def _torment(self, node: Node, chance: random.Random) -> None:
        """A node's life: mostly kills, short pauses, and as many long ones as its share of the time allows."""
        loop = asyncio.get_running_loop()
        began, spent = loop.time(), 0.0
        while not await self._calm_within(chance.uniform(*GAP_SECONDS)):
            if chance.random() < WRITERS:
                node.kill_writer()
                continue
            if chance.random() < KILLS:
                await self._kill(node, chance)
                continue
            long = spent < LONG_SHARE * (loop.time() - began)
            seconds = chance.uniform(self._longest / 2, self._longest) if long else chance.uniform(*SHORT_PAUSE)
            spent += seconds if long else 0.0
            await self._pause(node, seconds, chance)

    async def _pause(self, node: Node, seconds: float, chance: random.Random) -> None:
        """Stop it for so long; some are killed then."""
        self.counts["pause"] += 1
        node.pause(seconds)
        try:
            await self._calm_within(seconds)
        finally:
            killed = self._only_pauses is None and chance.random() < KILLED_STOPPED
            if killed and not self._calm.is_set():
                await self._kill(node, chance)
            node.resume()

    async def _kill(self, node: Node, chance: random.Random) -> None:
        """Kill it and start it again; some starts end the same way."""
        while True:
            self.counts["kill"] += 1
            await node.kill()
            await node.spawn()
            if self._calm.is_set() or chance.random() >= KILLED_EARLY:
                break
            await asyncio.sleep(chance.uniform(*EARLY_SECONDS))
        await node.ready()

    async def _deprive(self, engine: Engine, chance: random.Random) -> None:
        """An engine's life."""
        while not await self._calm_within(chance.uniform(*CALM_SECONDS)):
            self.counts["outage"] += 1
            if engine.forgets and chance.random() < FLUSHES:
                self._history.note(Fault(at=now(), kind="flush", target=engine.name))
                await engine.empty()
            else:
                await self._take_away(engine, chance.uniform(*OUTAGE_SECONDS))
            for node in self._topology.nodes:
                node.hurt("outage")

    async def _take_away(self, engine: Engine, seconds: float) -> None:
        self._history.note(Fault(at=now(), kind="outage", target=engine.name, seconds=round(seconds, 3)))
        await engine.down()
        try:
            await self._calm_within(seconds)
        finally:
            await engine.up()

    async def _calm_within(self, seconds: float) -> bool:
        """Whether it has become calm within so long."""
        try:
            async with asyncio.timeout(seconds):
                await self._calm.wait()
        except TimeoutError:
            return False
        return True
