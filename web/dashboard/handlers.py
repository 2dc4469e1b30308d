"""`/app`: the same page for every address below it, and the files that it loads."""

import asyncio

from aiohttp import web

from interlock.errors import NotFound
from web.conditions import unchanged
from web.dashboard import files
from web.packing import takes_gzip
from web.services import Services

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; connect-src 'self';"
    " form-action 'none'; base-uri 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"
)
_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "Vary": "Accept-Encoding",
}
_PAGE_HEADERS = _HEADERS | {
    "Cache-Control": "no-cache",
    "Content-Security-Policy": POLICY,
    "Cross-Origin-Opener-Policy": "same-origin",
}
_FILE_HEADERS = _HEADERS | {"Cache-Control": "public, max-age=31536000, immutable"}


async def page(request: web.Request, _s: Services, _: None) -> web.Response:
    """The page, whatever stands behind `/app/`: its own script looks at that."""
    path = request.match_info.get("path")
    if path is not None and path.count("/") > files.DEEPEST:
        raise NotFound("There is no such page")
    await _read()
    return _answer(request, files.index(path), _PAGE_HEADERS)


async def static(request: web.Request, _s: Services, _: None) -> web.Response:
    """A file of this version; another version's is 404, so that a page never mixes two of them."""
    await _read()
    found = files.assets().get(request.match_info["path"])
    if found is None or request.match_info["version"] != files.version():
        raise NotFound("There is no such file in this version")
    return _answer(request, found, _FILE_HEADERS)


async def _read() -> None:
    """The first to come has the files read and compressed, in a thread."""
    if not files.are_read():
        await asyncio.to_thread(files.version)


def _answer(request: web.Request, asset: files.Asset, headers: dict[str, str]) -> web.Response:
    headers = headers | {"ETag": asset.tag}
    same = unchanged(request, asset.tag)
    if same is not None:
        return same
    packed = asset.packed if takes_gzip(request) else None
    if packed is not None:
        headers["Content-Encoding"] = "gzip"
    body = asset.body if packed is None else packed
    charset = None if asset.kind.startswith("image/") else "utf-8"
    return web.Response(body=body, content_type=asset.kind, charset=charset, headers=headers)
