"""Dashboards: they hear every event, go away now and then, and ask for what they missed."""

import asyncio
from typing import Any

import aiohttp
import msgspec

from chaos_rig.calls import Caller
from chaos_rig.history import Seen, Watching, now

STAYS_SECONDS = (1.0, 12.0)  # until a dashboard is closed and opened again
SILENCE_SECONDS = 5.0  # after which another server is asked, if there is another one


class Watcher:
    """One dashboard of the organization."""

    def __init__(self, caller: Caller, org: str, *, faithful: bool) -> None:
        self.caller = caller
        self.last: int | None = None
        self._org = org
        self._faithful = faithful  # goes away only when it is sent away
        self._made: set[str] = set()
        self._more = asyncio.Event()

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            try:
                await self._watch()
            except (aiohttp.ClientError, OSError):
                self.caller.choose(other=True)
                await self.caller.rest()

    async def hears_of(self, job: str, seconds: float) -> bool:
        """Whether it hears within so long that this job was made."""
        try:
            async with asyncio.timeout(seconds):
                while job not in self._made:
                    self._more.clear()
                    await self._more.wait()
        except TimeoutError:
            return False
        return True

    async def _watch(self) -> None:
        caller = self.caller
        query = f"?orgId={self._org}" + ("" if self.last is None else f"&after={self.last}")
        url, headers = f"{caller.choose().url}/ws{query}", {"Authorization": f"Bearer {caller.token}"}
        stays = None if self._faithful else caller.chance.uniform(*STAYS_SECONDS)
        async with asyncio.timeout(SILENCE_SECONDS):
            socket = await caller.session.ws_connect(url, headers=headers)
        try:
            caller.history.note(Watching(at=now(), watcher=caller.who, after=self.last))
            async with asyncio.timeout(stays):
                await self._listen(socket)
        except TimeoutError:
            return
        finally:
            # A stopped server would not answer a close for long: hang up.
            socket._response.close()  # noqa: SLF001 - there is no public way to hang up at once

    async def _listen(self, socket: "aiohttp.ClientWebSocketResponse") -> None:
        async for message in socket:
            if message.type is aiohttp.WSMsgType.TEXT:
                self._note(msgspec.json.decode(message.data))

    def _note(self, frame: dict[str, Any]) -> None:
        if frame["event"] == "error":
            self.caller.history.wrong(self.caller.who, str(frame))
            return
        data = frame["data"]
        self.last = frame["seq"]
        self.caller.history.note(
            Seen(
                at=now(),
                watcher=self.caller.who,
                event=frame["event"],
                seq=frame["seq"],
                job=data.get("jobId") or "",
                run=data.get("jobRunId") or "",
                status=data.get("status") or "",
                job_status=data.get("jobStatus") or "",
            )
        )
        if frame["event"] == "job.created":
            self._made.add(data["jobId"])
            self._more.set()
