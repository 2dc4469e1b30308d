"""The routes of agents: polls and reports over HTTP, and how one becomes a host."""

from interlock.errors import (
    InvalidState,
    NotFound,
    PayloadTooLarge,
    QuotaExceeded,
    RateLimited,
    Superseded,
    Unauthenticated,
)
from interlock.fleet import Config, Register, Registered
from interlock.wire import (
    AssetAnswer,
    EvidenceAnswer,
    EvidenceIn,
    Heartbeat,
    HeartbeatAnswer,
    LogAnswer,
    Logs,
    Progress,
    Report,
    ReportAnswer,
    RunState,
    TakenJob,
)
from web.agent_messages import MAX_INSTANCE
from web.openapi.common import IF_NONE_MATCH, UNCHANGED, made, ok
from web.openapi.description import FLAG, Answer, Body, Operation, Param, text

_TAG = "Agents"
_HOST = "/api/agent/hosts/{host_id}"
_RUN = f"{_HOST}/jobs/{{run_id}}"
_ENDED = (NotFound, InvalidState)

INSTANCE = Param("instanceId", text(MAX_INSTANCE), "The agent's process: a new one loses the runs of the one before.")
RUNNING = Param(
    "running",
    {"type": "string"},
    "The runs that the agent runs, with commas between; empty says that it runs nothing, absent says nothing.",
)
_WAIT = Param(
    "wait",
    {"type": "string", "pattern": r"^-?[0-9]+(\.[0-9]+)?$", "default": "0"},
    "Seconds that the poll may wait; clamped to what the server allows, not refused.",
)

OPERATIONS: dict[str, Operation] = {
    "POST /api/agent/register": Operation(
        "register",
        "Enrolment",
        "Make this machine a host",
        (made(Registered, "A new host. Its agent's key is shown only here.")._replace(headers=()),),
        body=Body(Register),
        problems=(Unauthenticated,),
        detail="The credential is the enrolment token in the body.",
    ),
    "GET /api/agent/config": Operation(
        "agentConfig",
        _TAG,
        "Read the settings of the agent's organization",
        (ok(Config, "The document with its version.", "ETag"), UNCHANGED),
        params=(IF_NONE_MATCH,),
    ),
    f"GET {_HOST}/jobs": Operation(
        "poll",
        _TAG,
        "Take the host's next job",
        (
            ok(TakenJob, "The job; the run has begun."),
            Answer(204, "There is none, or the host has a live run.", headers=("Interlock-Cancel",)),
        ),
        params=(
            _WAIT,
            INSTANCE,
            RUNNING,
            Param("Prefer", {"type": "string"}, "`wait=25` means the same as `?wait=25`.", "header"),
        ),
        problems=(NotFound, Superseded),
        detail="`runNo` rises per host: an agent refuses a lower one. A newer poll supersedes a parked one.",
    ),
    f"POST {_RUN}/result": Operation(
        "report",
        _TAG,
        "Say how a run ended",
        (ok(ReportAnswer, "It is taken, now or before (`replayed`)."),),
        body=Body(Report),
        params=(Param("next", FLAG, "`1` also takes the host's next job, in the same commit."),),
        problems=(*_ENDED, Superseded, PayloadTooLarge),
        detail="The same report again is harmless. A different or late one is a conflict; it is kept all the same.",
    ),
    f"POST {_RUN}/progress": Operation(
        "progress",
        _TAG,
        "Say how far a run is",
        (ok(RunState, "Whether it should stop."),),
        Body(Progress),
        problems=_ENDED,
    ),
    f"POST {_RUN}/logs": Operation(
        "log",
        _TAG,
        "Add lines to a run's log",
        (ok(LogAnswer, "Which line is expected next. A line that comes again is stored once."),),
        body=Body(Logs),
        problems=_ENDED,
    ),
    f"POST {_RUN}/evidence": Operation(
        "evidence",
        _TAG,
        "Add what a run has found",
        (ok(EvidenceAnswer, "A verdict for each item."),),
        body=Body(EvidenceIn),
        problems=_ENDED,
    ),
    f"PUT {_RUN}/assets/{{name}}": Operation(
        "putAsset",
        _TAG,
        "Keep a file of a run",
        (ok(AssetAnswer, "It is stored. The same name and content again is answered alike."),),
        body=Body(None, required=False, media="*/*", most="max_asset_bytes"),
        params=(
            Param(
                "X-Content-SHA256", {"type": "string", "pattern": "^[0-9a-fA-F]{64}$"}, "What it hashes to.", "header"
            ),
            Param("Content-Digest", {"type": "string"}, "The same as `sha-256=:…:` (RFC 9530).", "header"),
        ),
        problems=(*_ENDED, QuotaExceeded, RateLimited),
    ),
    f"POST {_HOST}/heartbeat": Operation(
        "heartbeat",
        _TAG,
        "Give a sign of life",
        (ok(HeartbeatAnswer, "What to do with each run that was named."),),
        body=Body(Heartbeat, required=False),
        problems=(NotFound, Superseded),
    ),
}
