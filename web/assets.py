"""Files of a run: agents send them, users fetch them. The bytes go to the asset store, a row says whose they are.

A file is received under no name at all; when it is whole and durable its row is committed, and only then is it answered.
What is in between can be lost without harm.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import cast

from aiohttp import web

from actors.documents import encode, run_document
from actors.messages import AddEvidence
from interlock.clock import rfc3339
from interlock.errors import (
    InvalidRequest,
    InvalidState,
    NotFound,
    PayloadTooLarge,
    Unavailable,
    UnsupportedMediaType,
)
from interlock.ids import is_id
from interlock.states import LIVE, WAITING, StopReason
from interlock.wire import Asset, AssetAnswer, AssetPage, AssetRef, EvidenceEvent, RunState
from store.assets import AssetQuotas, AssetRow, add_asset, asset_of, asset_page, check_room
from store.jobs import job_and_run
from store.rows import JobRow, RunRow
from web.access import Agent, Member, stamp
from web.asset_bodies import disposition, name_from, sha256_from, type_from
from web.conditions import unchanged
from web.edge import EdgeHandler, RequestTimeout
from web.evidence import job_of_path
from web.pages import asked, cut, link
from web.ports import AssetDraft, AssetReader
from web.services import Services

PAGE = 100
MOST = 500
PORTION = 65_536  # bytes that must come within `request_body_seconds`, and that are written at once
WRITE_SECONDS = 60.0  # that a user's line may take for one portion of a download


async def put(request: web.Request, s: Services, who: Agent) -> web.Response:
    """Keep a file of a run; the same name and content again is answered alike, other content is another file."""
    name, wanted = name_from(request.match_info["name"]), sha256_from(request.headers)
    most = s.web_limits.max_asset_bytes
    if request.headers.get("Content-Encoding", "identity").lower() != "identity":
        raise UnsupportedMediaType("Compressed bodies are not read")
    if (request.content_length or 0) > most:
        raise PayloadTooLarge(f"A file may have {most} bytes")
    _, run = await _run_of(s, who, request.match_info["run_id"])
    asset = AssetRow(
        id=s.ids.new(),
        org_id=who.org_id,
        job_id=run.job_id,
        job_run_id=run.id,
        name=name,
        content_type=type_from(request.headers.get("Content-Type")),
        size_bytes=request.content_length or 0,
        sha256="",
        created_at=s.clock.now(),
    )
    quotas = _quotas(s)
    await s.store.fetch(lambda db: check_room(db, asset, quotas))
    kept, new = await _keep(request, s, asset, wanted)
    if new:
        event = EvidenceEvent(job_id=kept.job_id, job_run_id=kept.job_run_id, created=0, assets=1)
        s.streams.publish(who.org_id, "evidence.added", event)
    state = await _state(s, who, run.id)
    ref = AssetRef(id=kept.id, name=kept.name, size_bytes=kept.size_bytes, sha256=kept.sha256)
    answer = AssetAnswer(
        status=state.status,
        cancel_requested=state.cancel_requested,
        needs_user_action=state.needs_user_action,
        asset=ref,
    )
    return web.Response(body=encode(answer), content_type="application/json")


async def _keep(request: web.Request, s: Services, asset: AssetRow, wanted: str | None) -> tuple[AssetRow, bool]:
    quotas = _quotas(s)
    async with s.uploads.place(asset.org_id), _draft(s) as draft:
        await _receive(request, draft, s.web_limits.max_asset_bytes)
        whole = asset._replace(size_bytes=draft.size_bytes, sha256=draft.sha256)
        if wanted not in {None, whole.sha256}:
            raise InvalidRequest(f"The body's SHA-256 is {whole.sha256}, not what the header says: it came damaged")
        await s.store.fetch(lambda db: check_room(db, whole, quotas))
        await draft.keep()
    return await s.store.change(lambda db: add_asset(db, whole, quotas))


@asynccontextmanager
async def _draft(s: Services) -> AsyncIterator[AssetDraft]:
    draft = await s.assets.draft()
    try:
        yield draft
    finally:
        await draft.discard()


async def _receive(request: web.Request, draft: AssetDraft, most: int) -> None:
    """Read the body to its end. A slow line is waited for as long as it goes on: so many bytes in so many seconds."""
    connection = cast(EdgeHandler, request.protocol)
    seconds = connection.patience.body_seconds
    while not request.content.at_eof():
        portion = bytearray()
        try:
            async with asyncio.timeout(seconds):
                while len(portion) < PORTION and not request.content.at_eof():
                    portion += await request.content.readany()
        except TimeoutError:
            connection.answer_and_close(request)
            raise RequestTimeout(f"{PORTION} bytes of a file may take {seconds:g} s") from None
        if draft.size_bytes + len(portion) > most:
            connection.answer_and_close(request)
            raise PayloadTooLarge(f"A file may have {most} bytes")
        await draft.write(bytes(portion))


async def _run_of(s: Services, who: Agent, run_id: str) -> tuple[JobRow, RunRow]:
    """The path's run and its job: the run must be this host's and have started; it may have ended."""
    job, run = await s.store.fetch(lambda db: job_and_run(db, run_id)) if is_id(run_id) else (None, None)
    if job is None or run is None or run.host_id != who.host_id:
        raise NotFound("No such run on this host")
    if run.status in WAITING and not run.offers:
        raise InvalidState(f"The run is {run.status}: it has not started", current=run_document(run))
    return job, run


async def _state(s: Services, who: Agent, run_id: str) -> RunState:
    """From the host's actor, for which it is a sign of life; where another node has that, from the rows."""
    if s.cluster is None or s.directory.holds(who.host_id):
        state: RunState = await s.directory.ask(who.host_id, AddEvidence(job_run_id=run_id, items=()))
        return state
    job, run = await _run_of(s, who, run_id)
    stopping = run.stop_reason is not StopReason.NONE or run.asked_to_stop is not None
    waiting = job.needs_user_action and run.status in LIVE
    return RunState(status=run.status, cancel_requested=stopping, needs_user_action=waiting)


