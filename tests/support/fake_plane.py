"""A small control plane for tests of agents: it keeps runs in memory and can be told to misbehave.

It follows the wire contract for one host: polls that park, declare and supersede, reports that replay or conflict,
heartbeat verdicts, log lines. Faults are queued per route and used up one by one.
"""

import asyncio
import base64
import json
import time
from collections import defaultdict, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any, Self

import uuid_utils
from aiohttp import web
from aiohttp.test_utils import TestServer

LIVE = frozenset({"running", "cancelling"})


def new_id() -> str:
    return str(uuid_utils.uuid7())


def agent_key(host_id: str) -> str:
    """A key of the right shape; nobody here checks the signature."""
    parts = ({"alg": "HS256", "typ": "JWT"}, {"aud": "interlock-agent", "sub": host_id})
    return ".".join(
        [*(base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in parts), "x"]
    )


@dataclass
class Fault:
    """What to do instead of, or after, handling one request."""

    status: int = 0  # answer with this and handle nothing
    code: str | None = None  # the problem document's, with `status`; None sends no problem document
    headers: dict[str, str] = field(default_factory=dict)
    drop: bool = False  # close the connection unhandled
    lose_reply: bool = False  # handle, then close the connection
    hold: asyncio.Event | None = None  # wait for this before anything else


@dataclass
class Run:
    """One attempt, as the server sees it."""

    id: str
    job_id: str
    run_no: int
    type: str
    payload: Any
    timeout_seconds: float
    attempt: int = 1
    status: str = "pending"
    reports: list[dict[str, Any]] = field(default_factory=list)
    logs: dict[int, dict[str, Any]] = field(default_factory=dict)
    notes: list[dict[str, Any]] = field(default_factory=list)  # of progress
    evidence: list[dict[str, Any]] = field(default_factory=list)
    assets: dict[str, bytes] = field(default_factory=dict)
    needs_user: bool = False
    pool: bool = False
    trace: dict[str, str] = field(default_factory=dict)  # `traceparent` and perhaps `tracestate`

    @property
    def report(self) -> dict[str, Any]:
        return self.reports[0]

    @property
    def log_text(self) -> list[str]:
        return [line["message"] for _, line in sorted(self.logs.items())]

    def handed_out(self) -> dict[str, Any]:
        return {
            "jobId": self.job_id,
            "jobRunId": self.id,
            "runNo": self.run_no,
            "type": self.type,
            "payload": self.payload,
            "attempt": self.attempt,
            "timeoutSeconds": self.timeout_seconds,
            **self.trace,
        }


