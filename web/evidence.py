"""Evidence for users: what agents have found for a job, page by page, oldest first."""

from aiohttp import web

from actors.documents import encode
from interlock.clock import rfc3339
from interlock.errors import NotFound
from interlock.ids import is_id
from interlock.wire import Evidence, EvidencePage
from store.evidence import EvidenceRow, evidence_page
from store.jobs import org_and_host_of_job
from web.access import Member
from web.pages import asked, cut, link
from web.services import Services

PAGE = 100
MOST = 500


async def list_all(request: web.Request, s: Services, who: Member) -> web.Response:
    """`{"items": […], "nextCursor"}`; the cursor is the last item's id."""
    job_id = await job_of_path(request, s, who)
    page = asked(request, most=MOST, default=PAGE)
    rows = await s.store.fetch(lambda db: evidence_page(db, job_id, page.after, page.one_more))
    kept, cursor = cut(rows, page)
    body = encode(EvidencePage(items=[_document(row) for row in kept], next_cursor=cursor))
    return web.Response(body=body, content_type="application/json", headers=link(request, cursor))


async def job_of_path(request: web.Request, s: Services, who: Member) -> str:
    """The path's job, which must be the member's org's."""
    job_id = request.match_info["job_id"]
    found = await s.store.fetch(lambda db: org_and_host_of_job(db, job_id)) if is_id(job_id) else None
    if found is None or found[0] != who.org_id:
        raise NotFound("No such job")
    return job_id


def _document(row: EvidenceRow) -> Evidence:
    return Evidence(
        id=row.id,
        job_id=row.job_id,
        job_run_id=row.job_run_id,
        type=row.type,
        title=row.title,
        source=row.source,
        url=row.url,
        snippet=row.snippet,
        confidence=row.confidence,
        collected_at=rfc3339(row.collected_at),
        hash=row.hash,
        size_bytes=row.size_bytes,
        created_at=rfc3339(row.created_at),
    )
