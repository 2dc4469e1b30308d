"""People who create jobs without pause, repeat what was not answered, cancel some, and try some again."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from chaos_rig.calls import Answer, Caller
from chaos_rig.cast import PLAIN, Seat
from chaos_rig.errors import Unanswered
from chaos_rig.history import (
    Accepted,
    Asked,
    CancelAnswered,
    CancelAsked,
    RetryAnswered,
    RetryAsked,
    now,
)
from chaos_rig.work import TYPES, WEIGHTS, draw

GIVES_UP = 0.03  # of the creates: the first answer that does not come is the last one waited for
BURSTS = 0.1  # of the moments in which somebody creates: several at once
BATCHES = 0.05
KEEN = 0.1  # have a priority above 0
LATER = 0.04  # have a runAt
CANCELLED = 0.05
FORCED = 0.15  # of the cancels
TRIED_AFRESH = 0.3  # of the cancels that were answered 200
_OK, _CREATED, _ASKING, _CONFLICT = 200, 201, 202, 409


class User:
    """Creates jobs for one host, without waiting for what becomes of them."""

    def __init__(self, seat: Seat, caller: Caller, jobs_path: str, pause_seconds: float) -> None:
        self.stopping = asyncio.Event()
        self._seat = seat
        self._caller = caller
        self._chance = caller.chance
        self._history = caller.history
        self._jobs = jobs_path
        self._pause = pause_seconds
        self._number = 0

    async def run(self) -> None:
        """Until told to stop; then until all that was begun is answered."""
        async with asyncio.TaskGroup() as group:
            while not self.stopping.is_set():
                dice = self._chance.random()
                if dice < BATCHES:
                    await self._batch(group)
                elif dice < BATCHES + BURSTS:
                    many = [group.create_task(self._create(group)) for _ in range(self._chance.randint(2, 8))]
                    await asyncio.gather(*many)
                else:
                    await self._create(group)
                await self._breathe(self._chance.expovariate(1 / self._pause))

    async def _breathe(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self.stopping.wait()
        except TimeoutError:
            return

    # ---- creating --------------------------------------------------------------------------------------------------

    async def _create(self, group: asyncio.TaskGroup) -> None:
        tag, body = self._job()
        request = msgspec.json.encode(body)
        once = self._chance.random() < GIVES_UP
        while True:
            try:
                answer = await self._caller.ask("POST", self._jobs, request, headers={"Idempotency-Key": tag})
            except Unanswered:
                if once:
                    return
                await self._caller.rest()
                continue
            break
        if answer.status == _CREATED:
            replayed = answer.headers.get("Idempotency-Replayed") == "true"
            self._accepted(tag, answer.json["id"], answer, group, replayed=replayed)
        else:
            self._caller.unexpected(f"create {tag}", answer)

    async def _batch(self, group: asyncio.TaskGroup) -> None:
        wanted = [self._job() for _ in range(self._chance.randint(2, 6))]
        request = msgspec.json.encode({"jobs": [body for _, body in wanted]})
        headers = {"Idempotency-Key": f"batch-{wanted[0][0]}"}
        answer = await self._caller.insist("POST", f"{self._jobs}/batch", request, headers=headers)
        if answer.status != _OK:
            self._caller.unexpected("batch", answer)
            return
        replayed = answer.headers.get("Idempotency-Replayed") == "true"
        for (tag, _), result in zip(wanted, answer.json["results"], strict=True):
            if "job" in result:
                self._accepted(tag, result["job"]["id"], answer, group, replayed=replayed)
            elif result["error"]["status"] != 503:  # noqa: PLR2004 - this item could not be decided; the others were
                self._history.wrong(self._caller.who, f"batch item {tag}: {result['error']}")

    def _job(self) -> tuple[str, dict[str, Any]]:
        self._number += 1
        tag = f"{self._seat.id[-6:]}-{self._number}"
        chance, plain = self._chance, self._seat.kind == PLAIN
        work, kind = draw(tag, chance), chance.choices(tuple(TYPES), WEIGHTS)[0]
        timeout = 3 if plain else 1 if chance.random() < 0.03 else 30  # noqa: PLR2004 - a few run out of time
        body: dict[str, Any] = {
            "type": kind,
            "hostId": self._seat.id,
            "payload": work,
            "timeoutSeconds": timeout,
        }
        if chance.random() < KEEN:
            body["priority"] = chance.choice((1, 5, 5, -3))
        later = chance.random() < LATER
        if later:
            at = datetime.now(UTC) + timedelta(seconds=chance.uniform(-0.2, 1.5))
            body["runAt"] = at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
        self._history.note(Asked(at=now(), tag=tag, host=self._seat.id, priority=body.get("priority", 0), later=later))
        return tag, body

    def _accepted(self, tag: str, job: str, answer: Answer, group: asyncio.TaskGroup, *, replayed: bool) -> None:
        answer.node.committed()
        self._history.note(Accepted(at=now(), tag=tag, job=job, replayed=replayed))
        if self._chance.random() < CANCELLED:
            group.create_task(self._change_of_mind(job))

    # ---- second thoughts -------------------------------------------------------------------------------------------

    async def _change_of_mind(self, job: str) -> None:
        chance = self._chance
        await asyncio.sleep(chance.choice((0, chance.uniform(0, 0.1), chance.uniform(0, 2))))
        force = chance.random() < FORCED
        self._history.note(CancelAsked(at=now(), job=job, force=force))
        answer = await self._caller.insist("POST", f"{self._jobs}/{job}/cancel", {"force": force})
        if answer.status not in {_OK, _ASKING, _CONFLICT}:
            self._caller.unexpected("cancel", answer)
            return
        answer.node.committed()
        self._history.note(CancelAnswered(at=now(), job=job, status=answer.status))
        if answer.status == _OK and chance.random() < TRIED_AFRESH:
            await self._try_afresh(job)

    async def _try_afresh(self, job: str) -> None:
        self._history.note(RetryAsked(at=now(), job=job))
        answer = await self._caller.insist("POST", f"{self._jobs}/{job}/retry", {})
        if answer.status not in {_OK, _CONFLICT}:
            self._caller.unexpected("retry", answer)
        self._history.note(RetryAnswered(at=now(), job=job, status=answer.status))
