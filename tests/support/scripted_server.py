"""A tiny HTTP server for tests of clients: it says what it is told to say, and remembers what it was asked."""

import threading
from collections.abc import Callable, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import MappingProxyType, TracebackType
from typing import Any, NamedTuple, Self
from urllib.parse import parse_qsl, urlsplit

import msgspec


class Asked(NamedTuple):
    """One request as it arrived."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        return msgspec.json.decode(self.body)


class Say(NamedTuple):
    """One answer. A `hang_up` closes the connection without any; `leave` closes it after the answer, unannounced."""

    status: int = 200
    body: Any = None
    headers: Mapping[str, str] = MappingProxyType({})
    hang_up: bool = False
    leave: bool = False


Script = Say | Callable[[Asked], Say]


class ScriptedServer:
    """Answers from `script` in order; the last one is said again and again."""

    def __init__(self) -> None:
        self.script: list[Script] = []
        self.asked: list[Asked] = []
        self.connections = 0
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            wbufsize = -1  # headers and body in one packet, or Nagle holds the body back for 40 ms

            def setup(self) -> None:
                super().setup()
                outer.connections += 1

            def handle_any(self) -> None:
                outer._answer(self)

            do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = handle_any  # noqa: N815 - the library's names

            def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the library's name
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = False
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01})

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def _answer(self, handler: BaseHTTPRequestHandler) -> None:
        parts = urlsplit(handler.path)
        body = handler.rfile.read(int(handler.headers.get("Content-Length", "0")))
        query = dict(parse_qsl(parts.query, keep_blank_values=True))
        asked = Asked(handler.command, parts.path, query, {**handler.headers}, body)
        self.asked.append(asked)
        script = self.script.pop(0) if len(self.script) > 1 else self.script[0]
        said = script if isinstance(script, Say) else script(asked)
        if said.hang_up:
            handler.close_connection = True
            return
        data = said.body if isinstance(said.body, bytes) else msgspec.json.encode(said.body)
        handler.send_response(said.status)
        for name, text in said.headers.items():
            handler.send_header(name, text)
        handler.send_header("Content-Length", str(len(data)))
        handler.end_headers()
        handler.wfile.write(data)
        handler.close_connection = said.leave


def job_document(status: str = "PENDING", **changed: Any) -> dict[str, Any]:
    """A job as the server shows it, with one run."""
    job_id = changed.get("id", "01938b3e-0000-7000-8000-00000000000a")
    run = {
        "id": "01938b3e-0000-7000-8000-0000000000aa",
        "jobId": job_id,
        "hostId": "01938b3e-0000-7000-8000-0000000000bb",
        "attempt": 1,
        "status": "pending",
        "createdAt": "2026-11-22T02:34:06.123Z",
        "availableAt": None,
        "offeredAt": None,
        "startedAt": None,
        "finishedAt": None,
        "result": {"durationMs": None, "errorMessage": None, "errorCode": None, "output": None},
    }
    return {
        "id": job_id,
        "orgId": "01938b3e-0000-7000-8000-0000000000cc",
        "type": "SERVER_START",
        "status": status,
        "progress": 0,
        "payload": {},
        "output": None,
        "errorCode": None,
        "errorMessage": None,
        "needsUserAction": False,
        "cancelRequested": False,
        "lateReports": [],
        "serverInstanceId": None,
        "hostId": "01938b3e-0000-7000-8000-0000000000bb",
        "assignedAgentId": None,
        "createdById": None,
        "createdBy": None,
        "createdAt": "2026-11-22T02:34:06.123Z",
        "runAt": None,
        "startedAt": None,
        "completedAt": None,
        "attempts": 1,
        "maxAttempts": 3,
        "priority": 0,
        "timeoutSeconds": None,
        "startBefore": None,
        "wait": None,
        "counts": {"logs": 0, "evidence": 0},
        "jobRuns": [run],
        "fromANewerServer": True,
    } | changed


def problem(status: int, code: str, detail: str = "It is not so", **more: Any) -> Say:
    """A refusal as problem+json."""
    headers = {"Content-Type": "application/problem+json", **more.pop("headers", {})}
    return Say(status, {"type": "about:blank", "status": status, "code": code, "detail": detail, **more}, headers)
