"""The organization's audit trail, for its admins."""

from aiohttp import web

from actors.documents import encode, raw
from interlock.clock import rfc3339
from interlock.fleet import AuditLine, AuditPage
from store.audit_trail import AuditFilter, AuditRow, audit_page, audit_reach
from web.access import Member
from web.pages import asked, cut, link
from web.parsing import clean_text
from web.services import Services


async def list_all(request: web.Request, s: Services, who: Member) -> web.Response:
    """Newest first; `?action=`, `?actorId=` and `?targetId=` narrow it."""
    page, query = asked(request), request.query
    narrow = AuditFilter(
        action=clean_text(query.get("action"), "action", 100),
        actor_id=clean_text(query.get("actorId"), "actorId", 100),
        target_id=clean_text(query.get("targetId"), "targetId", 100),
    )
    reach = await s.store.fetch(lambda db: audit_reach(db, who.org_id, narrow, page.after))
    rows = await s.store.fetch(lambda db: audit_page(db, who.org_id, narrow, page.after, page.one_more, reach))
    kept, cursor = cut(rows, page)
    cursor = cursor or reach or None
    body = encode(AuditPage(items=[_document(row) for row in kept], next_cursor=cursor))
    return web.Response(body=body, content_type="application/json", headers=link(request, cursor))


def _document(row: AuditRow) -> AuditLine:
    return AuditLine(**(row._asdict() | {"at": rfc3339(row.at), "detail": raw(row.detail)}))
