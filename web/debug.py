"""The live actors, for platform admins; every look is in the audit trail. No payloads, no keys."""

from typing import Any

from aiohttp import web

from actors import HostActor, messages
from actors.documents import encode
from interlock.errors import NotFound
from interlock.ids import is_id
from store.accounts import By, audit
from web.access import Admin
from web.services import Services

SHOWN = 10_000  # host actors that one answer lists


async def actors(_request: web.Request, s: Services, who: Admin) -> web.Response:
    """The tree: supervisors, and under each the hosts that are alive."""
    await _note(s, who, None)
    by_org: dict[str, list[dict[str, Any]]] = {org_id: [] for org_id in s.directory.orgs}
    for actor in list(s.directory.hosts.values())[:SHOWN]:
        by_org.setdefault("" if actor.state is None else actor.state.host.org_id, []).append(_shown(s, actor))
    supervisors = [
        {
            "orgId": org_id,
            "mailbox": len(s.directory.orgs[org_id].inbox) if org_id in s.directory.orgs else 0,
            "routed": s.directory.orgs[org_id].routed if org_id in s.directory.orgs else 0,
            "restarts": s.directory.restarts[org_id],
            "hosts": hosts,
        }
        for org_id, hosts in by_org.items()
    ]
    journal = s.store.journal
    body = {
        "supervisors": supervisors,
        "hosts": len(s.directory.hosts),
        "parkedPolls": len(s.directory.polls),
        "agentSockets": len(s.directory.sessions),
        "rebuilt": s.directory.rebuilt,
        "failures": [f"{type(error).__name__}: {error}" for error in s.directory.failures],
        "journal": {"depth": journal.depth, "batches": journal.batches, "entries": journal.entries},
        "loopLagSeconds": s.metrics.loop_lag,
    }
    return web.Response(body=encode(body), content_type="application/json")


async def host(request: web.Request, s: Services, who: Admin) -> web.Response:
    """One host in full."""
    host_id = request.match_info["host_id"]
    if not is_id(host_id) or await s.lookups.org_of_host(host_id) is None:
        raise NotFound("No such host")
    await _note(s, who, host_id)
    snapshot = await s.directory.ask(host_id, messages.Describe())
    actor = s.directory.hosts.get(host_id)
    return web.Response(
        body=encode(snapshot if actor is None else snapshot | _work(s, actor)), content_type="application/json"
    )


def _work(s: Services, actor: HostActor) -> dict[str, Any]:
    """What the actor itself is at, whatever its host is."""
    return {
        "mailbox": len(actor.inbox),
        "commits": actor.submitted,
        "restarts": s.directory.restarts[actor.host_id],
        "busySeconds": round(actor.busy_seconds, 6),
        "lastMessageAt": actor.last_message_at,
    }


def _shown(s: Services, actor: HostActor) -> dict[str, Any]:
    state = actor.state
    known: dict[str, Any] = {"hostId": actor.host_id} | _work(s, actor)
    if state is None:
        return known | {"activating": True}
    current = state.current
    return known | {
        "epoch": state.host.epoch,
        "presence": state.presence(),
        "pending": len(state.line),
        "backoff": len(state.backoff),
        "current": None if current is None else {"jobRunId": current.run.id, "status": current.run.status},
        "pollParked": state.poll is not None,
        "awaitingIdle": state.host.awaiting_idle,
    }


async def _note(s: Services, who: Admin, host_id: str | None) -> None:
    by = By(who.by.kind, who.by.id, s.clock.now(), s.ids.new())
    target = ("actors", None) if host_id is None else ("host", host_id)
    await s.store.change(lambda db: audit(db, by, None, "debug.read", target, {}))
