"""`/openapi.json` and `/docs`: made for the first who asks, and kept."""

import asyncio
from importlib import import_module
from typing import Any

from aiohttp import web

from web.conditions import unchanged
from web.services import Services

_KNOWN = {
    "Cache-Control": "no-cache",
    "X-Content-Type-Options": "nosniff",
    "Cross-Origin-Resource-Policy": "same-origin",
}


async def document(request: web.Request, s: Services, _: None) -> web.Response:
    """The document, which anybody may read."""
    made = await _made(s)
    return _answer(request, made.document, "application/json", made.tag, {})


async def page(request: web.Request, s: Services, _: None) -> web.Response:
    """The same for people: a page without scripts."""
    made = await _made(s)
    headers = {"Content-Security-Policy": made.policy, "Referrer-Policy": "no-referrer"}
    return _answer(request, made.page, "text/html", made.tag, headers)


async def _made(s: Services) -> Any:
    module: Any = await asyncio.to_thread(import_module, "web.openapi")
    return await asyncio.to_thread(module.make, s.web_limits)


def _answer(request: web.Request, body: bytes, kind: str, tag: str, headers: dict[str, str]) -> web.Response:
    headers = _KNOWN | headers | {"ETag": tag}
    charset = "utf-8" if kind == "text/html" else None
    whole = web.Response(body=body, content_type=kind, charset=charset, headers=headers)
    return unchanged(request, tag) or whole
