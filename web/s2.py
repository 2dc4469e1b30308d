"""S2's own names, on S2's own routes: `input` is payload, `tenantId` is orgId, `_count` is counts."""

from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
from aiohttp import web

from web.access import Member
from web.services import Services

Handler = Callable[[web.Request, Services, Member], Awaitable[web.StreamResponse]]

_WITH_JOBS = frozenset({200, 201, 202})  # the statuses of answers that are a job or a page of jobs


def with_s2_names(handler: Handler) -> Handler:
    """The handler, whose job or page of jobs also carries S2's names."""

    async def answer(request: web.Request, s: Services, who: Member) -> web.StreamResponse:
        response = await handler(request, s, who)
        if isinstance(response, web.Response) and response.status in _WITH_JOBS:
            response.body = _with_names(response.body)
        return response

    return answer


def _with_names(body: Any) -> bytes:
    document = msgspec.json.decode(body)
    for job in document.get("items", [document]):
        _add_names(job)
    return msgspec.json.encode(document)


def _add_names(job: dict[str, Any]) -> None:
    counts = job["counts"]
    job["input"], job["tenantId"] = job["payload"], job["orgId"]
    job["_count"] = {"evidence": counts["evidence"], "jobLogs": counts["logs"]}
