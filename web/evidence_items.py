"""Items of evidence as they come from agents, each looked at by itself: what is wrong with one concerns no other."""

import hashlib
from typing import Any
from urllib.parse import urlsplit

import msgspec

from actors.messages import EvidenceItem, RefusedItem
from interlock.clock import parse_rfc3339
from interlock.errors import InvalidRequest
from interlock.wire import EvidenceItem as EvidenceItemIn
from web.parsing import decode
from web.services import WebLimits

MAX_TYPE = 100  # characters, as are the following
MAX_SOURCE = 200
MAX_TITLE = 1000
MAX_URL = 2048
_item = msgspec.json.Decoder(EvidenceItemIn)
_sorted = msgspec.json.Encoder(order="deterministic").encode


def items_from(raws: list[msgspec.Raw], limits: WebLimits) -> tuple[EvidenceItem | RefusedItem, ...]:
    """The items in their order, each as what is to be stored or with why it is not; `InvalidRequest` for too many.

    `raws` are JSON values, not yet inspected.
    """
    most = limits.max_evidence_items
    if len(raws) > most:
        raise InvalidRequest.at("$.evidence", f"up to {most} items at once")
    return tuple(_item_from(bytes(raw), limits) for raw in raws)


def _item_from(raw: bytes, limits: WebLimits) -> EvidenceItem | RefusedItem:
    try:
        came = decode(raw, _item, limits.max_json_depth)
        return _checked(came, limits.max_evidence_item_bytes)
    except InvalidRequest as mistake:
        return RefusedItem(mistake.detail)


def _checked(came: EvidenceItemIn, most: int) -> EvidenceItem:
    url = came.url or None  # agents in browsers send an empty one for what has none
    for name, text, least, longest in (
        ("type", came.type, 1, MAX_TYPE),
        ("source", came.source, 1, MAX_SOURCE),
        ("title", came.title, 0, MAX_TITLE),
        ("url", url or "", 0, MAX_URL),
    ):
        if not least <= len(text) <= longest:
            raise InvalidRequest.at(f"$.{name}", f"expected {least} to {longest} characters")
    if url is not None and not _leads_to_a_web_page(url):
        raise InvalidRequest.at("$.url", "expected an http or https address")
    at = None if came.collected_at is None else parse_rfc3339(came.collected_at, path="$.collectedAt")
    snippet = _text(came.snippet)
    content = msgspec.json.encode((came.type, came.title, came.source, url, snippet, came.confidence))
    if len(content) > most:
        raise InvalidRequest.at("$", f"an item may have {most} bytes; this has {len(content)}")
    return EvidenceItem(
        hash=hashlib.sha256(content).hexdigest(),
        size_bytes=len(content),
        collected_at=at,
        type=came.type,
        confidence=came.confidence,
        source=came.source,
        title=came.title,
        url=url,
        snippet=snippet,
    )


def _text(snippet: Any) -> str:
    """Text stays as it is; any other value becomes JSON with its keys in order, so that equal ones are equal texts."""
    if snippet is None:
        raise InvalidRequest.at("$.snippet", "expected text, or another JSON value")
    return snippet if isinstance(snippet, str) else _sorted(snippet).decode()


def _leads_to_a_web_page(url: str) -> bool:
    """Dashboards make links of it: nothing that a browser would run."""
    if not url.isprintable() or " " in url:
        return False
    try:
        parts = urlsplit(url)
        return parts.scheme in {"http", "https"} and bool(parts.hostname)
    except ValueError:
        return False
