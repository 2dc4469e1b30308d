"""An agent that keeps to the contract, as a coroutine: it stands for a process, and dies like one."""

import asyncio
from typing import Any

import msgspec

from chaos_rig.calls import PATIENCE, Answer, Caller
from chaos_rig.cast import PLAIN
from chaos_rig.errors import Unanswered
from chaos_rig.history import ReportAnswered, ReportSent, Taken, now
from chaos_rig.machines import Machine, Owed, Report
from chaos_rig.work import Work
from interlock.wire import HeartbeatAnswer, ReportAnswer, TakenJob

POLL_SECONDS = 2  # that a poll may be parked
LATE_SECONDS = 70.0  # that somebody still listens to a poll which its agent has given up
BEAT_SECONDS = (0.4, 0.9)
CHAINS = 0.5  # of the reports that ask for the next job
TELLS_PROGRESS = 0.1  # of the runs
WATCHFUL = 0.3  # of the longer runs: their agent polls beside them
WATCHED_MS = 100
_OK, _NOTHING, _NOT_FOUND, _CONFLICT = 200, 204, 404, 409

_taken = msgspec.json.Decoder(TakenJob)
_beat = msgspec.json.Decoder(HeartbeatAnswer)
_answer = msgspec.json.Decoder(ReportAnswer)


