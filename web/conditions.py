"""Conditional requests: `ETag`, `If-None-Match` (304) and, on what carries a version, `If-Match` (412)."""

import re

from aiohttp import web

_TAG = re.compile(r'(?:W/)?"([^"]*)"')
_VERSION = re.compile(r"[0-9]{1,18}", re.ASCII)


def tag_of(version: int) -> str:
    """The version as an `ETag`."""
    return f'"{version}"'


def unchanged(request: web.Request, tag: str) -> web.Response | None:
    """The answer to who has what carries this `ETag` already; None when it is to be sent."""
    known = {text.strip().removeprefix("W/") for text in request.headers.get("If-None-Match", "").split(",")}
    return web.Response(status=304, headers={"ETag": tag}) if known & {tag, "*"} else None


def expected_versions(request: web.Request) -> frozenset[int] | None:
    """The versions of which `If-Match` wants one; None when any will do. What is no version of ours matches nothing."""
    given = request.headers.get("If-Match")
    if given is None or given.strip() == "*":
        return None
    return frozenset(int(tag) for tag in _TAG.findall(given) if _VERSION.fullmatch(tag))


def also_expecting(expected: frozenset[int] | None, version: int | None) -> frozenset[int] | None:
    """The same, narrowed to the version that the body names, if it names one."""
    if version is None:
        return expected
    return frozenset({version}) if expected is None else expected & {version}
