"""From a request to its handler by the parts of its path: aiohttp's own way there takes a twentieth of a request.

That way cuts the path down end by end, matches what is left as a pattern, and wraps the handler for applications inside
applications. Here the parts stand in a tree. Whatever is not found there in the plainest form (an escaped character, an
`Expect`, a method that the path does not have, a pattern) takes aiohttp's way, which alone decides what is refused.
"""

from collections.abc import Awaitable, Callable
from typing import NamedTuple

from aiohttp import web

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
Around = Callable[[web.Request, Handler], Awaitable[web.StreamResponse]]


class _End(NamedTuple):
    """Where a path and a method lead."""

    names: tuple[str, ...]  # of the parts that vary, in their order
    route: web.AbstractRoute


class _Part:
    """What a path may go on with."""

    __slots__ = ("any", "ends", "named")

    def __init__(self) -> None:
        self.named: dict[str, _Part] = {}
        self.any: _Part | None = None
        self.ends: dict[str, _End] = {}  # by method, for a path that ends here

    def anything(self) -> "_Part":
        """What comes behind a part that varies."""
        self.any = self.any or _Part()
        return self.any


class ShortWay:
    """The handler of every request of an application; `around` is its only middleware. Its routes are added to both."""

    def __init__(self, app: web.Application, around: Around) -> None:
        self._app = app
        self._around = around
        self._root = _Part()

    def add(self, route: web.AbstractRoute, path: str) -> None:
        """Let requests go to the route directly; one with a pattern in its path is left to aiohttp."""
        names: list[str] = []
        place = self._root
        for part in path.split("/")[1:]:
            if not part.startswith("{"):
                place = place.named.setdefault(part, _Part())
            elif ":" in part:
                return
            else:
                names.append(part[1:-1])
                place = place.anything()
        place.ends[route.method] = _End(tuple(names), route)

    def find(self, method: str, path: str) -> tuple[web.AbstractRoute, dict[str, str]] | None:
        """The route and what its names stand for, unless aiohttp is to be asked; `path` as it came, without its query."""
        place = self._root
        values: list[str] = []
        nothing, *parts = path.split("/")
        if nothing:
            return None
        for part in parts:
            named = place.named.get(part)
            if named is not None:
                place = named
            elif place.any is not None and part:
                values.append(part)
                place = place.any
            else:
                return None
        end = place.ends.get(method)
        if end is None or "%" in path:
            return None
        return end.route, dict(zip(end.names, values, strict=True))

    async def __call__(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer the request."""
        found = None if "Expect" in request.headers else self.find(request.method, request.rel_url.raw_path)
        if found is None or not isinstance(request, web.Request):
            return await self._app._handle(request)  # type: ignore[arg-type]  # noqa: SLF001 - what a server calls
        route, values = found
        match = web.UrlMappingMatchInfo(values, route)
        match.add_app(self._app)
        match.freeze()
        request._match_info = match  # noqa: SLF001 - as aiohttp's own way sets it
        return await self._around(request, route.handler)


SHORT_WAY: web.AppKey[ShortWay] = web.AppKey("short_way", ShortWay)