class Agent:
    """One process. What it must not forget is on its machine."""

    def __init__(self, instance: str, machine: Machine, caller: Caller) -> None:
        self.instance = instance
        self._machine = machine
        self._caller = caller
        self._chance = caller.chance
        self._host = machine.seat.id
        self._path = f"/api/agent/hosts/{self._host}"
        self._plain = machine.seat.kind == PLAIN
        self._stop = asyncio.Event()
        self._why = ""  # cancel or abandon
        self._listeners: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        """Until the process is killed: report what is owed, ask for work, do it."""
        try:
            while True:
                await self._deliver()
                taken = await self._poll()
                while taken is not None:
                    taken = await self._do(taken)
        finally:
            for listener in self._listeners:
                listener.cancel()

    # ---- work ------------------------------------------------------------------------------------------------------

    async def _do(self, taken: TakenJob) -> TakenJob | None:
        """The run from its start to its acknowledged result; what came with that."""
        run, machine = taken.job_run_id, self._machine
        if run in machine.results:
            machine.owe(run, machine.results[run])
        elif taken.run_no <= machine.last_run_no:
            await self._caller.rest()  # refused: something newer has been done here
        else:
            await self._carry_out(taken)
        return await self._deliver()

    async def _carry_out(self, taken: TakenJob) -> None:
        run, work = taken.job_run_id, msgspec.convert(taken.payload, Work)
        self._stop.clear()
        self._machine.begin(self.instance, taken)
        companions = [] if self._plain else [asyncio.create_task(self._beats(run))]
        if not self._plain and work.ms > WATCHED_MS and self._chance.random() < WATCHFUL:
            companions.append(asyncio.create_task(self._poll_beside(run)))
        if self._chance.random() < TELLS_PROGRESS:
            companions.append(asyncio.create_task(self._progress(run)))
        try:
            report = await self._labour(work, taken)
        finally:
            for companion in companions:
                companion.cancel()
        self._machine.end(self.instance, "abandoned" if report is None else report["status"])
        if report is not None:
            self._machine.owe(run, report)

    async def _labour(self, work: Work, taken: TakenJob) -> Report | None:
        """Its result; None when the server does not want one any more."""
        try:
            async with asyncio.timeout(work.ms / 1000):
                await self._stop.wait()
                if work.stubborn and self._why != "abandon":
                    await asyncio.sleep(work.ms)
        except TimeoutError:
            status = "failed" if taken.attempt <= work.fails else work.end
            report: Report = {"status": status, "durationMs": work.ms, "output": {"proof": taken.job_run_id}}
            return (
                report if status == "success" else report | {"errorCode": "made_up", "errorMessage": "as it was told"}
            )
        return None if self._why == "abandon" else {"status": "cancelled", "errorCode": "cancelled"}

    async def _beats(self, run: str) -> None:
        """Say that it is at work, and heed the verdict."""
        body = {"instanceId": self.instance, "running": [run]}
        while True:
            await asyncio.sleep(self._chance.uniform(*BEAT_SECONDS))
            try:
                answer = await self._ask("POST", f"{self._path}/heartbeat", body)
            except Unanswered:
                continue
            if answer.status == _OK:
                for verdict in _beat.decode(answer.body).runs:
                    if verdict.verdict != "continue":
                        self._halt(verdict.verdict)
            elif answer.status == _CONFLICT:
                self._halt("abandon")
            else:
                self._caller.unexpected("heartbeat", answer)

    async def _progress(self, run: str) -> None:
        body = {"progress": self._chance.randrange(100), "message": "on my way"}
        try:
            answer = await self._ask("POST", f"{self._path}/jobs/{run}/progress", body)
        except Unanswered:
            return
        if answer.status == _OK and answer.json["cancelRequested"]:
            self._halt("cancel")

    async def _poll_beside(self, run: str) -> None:
        """Polls that name the run: they bring its cancel, and nothing else as long as it is at work."""
        path = f"{self._path}/jobs?wait={POLL_SECONDS}&instanceId={self.instance}&running={run}"
        while True:
            asked_at = now()
            try:
                answer = await self._ask("GET", path, None, wait=POLL_SECONDS)
            except Unanswered:
                await self._caller.rest()
                continue
            if answer.status == _OK:
                self._handed_out(_taken.decode(answer.body), answer, asked_at)
            elif answer.headers.get("Interlock-Cancel") == run:
                self._halt("cancel")
            await self._caller.rest()

    def _halt(self, why: str) -> None:
        self._why = why
        self._stop.set()

    # ---- asking for work -------------------------------------------------------------------------------------------

    async def _poll(self) -> TakenJob | None:
        """The next run, if one came."""
        asked_at = now()
        declared = "" if self._plain else f"&instanceId={self.instance}&running="
        path = f"{self._path}/jobs?wait={POLL_SECONDS}{declared}"
        try:
            answer = await self._ask_patiently(path, asked_at)
        except Unanswered:
            await self._caller.rest()
            return None
        if answer.status == _OK:
            return self._handed_out(_taken.decode(answer.body), answer, asked_at)
        cancel = answer.headers.get("Interlock-Cancel")
        if answer.status == _NOTHING and cancel is not None:
            self._machine.owe(cancel, {"status": "cancelled", "errorCode": "never_arrived"})
        elif answer.status == _CONFLICT:  # a poll of ours that was under way for long has come after this one
            await self._caller.rest()
        elif answer.status != _NOTHING:
            self._caller.unexpected("poll", answer)
        return None

    async def _ask_patiently(self, path: str, asked_at: int) -> Answer:
        """Given up after a while. Its line stays open: who still listens there must hear nothing that clashes."""
        await self._machine.connected.wait()
        asking = asyncio.create_task(self._caller.ask("GET", path, wait=LATE_SECONDS))
        try:
            async with asyncio.timeout(POLL_SECONDS + PATIENCE) as scope:
                with self._machine.link(scope):
                    return await asyncio.shield(asking)
        except TimeoutError as error:
            if self._machine.connected.is_set() and not self._plain:
                listener = asyncio.create_task(self._listen(asking, asked_at))
                self._listeners.add(listener)
                listener.add_done_callback(self._listeners.discard)
            else:
                asking.cancel()
            self._caller.choose(other=True)
            raise Unanswered("given up") from error
        except asyncio.CancelledError:
            asking.cancel()
            raise

    async def _listen(self, asking: "asyncio.Task[Answer]", asked_at: int) -> None:
        try:
            answer = await asking
        except Unanswered:
            return
        finally:
            asking.cancel()
        if answer.status == _OK:
            self._handed_out(_taken.decode(answer.body), answer, asked_at, late=True)

    def _handed_out(self, taken: TakenJob, answer: Answer, asked_at: int, *, late: bool = False) -> TakenJob:
        answer.node.committed()
        self._machine.history.note(
            Taken(
                at=now(),
                host=self._host,
                agent=self.instance,
                job=taken.job_id,
                run=taken.job_run_id,
                run_no=taken.run_no,
                asked_at=asked_at,
                node=answer.node.name,
                late=late,
            )
        )
        return taken

    # ---- reporting -------------------------------------------------------------------------------------------------

    async def _deliver(self) -> TakenJob | None:
        """Hand over all that is owed; the run that came with the last of it."""
        following: TakenJob | None = None
        while self._machine.owed:
            owed = self._machine.owed[0]
            following = await self._report(owed, take_next=len(self._machine.owed) == 1)
            self._machine.owed.remove(owed)
        return following

    async def _report(self, owed: Owed, *, take_next: bool) -> TakenJob | None:
        status = owed.report["status"]
        self._machine.history.note(ReportSent(at=now(), host=self._host, run=owed.run, status=status))
        chained = take_next and not self._plain and self._chance.random() < CHAINS
        path = f"{self._path}/jobs/{owed.run}/result{'?next=1' if chained else ''}"
        while True:
            asked_at = now()
            try:
                answer = await self._ask("POST", path, owed.report)
            except Unanswered:
                await self._caller.rest()
                continue
            return self._reported(owed, answer, asked_at)

    def _reported(self, owed: Owed, answer: Answer, asked_at: int) -> TakenJob | None:
        said: dict[str, Any] = {}
        following: TakenJob | None = None
        if answer.status == _OK:
            answer.node.committed()
            told = _answer.decode(answer.body)
            said = {"status": told.status, "job_status": told.job_status}
            said |= {"will_retry": told.will_retry, "replayed": told.replayed}
            following = told.next
        elif answer.status == _CONFLICT:
            said = {"ended": (answer.json.get("current") or {}).get("finishedAt") is not None}
        elif answer.status != _NOT_FOUND:
            self._caller.unexpected("report", answer)
        sent = owed.report["status"]
        self._machine.history.note(
            ReportAnswered(
                at=now(), host=self._host, run=owed.run, sent=sent, answer=answer.status, asked_at=asked_at, **said
            )
        )
        return None if following is None else self._handed_out(following, answer, asked_at)

    async def _ask(self, method: str, path: str, body: Any, *, wait: float = 0.0) -> Answer:
        """Through the machine's network, if it has one."""
        await self._machine.connected.wait()
        try:
            async with asyncio.timeout(PATIENCE * 2 + wait) as scope:
                with self._machine.link(scope):
                    return await self._caller.ask(method, path, body, wait=wait)
        except TimeoutError as error:
            raise Unanswered("cut off") from error
