"""`/setup`, the page to which the link leads that the server prints, and where `/` leads."""

from aiohttp import web

from web.services import Services
from web.set_up_page import PAGE, SCRIPT, STYLE

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none';"
    " frame-ancestors 'none'"
)
_HEADERS = {
    "Cache-Control": "no-cache",
    "X-Content-Type-Options": "nosniff",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "Content-Security-Policy": POLICY,
}


async def page(_request: web.Request, _s: Services, _: None) -> web.Response:
    """The form. It is the same before the set-up and after: only the answer to it tells."""
    return _text(PAGE, "text/html")


async def script(_request: web.Request, _s: Services, _: None) -> web.Response:
    """What the form does."""
    return _text(SCRIPT, "text/javascript")


async def style(_request: web.Request, _s: Services, _: None) -> web.Response:
    """How it looks."""
    return _text(STYLE, "text/css")


async def home(_request: web.Request, _s: Services, _: None) -> web.Response:
    """302 to the dashboard. The address is relative: a proxy may have added a path."""
    return web.Response(status=302, headers={"Location": "app/"})


def _text(text: str, kind: str) -> web.Response:
    return web.Response(text=text, content_type=kind, charset="utf-8", headers=_HEADERS)
