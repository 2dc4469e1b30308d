"""The fake control plane with a socket: it offers, hints, cancels and supersedes as the contract says."""

import json
from contextlib import suppress
from typing import Any

from aiohttp import WSMsgType, web

from tests.support.fake_plane import LIVE, FakePlane, Fault, Run, _problem, new_id


class SocketPlane(FakePlane):
    """Faults are queued per event, and for `upgrade`; `refused` turns every upgrade away with that status."""

    def __init__(self) -> None:
        super().__init__()
        self.refused: int | None = None
        self.connects: list[list[str]] = []  # what each declared to run
        self.frames: list[tuple[str, dict[str, Any]]] = []
        self.rejected: list[str] = []  # job ids
        self.repeats = 1  # how often each push is sent
        self.socket: web.WebSocketResponse | None = None
        self.app.router.add_get("/agent", self._agent)

    async def __aexit__(self, *_: object) -> None:
        if self.socket is not None:
            await self.socket.close()
        await super().__aexit__()

    # ---- what a test does

    async def add_to_pool(self, job_type: str = "WORK", payload: Any = None) -> Run:
        run = await self.add(job_type, payload)
        run.pool = True
        await self.hint(run)
        return run

    async def hint(self, run: Run) -> None:
        await self.push("job:available", {"jobId": run.job_id, "type": run.type})

    async def cancel(self, run: Run) -> None:
        await super().cancel(run)
        await self.push("job:cancel", {"jobId": run.job_id, "jobRunId": run.id, "graceSeconds": 10})

    async def resume(self, run: Run) -> None:
        run.needs_user = False
        await self.push("job:resume", {"jobId": run.job_id, "jobRunId": run.id})

    async def push(self, event: str, data: object) -> None:
        for _ in range(self.repeats):
            if self.socket is not None and not self.socket.closed:
                with suppress(ConnectionError):
                    await self.socket.send_json({"event": event, "data": data})

    async def drop(self) -> None:
        """Let the connection break."""
        if self.socket is not None:
            await _abort(self.socket)

    async def supersede(self) -> None:
        """As when another agent connects with the same key."""
        socket, self.socket = self.socket, None
        if socket is not None:
            await socket.send_json({"event": "error", "data": {"code": "superseded", "message": "a newer one"}})
            await socket.close(code=1008, message=b"superseded")

    def asked(self, event: str) -> int:
        return sum(name == event for name, _ in self.frames)

    async def notify(self) -> None:
        await self._offer()
        await super().notify()

    # ---- the socket

    async def _offer(self) -> None:
        """The host's first waiting run, when nothing else is at work there."""
        runs = sorted(self.runs.values(), key=lambda run: run.id)
        if self.socket is None or any(run.status in LIVE | {"offered"} for run in runs):
            return
        waiting = next((run for run in runs if run.status == "pending" and not run.pool), None)
        if waiting is not None:
            waiting.status = "offered"
            await self.push("job:new", {**waiting.handed_out(), "input": waiting.payload})

    async def _agent(self, request: web.Request) -> web.StreamResponse:
        self.requests.append(("upgrade", 0.0))
        fault = self.faults["upgrade"].popleft() if self.faults["upgrade"] else Fault()
        if fault.drop or fault.status or self.refused is not None:
            await self.notify()
            if fault.drop:
                return await self._hang_up(request)
            return _problem(fault.status or self.refused or 404, fault.code, fault.headers)
        if request.headers.get("Authorization") != f"Bearer {self.key}":
            return _problem(401, "unauthenticated")
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        await self._connected(socket, request)
        try:
            async for message in socket:
                if message.type is WSMsgType.TEXT:
                    await self._take(socket, json.loads(message.data))
        finally:
            if self.socket is socket:
                self.socket = None
                self._take_back()
            await self.notify()
        return socket

    async def _connected(self, socket: web.WebSocketResponse, request: web.Request) -> None:
        running = [name for name in request.query["running"].split(",") if name]
        await self.supersede()
        self._declare(request.query["instanceId"])
        self._take_back()
        for run in self.runs.values():
            if run.status == "running" and run.id not in running:
                run.status = "pending"  # its ack's answer never arrived: it is handed out again
        self.socket = socket
        self.connects.append(running)
        await self.push("config", self.config)
        for run in self.runs.values():
            if run.pool and run.status == "pending":
                await self.hint(run)
        await self.notify()

    def _take_back(self) -> None:
        for run in self.runs.values():
            if run.status == "offered":
                run.status = "pending"

    async def _take(self, socket: web.WebSocketResponse, frame: dict[str, Any]) -> None:
        event, data = frame["event"], frame["data"]
        fault = self.faults[event].popleft() if self.faults[event] else Fault()
        self.requests.append((event, 0.0))
        self.frames.append((event, data))
        if fault.hold is not None:
            await self.notify()
            await fault.hold.wait()
        if fault.drop:
            await _abort(socket)
            return
        if fault.status:
            name, answer = "error", {"code": fault.code, "message": "no", "event": event}
        else:
            name, answer = self._answer(event, data)
        if fault.lose_reply:
            await _abort(socket)
        else:
            with suppress(ConnectionError):
                await socket.send_json({"event": name, "data": answer, "id": frame["id"]})
        await self.notify()

    def _answer(self, event: str, data: dict[str, Any]) -> tuple[str, dict[str, Any]]:
        if event == "heartbeat":
            return "heartbeat_ack", self.take_heartbeat(data)
        run = self._run_of(data)
        if run is None:
            return "error", {"code": "not_found", "message": "no such run"}
        if event == "job:ack":
            return self._ack(run)
        if event == "job:reject":
            self.rejected.append(run.job_id)
            return "job:reject_ack", {"jobId": run.job_id}
        if event in {"job:done", "job:error"}:
            answer = self.take_report(run, _report(event, data))
            if answer is None:
                return "error", {"code": "invalid_state", "message": run.status}
            return f"{event}_ack", {**answer, "jobId": run.job_id, "jobRunId": run.id}
        take = {"job:log": self.take_logs, "job:progress": self.take_progress, "job:evidence": self.take_evidence}
        return f"{event}_ack", {**take[event](run, data), "jobId": run.job_id, "jobRunId": run.id}

    def _ack(self, run: Run) -> tuple[str, dict[str, Any]]:
        if run.status == "running":
            return "job:ack_success", {**run.handed_out(), "input": run.payload}
        if run.status not in {"offered", "pending"}:
            return "error", {"code": "already_taken", "message": run.status}
        run.status = "running"
        return "job:ack_success", {**run.handed_out(), "input": run.payload}

    def _run_of(self, data: dict[str, Any]) -> Run | None:
        named = data.get("jobRunId")
        runs = [run for run in self.runs.values() if run.id == named or (not named and run.job_id == data["jobId"])]
        return runs[-1] if runs else None


def _report(event: str, data: dict[str, Any]) -> dict[str, Any]:
    """The same result as it would be over HTTP."""
    done = event == "job:done"
    return {
        "status": "success" if done else "failed",
        "durationMs": data["durationMs"],
        "errorMessage": data.get("error"),
        "errorCode": data.get("errorCode"),
        "output": data.get("output"),
        "retryable": data.get("retryable", True),
    }


async def _abort(socket: web.WebSocketResponse) -> None:
    """Break the connection without a word."""
    request = socket._req
    if request is not None and request.transport is not None:
        request.transport.abort()


__all__ = ["Fault", "Run", "SocketPlane", "new_id"]
