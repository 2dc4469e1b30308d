"""Jobs for users: create, list, show, cancel, retry, resolve."""

import asyncio
import hashlib
import logging
from typing import Any

import msgspec
from aiohttp import web

from actors import messages
from actors.documents import encode
from actors.host_state import SEEN_SAVED_EVERY
from actors.waits import paused
from interlock.clock import parse_rfc3339
from interlock.errors import (
    CallerError,
    InterlockError,
    InvalidRequest,
    InvalidState,
    NotFound,
    PayloadTooLarge,
    Unavailable,
)
from interlock.ids import is_id
from interlock.job_sort import JobSort
from interlock.states import JobStatus
from interlock.wire import CancelJob, CreateJob, JobPage, Nothing, Wait
from store.job_cursors import Place, place_in
from store.job_lists import list_jobs
from store.jobs import FullJob, JobFilter, full_job, glance_at_hosts
from web import job_places
from web.access import Member
from web.answers import Answer
from web.conditions import unchanged
from web.documents import document
from web.idempotency import key_from
from web.job_ends import ENDS
from web.log_context import REQUEST_ID
from web.new_jobs import decoder, new_job
from web.pages import how_many, link
from web.parsing import clean_text, decode, raw_items, read_json
from web.pass_on import pass_to_owner
from web.preferences import APPLIED
from web.problems import problem
from web.services import Services
from web.trace import trace_of
from web.waits import wait_from_rows

log = logging.getLogger(__name__)

_nothing = msgspec.json.Decoder(Nothing)
_cancel = msgspec.json.Decoder(CancelJob)

BREATH = 65_536  # bytes of a batch that are looked at in one go: some ms


async def create(request: web.Request, s: Services, who: Member) -> web.Response:
    """201 once the job is on disk; with `Prefer: wait` once it has ended, or with what it is after the wait."""
    body = await read_json(request, s.web_limits.max_body_bytes)
    wanted = decode(body, decoder, s.web_limits.max_json_depth)
    key = key_from(request.headers.get("Idempotency-Key"), who.person.id, "create", body)
    trace = trace_of(request)
    headers: dict[str, str] = {}
    if key is None:
        made = await _create(s, who, wanted, None, trace)
    else:
        made, replayed = await s.idempotency.once(who.org_id, key, lambda: _create(s, who, wanted, key, trace))
        if replayed:
            headers["Idempotency-Replayed"] = "true"
    job_id = made[7:43].decode()  # it begins {"id":"…
    headers["Location"] = f"/api/orgs/{who.org_id}/jobs/{job_id}"
    applied = await request.app[ENDS].wait(request, s, who.org_id, job_id)
    if applied is not None:
        made, headers[APPLIED] = await _document(s, who, job_id), applied
    return Answer(made, status=201, headers=headers)


async def _create(s: Services, who: Member, wanted: Any, key: messages.Idempotency | None, trace: str | None) -> bytes:
    job = await new_job(s, who, wanted, trace)
    made: bytes = await s.directory.ask_org(who.org_id, messages.CreateJob(job=job, by=who.by, idempotency=key))
    return made


async def create_batch(request: web.Request, s: Services, who: Member) -> web.Response:
    """Each item for itself; one that is refused does not sink the rest."""
    body = await read_json(request, s.web_limits.max_batch_bytes)
    items = raw_items(body, "jobs", s.web_limits.max_batch_jobs)
    key = key_from(request.headers.get("Idempotency-Key"), who.person.id, "batch", body)
    trace = trace_of(request)
    if key is None:
        made = await _create_all(s, who, items, request[REQUEST_ID], trace)
        return Answer(made)
    made, replayed = await s.idempotency.once_in_parts(
        who.org_id, key, lambda: _create_keyed(s, who, items, key, request[REQUEST_ID], trace)
    )
    headers = {"Idempotency-Replayed": "true"} if replayed else {}
    return Answer(made, headers=headers)


async def _create_all(s: Services, who: Member, items: list[msgspec.Raw], request_id: str, trace: str | None) -> bytes:
    """All items under way at once, so that they share a few commits; the answers in their order."""
    wanted: list[messages.NewJob | InterlockError] = []
    looked_at = 0
    for item in items:
        wanted.append(await _wanted(s, who, item, trace))
        looked_at += len(bytes(item))
        if looked_at > BREATH:
            looked_at = 0
            await asyncio.sleep(0)  # others want the loop too
    jobs = tuple(job for job in wanted if isinstance(job, messages.NewJob))
    made = iter(await s.directory.ask_org(who.org_id, messages.CreateJobs(jobs=jobs, by=who.by)) if jobs else ())
    return _results([_result(next(made) if isinstance(job, messages.NewJob) else job, request_id) for job in wanted])