class FakePlane:
    """`async with FakePlane() as plane`; then `plane.url`, `plane.key` and `plane.host_id` are what an agent needs."""

    def __init__(self) -> None:
        self.host_id = new_id()
        self.key = agent_key(self.host_id)
        self.runs: dict[str, Run] = {}
        self.instances: list[str] = []
        self.requests: list[tuple[str, float]] = []  # route name, monotonic time
        self.heartbeats: list[dict[str, Any]] = []
        self.faults: defaultdict[str, deque[Fault]] = defaultdict(deque)
        self.heartbeat_seconds = 0.05
        self.verdict: str | None = None  # said to every named run instead of the true one
        self.on_poll: Callable[[], object] = lambda: None
        self.trace: dict[str, str] = {}  # of the jobs that are added
        self.config: dict[str, Any] = {"platform": {"searchMethod": "maps"}, "connectors": [], "version": 1}
        self._changed = asyncio.Condition()
        self._poll_no = 0
        self.app = app = web.Application(client_max_size=16 * 1024 * 1024)
        base = f"/api/agent/hosts/{self.host_id}"
        app.router.add_get(f"{base}/jobs", self._route("poll", self._poll))
        app.router.add_post(f"{base}/heartbeat", self._route("heartbeat", self._heartbeat))
        app.router.add_post(f"{base}/jobs/{{run}}/result", self._route("result", self._result))
        app.router.add_post(f"{base}/jobs/{{run}}/logs", self._route("logs", self._logs))
        app.router.add_post(f"{base}/jobs/{{run}}/progress", self._route("progress", self._progress))
        app.router.add_post(f"{base}/jobs/{{run}}/evidence", self._route("evidence", self._evidence))
        app.router.add_put(f"{base}/jobs/{{run}}/assets/{{name}}", self._route("asset", self._asset))
        app.router.add_get("/api/agent/config", self._route("config", self._config))
        self._server = TestServer(app)

    async def __aenter__(self) -> Self:
        await self._server.start_server(shutdown_timeout=0.01)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._server.close()

    @property
    def url(self) -> str:
        return str(self._server.make_url("")).rstrip("/")

    # ---- what a test does

    async def add(
        self, job_type: str = "WORK", payload: Any = None, *, timeout_seconds: float = 60.0, run_no: int | None = None
    ) -> Run:
        """A job of the host, waiting; numbered after the last unless `run_no` says otherwise."""
        number = run_no if run_no is not None else 1 + max((run.run_no for run in self.runs.values()), default=0)
        run = Run(new_id(), new_id(), number, job_type, payload if payload is not None else {}, timeout_seconds)
        run.trace = self.trace
        self.runs[run.id] = run
        await self.notify()
        return run

    async def hand_out_again(self, run: Run) -> None:
        """As if the server had forgotten that the run ended."""
        run.status = "pending"
        await self.notify()

    async def cancel(self, run: Run) -> None:
        run.status = "cancelling"
        await self.notify()

    async def until(self, true: Callable[[], object]) -> None:
        """Wait until `true()` holds; it is looked at after every request."""
        async with self._changed:
            await self._changed.wait_for(lambda: bool(true()))

    async def ended(self, run: Run) -> Run:
        """Wait until the run has been reported."""
        await self.until(lambda: run.reports)
        return run

    async def all_ended(self) -> None:
        """Wait until no run waits or is at work."""
        await self.until(lambda: not {"pending", "offered", *LIVE} & {run.status for run in self.runs.values()})

    async def requests_reach(self, number: int) -> None:
        """Wait until so many requests have come in all."""
        await self.until(lambda: len(self.requests) >= number)

    async def notify(self) -> None:
        async with self._changed:
            self._changed.notify_all()

    def count(self, route: str) -> int:
        return sum(name == route for name, _ in self.requests)

    # ---- routes

    def _route(self, name: str, handle: Callable[[web.Request], Any]) -> Callable[[web.Request], Any]:
        async def handler(request: web.Request) -> web.StreamResponse:
            fault = self.faults[name].popleft() if self.faults[name] else Fault()
            if fault.hold is not None:
                await self.notify()
                await fault.hold.wait()
            self.requests.append((name, time.monotonic()))
            if fault.drop:
                return await self._hang_up(request)
            if fault.status:
                response: web.StreamResponse = _problem(fault.status, fault.code, fault.headers)
            elif request.headers.get("Authorization") != f"Bearer {self.key}":
                response = _problem(401, "unauthenticated")
            else:
                response = await handle(request)
            await self.notify()
            return await self._hang_up(request) if fault.lose_reply else response

        return handler

    async def _hang_up(self, request: web.Request) -> web.Response:
        if request.transport is not None:
            request.transport.abort()
        await self.notify()
        return web.Response()

    async def _poll(self, request: web.Request) -> web.Response:
        self._declare(request.query["instanceId"])
        self.on_poll()
        self._poll_no += 1
        mine = self._poll_no
        await self.notify()
        try:
            async with asyncio.timeout(min(int(request.query.get("wait", "0")), 50)):
                async with self._changed:
                    await self._changed.wait_for(lambda: self._next() is not None or self._poll_no != mine)
        except TimeoutError:
            return web.Response(status=204)
        if self._poll_no != mine:
            return _problem(409, "superseded")
        run = self._next()
        assert run is not None
        if run.status == "cancelling":
            return web.Response(status=204, headers={"Interlock-Cancel": run.id})
        run.status = "running"
        return web.json_response(run.handed_out())

    def _declare(self, instance: str) -> None:
        """A new instance that runs nothing: what the old one ran is lost, and tried again as a new run."""
        if self.instances and self.instances[-1] != instance:
            for run in [run for run in self.runs.values() if run.status in LIVE]:
                run.status = "lost"
                number = 1 + max(each.run_no for each in self.runs.values())
                again = Run(new_id(), run.job_id, number, run.type, run.payload, run.timeout_seconds, run.attempt + 1)
                self.runs[again.id] = again
        if not self.instances or self.instances[-1] != instance:
            self.instances.append(instance)

    def _next(self) -> Run | None:
        """The live run, which its agent does not know of, else the first that waits."""
        waiting = sorted((run for run in self.runs.values() if run.status == "pending"), key=lambda run: run.id)
        live = [run for run in self.runs.values() if run.status in LIVE]
        return next(iter(live + waiting), None)

    async def _heartbeat(self, request: web.Request) -> web.Response:
        return web.json_response(self.take_heartbeat(await request.json()))

    def take_heartbeat(self, body: dict[str, Any]) -> dict[str, Any]:
        """The answer to a heartbeat."""
        self.heartbeats.append(body)
        verdicts = [
            {"jobRunId": name, "verdict": self.verdict or self._verdict(name), "needsUserAction": self._waits(name)}
            for name in body["running"]
        ]
        intervals = {"heartbeatSeconds": self.heartbeat_seconds, "leaseSeconds": 60, "pollWaitSeconds": 25}
        return {"serverTime": "2026-01-01T00:00:00Z", "runs": verdicts, "intervals": intervals}

    def _waits(self, run_id: str) -> bool:
        return run_id in self.runs and self.runs[run_id].needs_user

    def _verdict(self, run_id: str) -> str:
        run = self.runs.get(run_id)
        if run is None or run.status not in LIVE:
            return "abandon"
        return "cancel" if run.status == "cancelling" else "continue"

    async def _result(self, request: web.Request) -> web.Response:
        run = self.runs.get(request.match_info["run"])
        if run is None:
            return _problem(404, "not_found")
        answer = self.take_report(run, await request.json())
        return _problem(409, "invalid_state") if answer is None else web.json_response(answer)

    def take_report(self, run: Run, report: dict[str, Any]) -> dict[str, Any] | None:
        """The answer to a result; None when another one was there before."""
        replayed = bool(run.reports) and run.reports[0] == report
        run.reports.append(report)
        if not replayed and run.status not in LIVE | {"pending", "offered"}:
            return None
        run.status = report["status"]
        job_status = {"success": "COMPLETED", "cancelled": "CANCELLED"}.get(run.status, "FAILED")
        return {"status": run.status, "jobStatus": job_status, "willRetry": False, "replayed": replayed}

    async def _logs(self, request: web.Request) -> web.Response:
        return web.json_response(self.take_logs(self.runs[request.match_info["run"]], await request.json()))

    def take_logs(self, run: Run, body: dict[str, Any]) -> dict[str, Any]:
        for line in body["lines"]:
            run.logs.setdefault(line["seq"], line)
        return self.state_of(run)

    async def _progress(self, request: web.Request) -> web.Response:
        return web.json_response(self.take_progress(self.runs[request.match_info["run"]], await request.json()))

    def take_progress(self, run: Run, body: dict[str, Any]) -> dict[str, Any]:
        run.notes.append(body)
        if body.get("needsUserAction") is not None:
            run.needs_user = body["needsUserAction"]
        return self.state_of(run)

    async def _evidence(self, request: web.Request) -> web.Response:
        return web.json_response(self.take_evidence(self.runs[request.match_info["run"]], await request.json()))

    def take_evidence(self, run: Run, body: dict[str, Any]) -> dict[str, Any]:
        verdicts = []
        for item in body["evidence"]:
            known = item in run.evidence
            verdicts.append({"verdict": "duplicate" if known else "created", "id": new_id()})
            run.evidence.extend([] if known else [item])
        created = sum(each["verdict"] == "created" for each in verdicts)
        counts = {"created": created, "duplicates": len(verdicts) - created, "rejected": 0}
        return {**self.state_of(run), **counts, "items": verdicts}

    async def _asset(self, request: web.Request) -> web.Response:
        run, name = self.runs[request.match_info["run"]], request.match_info["name"]
        run.assets[f"{name} {request.content_type}"] = content = await request.read()
        asset = {"id": new_id(), "name": name, "sizeBytes": len(content), "sha256": sha256(content).hexdigest()}
        return web.json_response({**self.state_of(run), "asset": asset})

    async def _config(self, _: web.Request) -> web.Response:
        return web.json_response(self.config)

    def state_of(self, run: Run) -> dict[str, Any]:
        return {"status": run.status, "cancelRequested": run.status == "cancelling"}


def _problem(status: int, code: str | None, headers: dict[str, str] | None = None) -> web.Response:
    if code is None:
        return web.Response(status=status, text="<html>", content_type="text/html", headers=headers)
    body = {"type": "about:blank", "title": code, "status": status, "detail": code, "code": code, "requestId": "r"}
    return web.json_response(body, status=status, headers=headers, content_type="application/problem+json")
