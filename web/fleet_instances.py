"""Server instances for users: what lives on hosts, and jobs are about."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import msgspec
from aiohttp import web
from msgspec import UNSET

from actors.documents import encode, raw
from actors.messages import ExplainWait
from actors.moves import Moves
from interlock.clock import rfc3339
from interlock.errors import InterlockError, InvalidState, NotFound, PayloadTooLarge
from interlock.fleet import CreateInstance, InstancePage, PatchInstance, ServerInstance
from interlock.ids import is_id
from interlock.wire import Json, Nothing
from store.accounts import clean_name, create_instance
from store.fleet import InstanceRow, change_instance, delete_instance, instance_of, instances_page, open_jobs_of
from web.access import Member
from web.conditions import check, expected_tags, mark_of, tag_of, unchanged
from web.fleet_changes import change, tell_watchers
from web.fleet_endings import cancel_open_jobs, once_nothing_is_open
from web.pages import asked, cut, link
from web.parsing import clean_text, decode, read_json
from web.services import Services

_create = msgspec.json.Decoder(CreateInstance)
_patch = msgspec.json.Decoder(PatchInstance)
_nothing = msgspec.json.Decoder(Nothing)


async def list_all(request: web.Request, s: Services, who: Member) -> web.Response:
    """Oldest first; `?hostId=` narrows it to one host's."""
    page, host_id = asked(request), clean_text(request.query.get("hostId"), "hostId", 100)
    rows = await s.store.fetch(lambda db: instances_page(db, who.org_id, page.after, page.one_more, host_id))
    kept, cursor = cut(rows, page)
    body = encode(InstancePage(items=[_document(row) for row in kept], next_cursor=cursor))
    return web.Response(body=body, content_type="application/json", headers=link(request, cursor))


async def create(request: web.Request, s: Services, who: Member) -> web.Response:
    """201 with the instance, on a host of the same org."""
    wanted = decode(await read_json(request, s.web_limits.max_body_bytes), _create, s.web_limits.max_json_depth)
    config = _checked_config(wanted.config or {}, s.web_limits.max_payload_bytes)
    own_id, org_id, host_id = s.ids.new(), who.org_id, _checked_host(wanted.host_id)
    await change(s, who.by, lambda db, by: create_instance(db, own_id, org_id, host_id, wanted.name, by, config=config))
    tell_watchers(s, org_id, "instance", own_id)
    answer = _shown(await _row(s, who, own_id))
    answer.set_status(201)
    answer.headers["Location"] = f"/api/orgs/{org_id}/server-instances/{own_id}"
    return answer


async def show(request: web.Request, s: Services, who: Member) -> web.Response:
    """One instance."""
    answer = _shown(await _row(s, who, request.match_info["instance_id"]))
    return unchanged(request, answer.headers["ETag"]) or answer


async def patch(request: web.Request, s: Services, who: Member) -> web.Response:
    """What is given changes. It moves to another host only while no job about it is open, unless `?force=1` ends those."""
    instance_id, expected = request.match_info["instance_id"], expected_tags(request)
    wanted = decode(await read_json(request, s.web_limits.max_body_bytes), _patch, s.web_limits.max_json_depth)
    values = _changed(wanted, s.web_limits.max_payload_bytes)
    detail = {name: value for name, value in values.items() if name != "config"}

    async def write() -> InstanceRow | None:
        row = await _row(s, who, instance_id)
        check(expected, _mark(row), "The server instance")  # it is only written while it is as it was read here
        if not values:
            return row
        if values.get("host_id", row.host_id) == row.host_id:
            return await change(s, who.by, lambda db, by: change_instance(db, row, values, by, detail))
        async with _leaving(s, row) as moves:
            await _free(request, s, who, row)
            moved = await change(s, who.by, lambda db, by: change_instance(db, row, values, by, detail))
            if moved is not None:
                moves.has_left(row.id, row.host_id)
            return moved

    row = await once_nothing_is_open(write)
    s.lookups.forget_instance(instance_id)
    tell_watchers(s, who.org_id, "instance", instance_id)
    return _shown(row)


async def delete(request: web.Request, s: Services, who: Member) -> web.Response:
    """204 when it is gone; 409 while a job about it is open, unless `?force=1` ends those."""
    decode(await read_json(request, s.web_limits.max_body_bytes) or b"{}", _nothing, s.web_limits.max_json_depth)
    instance_id, expected = request.match_info["instance_id"], expected_tags(request)

    async def remove() -> bool | None:
        row = await _row(s, who, instance_id)
        check(expected, _mark(row), "The server instance")
        async with _leaving(s, row) as moves:
            await _free(request, s, who, row)
            gone = await change(s, who.by, lambda db, by: delete_instance(db, row, by))
            if gone is not None:
                moves.has_left(row.id, row.host_id, deleted=True)
            return gone

    await once_nothing_is_open(remove)
    s.lookups.forget_instance(instance_id)
    tell_watchers(s, who.org_id, "instance", instance_id, deleted=True)
    return web.Response(status=204)


@asynccontextmanager
async def _leaving(s: Services, row: InstanceRow) -> AsyncIterator[Moves]:
    """Meanwhile no job about it is taken in here; those that were taken in before are in the rows."""
    moves = s.directory.supervisor(row.org_id).moves
    moves.begin(row.id)
    try:
        if row.host_id in s.directory.hosts:
            with suppress(InterlockError):  # its actor has ended, and what was on its way to it with it
                await s.directory.ask(row.host_id, ExplainWait(job_id=""))
        yield moves
    finally:
        moves.end(row.id)


async def _free(request: web.Request, s: Services, who: Member, row: InstanceRow) -> None:
    """See that no job about it is open."""
    if request.query.get("force") in {"1", "true"}:
        await cancel_open_jobs(s, who, row.host_id, "Its instance went away", force=True, instance_id=row.id)
    elif open_jobs := await s.store.fetch(lambda db: open_jobs_of(db, row.host_id, 1000, row.id)):
        raise InvalidState("Jobs about the instance are open", current={"openJobs": len(open_jobs)})


def _changed(wanted: PatchInstance, most_bytes: int) -> dict[str, Any]:
    """The columns that change."""
    values: dict[str, Any] = {}
    if wanted.name is not UNSET:
        values["name"] = clean_name(wanted.name)
    if wanted.host_id is not UNSET:
        values["host_id"] = _checked_host(wanted.host_id)
    if wanted.config is not UNSET:
        values["config"] = _checked_config(wanted.config, most_bytes)
    return values


def _checked_host(host_id: str) -> str:
    if not is_id(host_id):
        raise NotFound("No such host")
    return host_id


def _checked_config(config: Json, most_bytes: int) -> str:
    text: bytes = encode(config)
    if len(text) > most_bytes:
        raise PayloadTooLarge(f"A config may have {most_bytes} bytes")
    return text.decode()


async def _row(s: Services, who: Member, instance_id: str) -> InstanceRow:
    row = await s.store.fetch(lambda db: instance_of(db, who.org_id, instance_id)) if is_id(instance_id) else None
    if row is None:
        raise NotFound("No such server instance")
    return row


def _shown(row: InstanceRow) -> web.Response:
    headers = {"ETag": tag_of(_mark(row))}
    return web.Response(body=encode(_document(row)), content_type="application/json", headers=headers)


def _mark(row: InstanceRow) -> str:
    return mark_of(encode(_document(row)))


def _document(row: InstanceRow) -> ServerInstance:
    return ServerInstance(
        id=row.id,
        org_id=row.org_id,
        host_id=row.host_id,
        name=row.name,
        config=raw(row.config),
        created_at=rfc3339(row.created_at),
    )