async def _create_keyed(
    s: Services,
    who: Member,
    items: list[msgspec.Raw],
    key: messages.Idempotency,
    request_id: str,
    trace: str | None,
) -> tuple[bytes, bool]:
    """Each item under a key of its own: after a crash half-way, the rest is made and nothing twice. Whether the answer is
    final: an item that may succeed later is tried again when the batch comes again.
    """
    keyed = [_once(s, who, bytes(item), key._replace(key=f"{key.key}#{i}"), trace) for i, item in enumerate(items)]
    made = await asyncio.gather(*keyed, return_exceptions=True)
    undecided = any(isinstance(each, BaseException) and not isinstance(each, CallerError) for each in made)
    return _results([_result(each, request_id) for each in made]), not undecided


def _results(results: list[bytes]) -> bytes:
    return b'{"results":[' + b",".join(results) + b"]}"


async def _wanted(s: Services, who: Member, item: msgspec.Raw, trace: str | None) -> messages.NewJob | InterlockError:
    try:
        return await new_job(s, who, _read(s, bytes(item)), trace)
    except InterlockError as error:
        return error


def _read(s: Services, item: bytes) -> CreateJob:
    """One of a batch: as large as it might be by itself, for decoding it holds the loop."""
    if len(item) > s.web_limits.max_body_bytes:
        raise PayloadTooLarge(f"A job of a batch may have {s.web_limits.max_body_bytes} bytes")
    return decode(item, decoder, s.web_limits.max_json_depth)


async def _once(s: Services, who: Member, item: bytes, key: messages.Idempotency, trace: str | None) -> bytes:
    wanted = _read(s, item)
    made, _ = await s.idempotency.once(who.org_id, key, lambda: _create(s, who, wanted, key, trace))
    return made


def _result(made: bytes | BaseException, request_id: str) -> bytes:
    if not isinstance(made, BaseException):
        return b'{"job":' + made + b"}"
    if not isinstance(made, InterlockError):
        log.error("An item of batch %s failed unexpectedly", request_id, exc_info=made)
        made = Unavailable("This could not be decided")  # the other items' answers must not sink
    return b'{"error":' + encode(problem(made, request_id)) + b"}"


async def list_all(request: web.Request, s: Services, who: Member) -> web.Response:
    """Newest first unless sorted otherwise, each with its latest run; activates no actor."""
    limit, narrow, sort = how_many(request), _filter(request), _sort(request)
    after = _after(request, sort)
    jobs, cursor = await s.store.fetch(lambda db: list_jobs(db, who.org_id, narrow, limit, sort, after))
    waiting = sorted({full.job.host_id for full in jobs if full.job.host_id and full.job.status == JobStatus.PENDING})
    hosts = await s.store.fetch(lambda db: glance_at_hosts(db, waiting)) if waiting else {}
    pooled = await job_places.waits_in_pool(s, who.org_id, jobs)
    now, offline_after = s.clock.now(), s.limits.offline_after_ms + SEEN_SAVED_EVERY
    waits = [pooled.get(full.job.id) or wait_from_rows(full, hosts, now, offline_after) for full in jobs]
    items = [document(full, wait) for full, wait in zip(jobs, waits, strict=True)]
    body = encode(JobPage(items=items, next_cursor=cursor))
    return web.Response(body=body, content_type="application/json", headers=link(request, cursor))


def _filter(request: web.Request) -> JobFilter:
    query = request.query
    status, since = query.get("status"), query.get("since")
    if status is not None and status not in set(JobStatus):
        raise InvalidRequest.at("?status", f"expected one of {', '.join(JobStatus)}")
    return JobFilter(
        status=status,
        type=clean_text(query.get("type"), "type", 100),
        host_id=clean_text(query.get("hostId"), "hostId", 100),
        created_by_id=clean_text(query.get("createdBy"), "createdBy", 100),
        since=None if since is None else parse_rfc3339(since.replace(" ", "+"), path="?since"),
        text=clean_text(query.get("q"), "q", 200),
    )


def _sort(request: web.Request) -> JobSort:
    sort = request.query.get("sort", JobSort.NEWEST)
    if sort not in set(JobSort):
        raise InvalidRequest.at("?sort", f"expected one of {', '.join(JobSort)}")
    return JobSort(sort)


def _after(request: web.Request, sort: JobSort) -> Place | None:
    cursor = request.query.get("cursor", "")
    try:
        return place_in(sort, cursor) if cursor else None
    except ValueError as error:
        raise InvalidRequest.at("?cursor", "expected a cursor that an earlier page gave, in the same order") from error


