"""Cancel or retry many jobs with one request, which does a bounded part of the work and says where to go on."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace

import msgspec
from aiohttp import web

from actors.documents import encode
from actors.messages import CancelJob, RetryJob
from interlock.bulk import BulkFilter, BulkJobs, BulkResult
from interlock.clock import parse_rfc3339
from interlock.errors import InterlockError, InvalidRequest, InvalidState, NotFound, Unavailable
from interlock.ids import is_id
from interlock.states import JobStatus
from store.job_lists import jobs_in
from store.jobs import JobFilter, statuses_of
from web import job_places
from web.access import Member
from web.parsing import decode, read_json
from web.services import Services

COUNTED = 50_000  # jobs that a dry run counts at most
TOGETHER = 100  # jobs that are under way at once
_BUSY = "busy"
SHARE = 0.5  # of `answer_seconds`: then the rest is left to the next request
MAX_REASON = 1000  # characters that are kept

_FITS = {
    "cancel": (JobStatus.PENDING, JobStatus.RUNNING),
    "retry": (JobStatus.FAILED, JobStatus.CANCELLED),
}
_decoder = msgspec.json.Decoder(BulkJobs)


async def operate(request: web.Request, s: Services, who: Member) -> web.Response:
    """200 with counts. Each job is decided for itself, as if it had been asked for alone."""
    wanted = decode(await read_json(request, s.web_limits.max_body_bytes), _decoder, s.web_limits.max_json_depth)
    _check(wanted, s.web_limits.max_batch_jobs)
    result = BulkResult(op=wanted.op, dry_run=wanted.dry_run)
    found = await (_named if wanted.ids is not None else _filtered)(s, who, wanted, result)
    result.matched = len(found)
    if not wanted.dry_run:
        await _work(s, who, wanted, found, result)
    return web.Response(body=encode(result), content_type="application/json")


def _check(wanted: BulkJobs, most: int) -> None:
    if (wanted.ids is None) == (wanted.filter is None):
        raise InvalidRequest.at("$", "give either ids or filter")
    if wanted.ids is not None and len(wanted.ids) > most:
        raise InvalidRequest.at("$.ids", f"up to {most} ids at once")
    if wanted.force and wanted.op != "cancel":
        raise InvalidRequest.at("$.force", "only a cancel can be forced")
    if wanted.cursor is not None and (wanted.ids is not None or not is_id(wanted.cursor)):
        raise InvalidRequest.at("$.cursor", "expected a cursor that an earlier answer gave, with its filter")


async def _named(s: Services, who: Member, wanted: BulkJobs, result: BulkResult) -> list[str]:
    """Those of the ids that are jobs in a state for it; the rest is skipped."""
    ids = list(dict.fromkeys(wanted.ids or []))
    known = [job_id for job_id in ids if is_id(job_id)]
    statuses = await s.store.fetch(lambda db: statuses_of(db, who.org_id, known)) if known else {}
    found = [job_id for job_id in known if statuses.get(job_id) in _FITS[wanted.op]]
    result.skipped = len(ids) - len(found)
    return found


async def _filtered(s: Services, who: Member, wanted: BulkJobs, result: BulkResult) -> list[str]:
    """Those that the filter fits and that are in a state for it, newest first."""
    narrow = _narrow(wanted.filter or BulkFilter(), wanted.cursor)
    most = COUNTED if wanted.dry_run else s.web_limits.max_batch_jobs
    jobs = await s.store.fetch(lambda db: jobs_in(db, who.org_id, narrow, _FITS[wanted.op], most + 1))
    found = [job_id for job_id, _ in jobs[:most]]
    result.next_cursor = found[-1] if len(jobs) > most else None
    return found


def _narrow(wanted: BulkFilter, cursor: str | None) -> JobFilter:
    if wanted.status is not None and wanted.status not in set(JobStatus):
        raise InvalidRequest.at("$.filter.status", f"expected one of {', '.join(JobStatus)}")
    for name, text in (("type", wanted.type), ("hostId", wanted.host_id), ("createdBy", wanted.created_by)):
        _check_text(name, text, 100)
    _check_text("q", wanted.q, 200)
    narrow = JobFilter(
        status=wanted.status,
        type=wanted.type,
        host_id=wanted.host_id,
        created_by_id=wanted.created_by,
        text=wanted.q or None,
        before_id=cursor,
    )
    if wanted.since is None:
        return narrow
    return replace(narrow, since=parse_rfc3339(wanted.since, path="$.filter.since"))


def _check_text(name: str, text: str | None, most: int) -> None:
    if text is not None and (len(text) > most or not text.isprintable()):
        raise InvalidRequest.at(f"$.filter.{name}", f"expected up to {most} printable characters")


async def _work(s: Services, who: Member, wanted: BulkJobs, found: Sequence[str], result: BulkResult) -> None:
    """Part by part, until all is done or it has taken long enough."""
    ends_at = s.clock.now() + s.web_limits.answer_seconds * SHARE * 1000
    for start in range(0, len(found), TOGETHER):
        part = found[start : start + TOGETHER]
        outcomes = await asyncio.gather(*(_one(s, who, wanted, job_id) for job_id in part))
        for job_id, first in zip(part, outcomes, strict=True):
            # A host that is asked for many at once may be too busy to look back: then one by one.
            again = first == _BUSY and s.clock.now() < ends_at
            done = (await _one(s, who, wanted, job_id)) if again else first
            counted = "failed" if done == _BUSY else done
            setattr(result, counted, getattr(result, counted) + 1)
        left = len(found) - start - len(part)
        if left and s.clock.now() >= ends_at:
            if wanted.ids is None:
                result.next_cursor, result.matched = part[-1], result.matched - left
            else:
                result.failed += left  # to be sent again: those that are done are skipped then
            return


async def _one(s: Services, who: Member, wanted: BulkJobs, job_id: str) -> str:
    """What it came to: done, asked, skipped (it has moved meanwhile), failed, or busy: to be tried again."""
    try:
        if wanted.op == "retry":
            await job_places.retry(s, who, RetryJob(job_id=job_id, by=who.by))
            return "done"
        reason = None if wanted.reason is None else wanted.reason[:MAX_REASON]
        cancel = CancelJob(job_id=job_id, by=who.by, force=wanted.force, reason=reason)
        return "done" if await job_places.cancel(s, who, cancel) else "asked"
    except (InvalidState, NotFound):
        return "skipped"
    except Unavailable:
        return _BUSY
    except InterlockError:
        return "failed"
