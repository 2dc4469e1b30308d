"""Conditional requests on what carries a version: `ETag`, `If-None-Match` (304) and `If-Match` (412)."""

import re

from aiohttp import web

_TAG = re.compile(r'(?:W/)?"([^"]*)"')
_VERSION = re.compile(r"[0-9]{1,18}", re.ASCII)


def tag_of(version: int) -> str:
    """The version as an `ETag`."""
    return f'"{version}"'


def is_known(request: web.Request, version: int) -> bool:
    """Whether whoever asks has this version already."""
    given = request.headers.get("If-None-Match", "")
    return given.strip() == "*" or str(version) in _TAG.findall(given)


def expected_versions(request: web.Request) -> frozenset[int] | None:
    """The versions of which `If-Match` wants one; None when any will do. What is no version of ours matches nothing."""
    given = request.headers.get("If-Match")
    if given is None or given.strip() == "*":
        return None
    return frozenset(int(tag) for tag in _TAG.findall(given) if _VERSION.fullmatch(tag))
