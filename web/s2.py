"""S2's own names, on S2's own routes: `input` is payload, `tenantId` is orgId, `_count` is counts."""

from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
from aiohttp import web

from web.access import Member
from web.services import Services

Handler = Callable[[web.Request, Services, Member], Awaitable[web.Response]]


def with_s2_names(handler: Handler) -> Handler:
    """The handler, whose job or page of jobs also carries S2's names."""

    async def answer(request: web.Request, s: Services, who: Member) -> web.Response:
        response = await handler(request, s, who)
        if isinstance(response.body, bytes) and response.body:
            document = msgspec.json.decode(response.body)
            for job in document.get("items", [document]):
                _add_names(job)
            response.body = msgspec.json.encode(document)
        return response

    return answer


def _add_names(job: dict[str, Any]) -> None:
    counts = job["counts"]
    job["input"], job["tenantId"] = job["payload"], job["orgId"]
    job["_count"] = {"evidence": counts["evidence"], "jobLogs": counts["logs"]}
