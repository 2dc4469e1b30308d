"""A host without its network: the agent's journal on its disk, what runs there, and the diary of both."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import msgspec

from chaos_rig.cast import Seat
from chaos_rig.history import Ended, History, Started, now
from interlock.wire import TakenJob

Report = dict[str, Any]


class Owed(msgspec.Struct):
    """A result that the server has not answered yet."""

    run: str
    report: Report


class Machine:
    """Outlives its agent's processes. A process that dies takes its run along; the journal stays, or is lost too."""

    def __init__(self, seat: Seat, history: History) -> None:
        self.seat = seat
        self.history = history
        self.running: str | None = None
        self.owed: list[Owed] = []
        self.results: dict[str, Report] = {}
        self.last_run_no = 0
        self.connected = asyncio.Event()
        self.connected.set()
        self._under_way: set[asyncio.Timeout] = set()

    def begin(self, agent: str, taken: TakenJob) -> None:
        """The run is at work from here on."""
        self.running = taken.job_run_id
        self.last_run_no = max(self.last_run_no, taken.run_no)
        self.history.note(Started(at=now(), host=self.seat.id, agent=agent, run=taken.job_run_id))

    def end(self, agent: str, how: str) -> str | None:
        """Nothing runs any more; what did."""
        run, self.running = self.running, None
        if run is not None:
            self.history.note(Ended(at=now(), host=self.seat.id, agent=agent, run=run, how=how))
        return run

    def owe(self, run: str, report: Report) -> None:
        """Write a result down, to be reported until it is answered; the first one of a run counts."""
        kept = self.results.setdefault(run, report)
        if all(owed.run != run for owed in self.owed):
            self.owed.append(Owed(run, kept))

    def forget(self) -> None:
        """The disk is new."""
        self.owed, self.results, self.last_run_no = [], {}, 0

    # ---- network ---------------------------------------------------------------------------------------------------

    @contextmanager
    def link(self, scope: asyncio.Timeout) -> Iterator[None]:
        """Something is under way in `scope`: it is cut with the network."""
        self._under_way.add(scope)
        try:
            yield
        finally:
            self._under_way.discard(scope)

    async def cut_off(self, seconds: float) -> None:
        """No network for so long; the run goes on."""
        self.connected.clear()
        for scope in list(self._under_way):
            if not scope.expired():  # it may be giving up by itself at this very moment
                scope.reschedule(asyncio.get_running_loop().time())
        try:
            await asyncio.sleep(seconds)
        finally:
            self.connected.set()
