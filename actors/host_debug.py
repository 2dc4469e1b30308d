"""One host in full, for operators: no payloads, no keys."""

from typing import Any

import msgspec

from actors.decision import Decision
from actors.documents import run_document
from actors.host_state import HostState
from actors.line import Attempt
from actors.messages import Describe, Poll
from actors.sessions import Session
from interlock.wire import when
from store.rows import HELD

SHOWN = 100  # runs of a long line that a snapshot lists


def describe(state: HostState, _message: Describe, d: Decision) -> None:
    """A consistent snapshot of the slot, the line and what waits for its time."""
    host = state.host
    d.reply = {
        "hostId": host.id,
        "orgId": host.org_id,
        "epoch": host.epoch,
        "rev": host.rev,
        "nextSeq": host.next_seq,
        "runNo": host.run_no,
        "instanceId": host.instance_id,
        "presence": state.presence(),
        "health": "unhealthy" if host.unhealthy else "ok",
        "unhealthy": host.unhealthy,
        "awaitingIdle": host.awaiting_idle,
        "paused": host.paused,
        "draining": host.draining,
        "drainUntil": when(host.drain_until),
        "pollParked": state.poll is not None,
        "connections": _connections(state),
        "leaseUntil": state.lease_until,
        "current": None if state.current is None else _shown(state.current),
        "pendingCount": len(state.line),
        "pending": [_shown(attempt) for attempt, _ in zip(state.line, range(SHOWN), strict=False)],
        "backoff": [_shown(attempt) for attempt in list(state.backoff.values())[:SHOWN]],
    }


def _connections(state: HostState) -> list[dict[str, Any]]:
    """The parked poll and the socket, by what the agent has said of itself."""
    here: list[tuple[str, Poll | Session | None]] = [("poll", state.poll), ("socket", state.session)]
    return [{"kind": kind, "instanceId": it.instance_id} for kind, it in here if it is not None]


def _shown(attempt: Attempt) -> dict[str, Any]:
    """The run as users see it, without its output, and what decides its place."""
    document: dict[str, Any] = msgspec.to_builtins(run_document(attempt.run))
    del document["result"]
    job = attempt.job
    place = {"type": job.type, "seq": job.seq, "priority": job.priority}
    return document | place | {"held": job.rank == HELD, "front": job.rank is not None and job.rank != HELD}