async def show(request: web.Request, s: Services, who: Member) -> web.Response:
    """One job with all its runs; why it waits comes from its host's actor."""
    job_id = request.match_info["job_id"]
    applied = await request.app[ENDS].wait(request, s, who.org_id, job_id)
    answer = _shown(request, await _document(s, who, job_id))
    if applied is not None:
        answer.headers[APPLIED] = applied
    return answer


def _shown(request: web.Request, body: bytes, status: int = 200) -> web.Response:
    tag = f'"{hashlib.sha256(body).hexdigest()[:32]}"'
    known = unchanged(request, tag) if request.method == "GET" else None
    return known or web.Response(body=body, status=status, content_type="application/json", headers={"ETag": tag})


async def _document(s: Services, who: Member, job_id: str) -> bytes:
    full = await _full(s, who, job_id)
    wait: Wait | None = None
    host_id = full.job.host_id
    if host_id is None:
        wait = (await job_places.waits_in_pool(s, who.org_id, [full], one=True)).get(job_id)
    elif full.job.status is JobStatus.PENDING:
        if s.cluster is not None and not s.directory.holds(host_id):
            wait = await _wait_from_rows(s, full)
        else:
            wait = await s.directory.ask(host_id, messages.ExplainWait(job_id=job_id))
            if wait is not None and wait.reason == "host_paused":
                wait = await _with_who_paused(s, host_id, wait)
        if wait is None:
            full = await _full(s, who, job_id)  # it has just been started or ended
            if (
                full.job.status is JobStatus.PENDING
            ):  # or it is another node's news, and the actor has yet to hear of it
                wait = await _wait_from_rows(s, full)
    return encode(document(full, wait))


async def _with_who_paused(s: Services, host_id: str, wait: Wait) -> Wait:
    """The actor knows the note, and the rows the person's name."""
    host = (await s.store.fetch(lambda db: glance_at_hosts(db, [host_id]))).get(host_id)
    return wait if host is None else msgspec.structs.replace(wait, detail=paused(host.paused_by, host.note))


async def _wait_from_rows(s: Services, full: FullJob) -> Wait | None:
    hosts = await s.store.fetch(lambda db: glance_at_hosts(db, [full.job.host_id or ""]))
    return wait_from_rows(full, hosts, s.clock.now(), s.limits.offline_after_ms + SEEN_SAVED_EVERY)


async def _full(s: Services, who: Member, job_id: str) -> FullJob:
    full = await s.store.fetch(lambda db: full_job(db, who.org_id, job_id)) if is_id(job_id) else None
    if full is None:
        raise NotFound("No such job")
    return full


async def cancel(request: web.Request, s: Services, who: Member) -> web.Response:
    """200 when it is CANCELLED, 202 while its agent is being asked."""
    body = await read_json(request, s.web_limits.max_body_bytes)
    wanted = decode(body or b"{}", _cancel, s.web_limits.max_json_depth)
    reason = None if wanted.reason is None else wanted.reason[:1000]
    job_id = request.match_info["job_id"]
    message = messages.CancelJob(job_id=job_id, by=who.by, force=wanted.force, reason=reason)
    done = await job_places.cancel(s, who, message)
    return _shown(request, await _document(s, who, job_id), 200 if done else 202)


async def retry(request: web.Request, s: Services, who: Member) -> web.Response:
    """A FAILED or CANCELLED job is tried afresh."""
    body = await read_json(request, s.web_limits.max_body_bytes)
    decode(body or b"{}", _nothing, s.web_limits.max_json_depth)
    job_id = request.match_info["job_id"]
    await job_places.retry(s, who, messages.RetryJob(job_id=job_id, by=who.by))
    return _shown(request, await _document(s, who, job_id))


async def resolve(request: web.Request, s: Services, who: Member) -> web.StreamResponse:
    """A user has done what a run waited for: its agent is told to go on."""
    body = await read_json(request, s.web_limits.max_body_bytes)
    decode(body or b"{}", _nothing, s.web_limits.max_json_depth)
    job_id = request.match_info["job_id"]
    job = (await _full(s, who, job_id)).job
    if not job.needs_user_action or job.host_id is None:
        raise InvalidState("The job waits for no user", current={"status": job.status, "needsUserAction": False})
    passed = await pass_to_owner(request, s, job.host_id)
    if passed is not None:
        return passed
    await s.directory.ask(job.host_id, messages.ResolveAction(job_id=job_id, by=who.by))
    return _shown(request, await _document(s, who, job_id))
