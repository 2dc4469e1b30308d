"""Hosts for users: list, make, show, name, label, pause and delete them."""

from dataclasses import replace
from typing import Any

import msgspec
from aiohttp import web
from msgspec import UNSET

from actors.documents import encode
from actors.host_state import SEEN_SAVED_EVERY, HostState
from interlock.clock import Millis, parse_rfc3339, rfc3339
from interlock.errors import InvalidRequest, InvalidState, NotFound
from interlock.fleet import CreateHost, Host, HostPage, NewHost, PatchHost
from interlock.ids import is_id
from interlock.states import RunStatus
from interlock.wire import HostEvent, Nothing, when
from store import accounts
from store.fleet import HostSight, change_host, delete_host, host_sight, hosts_page, settings_mark
from web.access import Member
from web.conditions import check, expected_tags, mark_of, tag_of, unchanged
from web.fleet_changes import change, tell_owner, tell_watchers
from web.fleet_endings import cancel_open_jobs, once_nothing_is_open
from web.pages import asked, cut, link
from web.parsing import decode, read_json
from web.services import Services

MAX_NOTE = 1000  # characters

_create = msgspec.json.Decoder(CreateHost)
_patch = msgspec.json.Decoder(PatchHost)
_nothing = msgspec.json.Decoder(Nothing)


async def list_all(request: web.Request, s: Services, who: Member) -> web.Response:
    """Oldest first; brings no actor to life."""
    page = asked(request)
    sights = await s.store.fetch(lambda db: hosts_page(db, who.org_id, page.after, page.one_more))
    items, cursor = cut([_document(s, sight) for sight in sights], page)
    body = encode(HostPage(items=list(items), next_cursor=cursor))
    return web.Response(body=body, content_type="application/json", headers=link(request, cursor))


async def create(request: web.Request, s: Services, who: Member) -> web.Response:
    """201 with the host and its agent's key, which is shown only here."""
    wanted = decode(await read_json(request, s.web_limits.max_body_bytes), _create, s.web_limits.max_json_depth)
    host_id, kid = s.ids.new(), s.ids.new()

    def work(database: Any, by: accounts.By) -> None:
        accounts.create_host(database, host_id, who.org_id, wanted.name, by, kind=wanted.kind, labels=wanted.labels)
        accounts.create_key(database, kid, who.org_id, host_id, replace(by, audit_id=s.ids.new()))

    await change(s, who.by, work)
    tell_watchers(s, who.org_id, "host", host_id)
    sight = await _sight(s, who, host_id)
    host = _document(s, sight)
    body = encode(NewHost(**msgspec.structs.asdict(host), agent_key=s.tokens.agent_key(host_id, who.org_id, kid)))
    headers = {"Location": f"/api/orgs/{who.org_id}/hosts/{host_id}", "ETag": _tag(sight, encode(host))}
    return web.Response(body=body, status=201, content_type="application/json", headers=headers)


async def show(request: web.Request, s: Services, who: Member) -> web.Response:
    """One host as it is now."""
    sight = await _sight(s, who, host_id_of(request))
    answer = shown(s, sight)
    return unchanged(request, answer.headers["ETag"]) or answer


async def patch(request: web.Request, s: Services, who: Member) -> web.Response:
    """What is given changes; a pause and labels count at once."""
    host_id, expected = host_id_of(request), _expected(request)
    wanted = decode(await read_json(request, s.web_limits.max_body_bytes), _patch, s.web_limits.max_json_depth)
    sight = await _sight(s, who, host_id)
    check(expected, settings_mark(sight.host), "The host")
    values = _changed(wanted, _document(s, sight), who, s.clock.now())
    if not values:
        return shown(s, sight)
    detail = {name: value for name, value in values.items() if name != "paused_by"}
    await change(s, who.by, lambda db, by: change_host(db, who.org_id, host_id, values, by, detail, expected=expected))
    await tell_owner(s, host_id)
    return shown(s, await announced(s, who, host_id))


async def delete(request: web.Request, s: Services, who: Member) -> web.Response:
    """204 when it is gone; 409 while it runs a job, unless `?force=1` ends that. What waits on it is cancelled."""
    decode(await read_json(request, s.web_limits.max_body_bytes) or b"{}", _nothing, s.web_limits.max_json_depth)
    host_id, force = host_id_of(request), request.query.get("force") in {"1", "true"}
    expected = _expected(request)

    async def remove() -> list[str] | None:
        sight = await _sight(s, who, host_id)
        check(expected, settings_mark(sight.host), "The host")
        if sight.live_run_id is not None and not force:
            raise InvalidState("The host runs a job", current=msgspec.to_builtins(_document(s, sight)))
        await cancel_open_jobs(s, who, host_id, "The host is deleted", force=force)
        return await change(s, who.by, lambda db, by: delete_host(db, who.org_id, host_id, by, expected))

    kids = await once_nothing_is_open(remove)
    s.directory.deleted(host_id)
    s.lookups.forget_host(host_id)
    for kid in kids:
        s.revocations.revoked(kid)
    event = HostEvent(host_id=host_id, presence="offline", health="ok", awaiting_idle=False, deleted=True)
    s.streams.publish(who.org_id, "host.updated", event)
    return web.Response(status=204)