def _quotas(s: Services) -> AssetQuotas:
    limits = s.web_limits
    return AssetQuotas(limits.max_assets_per_job, limits.max_asset_bytes_per_job, limits.max_asset_bytes_per_org)


async def list_all(request: web.Request, s: Services, who: Member) -> web.Response:
    """The files of a job, oldest first; the cursor is the last one's id."""
    job_id = await job_of_path(request, s, who)
    page = asked(request, most=MOST, default=PAGE)
    rows = await s.store.fetch(lambda db: asset_page(db, job_id, page.after, page.one_more))
    kept, cursor = cut(rows, page)
    body = encode(AssetPage(items=[_document(row) for row in kept], next_cursor=cursor))
    return web.Response(body=body, content_type="application/json", headers=link(request, cursor))


async def download(request: web.Request, s: Services, who: Member) -> web.StreamResponse:
    """One file, to be saved: a browser neither shows it nor runs anything in it."""
    job_id, asset_id = await job_of_path(request, s, who), request.match_info["asset_id"]
    asset = await s.store.fetch(lambda db: asset_of(db, job_id, asset_id)) if is_id(asset_id) else None
    if asset is None:
        raise NotFound("No such file")
    headers = _headers(asset)
    known = unchanged(request, headers["ETag"])
    if known is not None:
        return known
    reader = await s.assets.open(asset.sha256)
    try:
        if reader is None or reader.size_bytes != asset.size_bytes:
            raise Unavailable("The file is not on this server; do all of them share one asset folder?", retry_after=30)
        return await _send(request, reader, headers)
    finally:
        if reader is not None:
            await reader.close()


async def _send(request: web.Request, reader: AssetReader, headers: dict[str, str]) -> web.StreamResponse:
    response = web.StreamResponse(headers=headers)
    response.content_length = reader.size_bytes
    stamp(request, response)
    await response.prepare(request)
    try:
        while portion := await reader.read():
            async with asyncio.timeout(WRITE_SECONDS):
                await response.write(portion)
        await response.write_eof()
    except (TimeoutError, Unavailable):
        cast(EdgeHandler, request.protocol).force_close()  # it cannot be said any more that the rest will not come
    return response


def _headers(asset: AssetRow) -> dict[str, str]:
    return {
        "Content-Type": asset.content_type,
        "Content-Disposition": disposition(asset.name),
        "ETag": f'"{asset.sha256}"',
        "X-Content-Type-Options": "nosniff",
        "Content-Security-Policy": "sandbox; default-src 'none'",
        "Cross-Origin-Resource-Policy": "same-origin",
        "Cache-Control": "private, no-cache",
    }


def _document(row: AssetRow) -> Asset:
    return Asset(
        id=row.id,
        job_id=row.job_id,
        job_run_id=row.job_run_id,
        name=row.name,
        content_type=row.content_type,
        size_bytes=row.size_bytes,
        sha256=row.sha256,
        created_at=rfc3339(row.created_at),
    )
