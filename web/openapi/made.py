"""The document and its page as they are served."""

import hashlib
from functools import lru_cache
from typing import NamedTuple

import msgspec

from web.openapi.document import Builder
from web.openapi.page import policy, render
from web.services import WebLimits


class Made(NamedTuple):
    """JSON, HTML, and what goes along with them."""

    document: bytes
    page: bytes
    tag: str  # the `ETag` of both
    policy: str  # the page's Content-Security-Policy


@lru_cache(maxsize=1)
def make(limits: WebLimits) -> Made:
    """Made once for these settings; takes some tens of ms."""
    document = Builder(limits).document()
    encoded = msgspec.json.encode(document)
    page = render(document).encode()
    tag = hashlib.sha256(encoded + page).hexdigest()[:32]
    return Made(encoded, page, f'"{tag}"', policy())