def host_id_of(request: web.Request) -> str:
    """The path's host; `NotFound` for what cannot name one."""
    host_id = request.match_info["host_id"]
    if not is_id(host_id):
        raise NotFound("No such host")
    return host_id


async def announced(s: Services, who: Member, host_id: str) -> HostSight:
    """The host, once dashboards have been told that it has changed."""
    sight = await _sight(s, who, host_id)
    host, gate = _document(s, sight), bool(sight.host.awaiting_idle)
    event = HostEvent(host_id=host_id, presence=host.presence, health=host.health, awaiting_idle=gate)
    s.streams.publish(who.org_id, "host.updated", event)
    return sight


def shown(s: Services, sight: HostSight) -> web.Response:
    """The host, with its `ETag`."""
    body = encode(_document(s, sight))
    return web.Response(body=body, content_type="application/json", headers={"ETag": _tag(sight, body)})


def _tag(sight: HostSight, body: bytes) -> str:
    """What people have set, and then all that is shown: `If-Match` looks at the first half, `If-None-Match` at both."""
    return tag_of(f"{settings_mark(sight.host)}-{mark_of(body)}")


def _expected(request: web.Request) -> frozenset[str] | None:
    """The first halves of the tags in `If-Match`: an agent that polls or a job that ends is in no editor's way."""
    tags = expected_tags(request)
    return None if tags is None else frozenset(tag.partition("-")[0] for tag in tags)


async def _sight(s: Services, who: Member, host_id: str) -> HostSight:
    sight = await s.store.fetch(lambda db: host_sight(db, who.org_id, host_id))
    if sight is None:
        raise NotFound("No such host")
    return sight


def _changed(wanted: PatchHost, host: Host, who: Member, now: Millis) -> dict[str, Any]:
    """The columns that change."""
    values: dict[str, Any] = {}
    if wanted.name is not UNSET:
        values["name"] = accounts.clean_name(wanted.name)
    if wanted.labels is not UNSET:
        values["labels"] = accounts.label_text(wanted.labels)
    if wanted.paused is not UNSET:
        values["paused"] = wanted.paused
        values["paused_by"] = who.person.id if wanted.paused else None
        values["note"] = values["paused_until"] = None
    if wanted.note is not UNSET:
        values["note"] = _checked_note(wanted.note)
    if wanted.paused_until is not UNSET:
        values["paused_until"] = _checked_until(wanted, host, now)
    return values


def _checked_note(note: str | None) -> str | None:
    if note is not None and len(note) > MAX_NOTE:
        raise InvalidRequest.at("$.note", f"up to {MAX_NOTE} characters")
    return note or None


def _checked_until(wanted: PatchHost, host: Host, now: Millis) -> Millis | None:
    if wanted.paused_until is None or wanted.paused_until is UNSET:
        return None
    if wanted.paused is False or (wanted.paused is UNSET and not host.paused):
        raise InvalidRequest.at("$.pausedUntil", "the host is not paused: give paused too")
    until = parse_rfc3339(wanted.paused_until, path="$.pausedUntil")
    if until <= now:
        raise InvalidRequest.at("$.pausedUntil", f"it has passed: by the server's clock it is {rfc3339(now)}")
    return until


def _document(s: Services, sight: HostSight) -> Host:
    """The host as users see it, with what its actor knows if that is here."""
    host, now = sight.host, s.clock.now()
    actor = s.directory.hosts.get(host.id)
    state = None if actor is None else actor.state
    seen_at = host.last_seen_at if state is None else state.host.last_seen_at
    paused = bool(host.paused) and (host.paused_until is None or host.paused_until > now)
    return Host(
        id=host.id,
        org_id=host.org_id,
        name=host.name,
        kind=host.kind,
        labels=msgspec.json.decode(host.labels, type=dict[str, str]),
        presence=_presence(sight, state, now - s.limits.offline_after_ms - SEEN_SAVED_EVERY),
        health="ok" if host.unhealthy is None else "unhealthy",
        last_seen_at=when(seen_at),
        paused=paused,
        note=host.note,
        paused_until=when(host.paused_until) if paused else None,
        draining=bool(host.draining),
        drain_until=when(host.drain_until) if host.draining else None,
        pending_count=sight.pending,
        current_job_run_id=sight.live_run_id,
        created_at=rfc3339(host.created_at),
    )


def _presence(sight: HostSight, state: HostState | None, silent_since: Millis) -> str:
    if state is not None:
        return state.presence()
    if sight.live_status == RunStatus.UNREACHABLE:
        return "unreachable"
    seen_at = sight.host.last_seen_at
    if seen_at is None:
        return "never_connected"
    return "online" if seen_at > silent_since else "offline"
