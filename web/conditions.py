"""Conditional requests (RFC 9110, section 13): `ETag`, `If-None-Match` (304) and `If-Match` (412).

A tag that a proxy has made weak (`W/"…"`) still says what a reader has; for a change, which compares strongly, it says nothing.
What is no list of tags matches nothing: a reader is sent everything, a change is refused.
"""

import hashlib
import re
from collections.abc import Sequence

from aiohttp import web

from interlock.errors import PreconditionFailed

_TAG = re.compile(r'(W/)?"([\x21\x23-\x7e\x80-\xff]*)"')
_LIST = re.compile(rf"[ \t,]*(?:{_TAG.pattern}[ \t]*(?:,[ \t,]*|$))+")
_VERSION = re.compile(r"0|[1-9][0-9]{0,17}", re.ASCII)
_LONGEST = 8192  # characters of a header's lines together that are looked at
_MARK = 16  # hex digits: 64 bits tell the states of one thing apart


def tag_of(version: int | str) -> str:
    """The version as an `ETag`."""
    return f'"{version}"'


def mark_of(content: bytes) -> str:
    """A short name for a content."""
    return hashlib.sha256(content).hexdigest()[:_MARK]


def unchanged(request: web.Request, tag: str) -> web.Response | None:
    """The answer to who has what carries this `ETag` already; None when it is to be sent."""
    lines = request.headers.getall("If-None-Match", ())
    known = bool(lines) and (_joined(lines) == "*" or tag.strip('"') in {text for _, text in _listed(lines)})
    return web.Response(status=304, headers={"ETag": tag}) if known else None


def expected_tags(request: web.Request) -> frozenset[str] | None:
    """The tags, without their quotes, of which `If-Match` wants one; None when any will do."""
    lines = request.headers.getall("If-Match", ())
    if not lines or _joined(lines) == "*":
        return None
    return frozenset(text for weak, text in _listed(lines) if not weak)


def expected_versions(request: web.Request) -> frozenset[int] | None:
    """The versions of which `If-Match` wants one; None when any will do. What is no version of ours matches nothing."""
    tags = expected_tags(request)
    return None if tags is None else frozenset(int(tag) for tag in tags if _VERSION.fullmatch(tag))


def also_expecting(expected: frozenset[int] | None, version: int | None) -> frozenset[int] | None:
    """The same, narrowed to the version that the body names, if it names one."""
    if version is None:
        return expected
    return frozenset({version}) if expected is None else expected & {version}


def check(expected: frozenset[str] | None, tag: str, what: str) -> None:
    """Raise `PreconditionFailed` when tags are expected, and this one (without quotes) is not among them."""
    if expected is not None and tag not in expected:
        raise PreconditionFailed(f"{what} has changed: read it again")


def _listed(lines: Sequence[str]) -> list[tuple[bool, str]]:
    """Each tag: whether it is weak, and what stands between its quotes. Nothing when it is no list of tags."""
    text = _joined(lines)
    if len(text) > _LONGEST or _LIST.fullmatch(text) is None:
        return []
    return [(bool(weak), inner) for weak, inner in _TAG.findall(text)]


def _joined(lines: Sequence[str]) -> str:
    return ", ".join(lines).strip()
