"""The dashboard's files as they are served: read once, each with its `ETag` and compressed beforehand.

Addresses carry a version that is made of all contents, so that browsers may keep a file for ever and never mix two
releases. `index.html` is the exception: it is asked for each time, and names the version.
"""

import gzip
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, lru_cache
from hashlib import sha256
from html import escape
from importlib.resources import files
from importlib.resources.abc import Traversable

INDEX = "index.html"
KINDS = {"html": "text/html", "css": "text/css", "js": "text/javascript", "svg": "image/svg+xml"}
DEEPEST = 32  # slashes in a page's path; no page has as many
_SMALL = 512  # bytes: below, compressing saves no packet


@dataclass(frozen=True, slots=True)
class Asset:
    """One file: its bytes, the same compressed (None: not worth it), its media type and its `ETag`."""

    body: bytes
    packed: bytes | None
    kind: str
    tag: str


def asset(body: bytes, kind: str) -> Asset:
    """The bytes, ready to be served."""
    packed = gzip.compress(body, 9, mtime=0) if len(body) >= _SMALL else None
    return Asset(body, packed, kind, f'"{sha256(body).hexdigest()[:20]}"')


@cache
def assets() -> dict[str, Asset]:
    """All files but the page itself, by their path below `static/`, such as `lib/dom.js`."""
    return {
        path: asset(file.read_bytes(), KINDS[path.rpartition(".")[2]])
        for path, file in sorted(_walk(files("web.dashboard") / "static", ""))
        if path != INDEX
    }


@cache
def version() -> str:
    """Another one whenever any file is another."""
    whole = sha256()
    for path, one in assets().items():
        whole.update(f"{path} {one.tag}\n".encode())
    return whole.hexdigest()[:12]


@lru_cache(maxsize=DEEPEST + 1)
def index(depth: int) -> Asset:
    """The page for a path with so many slashes behind `/app/`, -1 for `/app` itself.

    Its addresses are relative: a proxy may have added a path, and the policy forbids a `<base>`.
    """
    root = "app/" if depth < 0 else "../" * depth
    where = f"{root}static/{version()}"
    ahead = "\n".join(f'<link rel="modulepreload" href="{escape(f"{where}/{path}")}">' for path in _ahead())
    styles = "\n".join(f'<link rel="stylesheet" href="{escape(f"{where}/{path}")}">' for path in _styles())
    text = (files("web.dashboard") / "static" / INDEX).read_text("utf-8")
    text = text.replace("@static@", where).replace("<!-- @styles@ -->", styles).replace("<!-- @modules@ -->", ahead)
    return asset(text.encode(), KINDS["html"])


def _styles() -> list[str]:
    """All of them, the general ones first: a page's own style has the last word."""
    first = ("css/base.css", "css/parts.css", "css/shell.css")
    return [*first, *(path for path in assets() if path.endswith(".css") and path not in first)]


def _ahead() -> Iterator[str]:
    """What every page needs, so that browsers need not find it module by module."""
    return (path for path in assets() if path.startswith("lib/") and path.endswith(".js") and path != "lib/early.js")


def _walk(folder: Traversable, prefix: str) -> Iterator[tuple[str, Traversable]]:
    for entry in folder.iterdir():
        if entry.is_dir():
            yield from _walk(entry, f"{prefix}{entry.name}/")
        elif entry.name.rpartition(".")[2] in KINDS:
            yield f"{prefix}{entry.name}", entry
