"""Agents' processes as they come and go: killed, moved to a new disk, cut off from the network."""

import asyncio

from chaos_rig.agents import Agent
from chaos_rig.calls import Caller
from chaos_rig.history import Fault, now
from chaos_rig.machines import Machine

LIFE_SECONDS = 12.0  # of an agent's process, on average
AWAY_SECONDS = (0.02, 2.5)  # until the next process
CUTS = 0.4  # of the mishaps: not the process goes, but the network
CUT_SECONDS = (0.3, 9.0)
AMNESIA = 0.25  # of the processes that die: the journal is lost too


class Post:
    """One machine and whoever is its agent."""

    def __init__(self, machine: Machine, caller: Caller, name: str) -> None:
        self.machine = machine
        self._caller = caller
        self._chance = caller.chance
        self._name = name
        self._calm = asyncio.Event()

    def calm(self) -> None:
        """No more mishaps from here on."""
        self._calm.set()

    async def run(self) -> None:
        """Until cancelled."""
        number = 0
        while True:
            number += 1
            agent = Agent(f"{self._name}-{number}", self.machine, self._caller)
            working = asyncio.create_task(agent.run())
            try:
                await self._live(working)
            finally:
                working.cancel()
                await asyncio.gather(working, return_exceptions=True)
            self._bury(agent.instance)
            await asyncio.sleep(self._chance.uniform(*AWAY_SECONDS))

    async def _live(self, working: "asyncio.Task[None]") -> None:
        """Return when the process is to die."""
        while True:
            await self._until_mishap(working)
            if self._chance.random() >= CUTS:
                return
            seconds = self._chance.uniform(*CUT_SECONDS)
            self._note("cut", seconds)
            await self.machine.cut_off(seconds)

    async def _until_mishap(self, working: "asyncio.Task[None]") -> None:
        """Return when something is to happen; never once it is calm. Raises what the agent could not bear."""
        calm = asyncio.create_task(self._calm.wait())
        try:
            await asyncio.wait(
                {working, calm},
                timeout=self._chance.expovariate(1 / LIFE_SECONDS),
                return_when=asyncio.FIRST_COMPLETED,
            )
            if calm.done():
                await working
            if working.done():
                working.result()
        finally:
            calm.cancel()

    def _bury(self, instance: str) -> None:
        machine = self.machine
        amnesia = self._chance.random() < AMNESIA
        self._note("amnesia" if amnesia else "vanish", 0.0)
        run = machine.end(instance, "died")
        if amnesia:
            machine.forget()
        elif run is not None:
            machine.owe(run, {"status": "failed", "errorCode": "interrupted", "errorMessage": "the agent died"})

    def _note(self, kind: str, seconds: float) -> None:
        self.machine.history.note(Fault(at=now(), kind=kind, target=self.machine.seat.id, seconds=round(seconds, 3)))
