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

from web.dashboard import modules

INDEX = "index.html"
MAIN = "lib/main.js"
KINDS = {"html": "text/html", "css": "text/css", "js": "text/javascript", "svg": "image/svg+xml"}
DEEPEST = 32  # slashes in a page's path; no page has as many
STYLES = "css/all.css"  # all styles in one file: nothing is painted before the last of them is there
_GENERAL = ("css/base.css", "css/parts.css", "css/shell.css")
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
    """All files but the page itself, by their path below `static/`, such as `lib/dom.js`; all styles are one of them."""
    found = {
        path: asset(file.read_bytes(), KINDS[path.rpartition(".")[2]])
        for path, file in sorted(_walk(files("web.dashboard") / "static", ""))
        if path != INDEX
    }
    parts = {path: found.pop(path) for path in list(found) if path.endswith(".css")}
    # The general ones first: a page's own style has the last word.
    ordered = [*_GENERAL, *(path for path in parts if path not in _GENERAL)]
    return found | {STYLES: asset(b"\n".join(parts[path].body for path in ordered), KINDS["css"])}


@cache
def version() -> str:
    """Another one whenever any file is another."""
    whole = sha256()
    for path, one in assets().items():
        whole.update(f"{path} {one.tag}\n".encode())
    return whole.hexdigest()[:12]


def are_read() -> bool:
    """Whether the files have been read and compressed already, so that to ask for them costs nothing."""
    return version.cache_info().currsize > 0


def index(path: str | None) -> Asset:
    """The page for a path behind `/app/`, None for `/app` itself.

    Its addresses are relative: a proxy may have added a path, and the policy forbids a `<base>`.
    """
    root = "app/" if path is None else "../" * path.count("/")
    return _index(root, modules.page_at(path or "", _pages()))


@lru_cache(maxsize=4 * DEEPEST)
def _index(root: str, module: str) -> Asset:
    where = f"{root}static/{version()}"
    ahead = "\n".join(f'<link rel="modulepreload" href="{escape(f"{where}/{path}")}">' for path in _ahead(module))
    styles = f'<link rel="stylesheet" href="{escape(f"{where}/{STYLES}")}">'
    text = (files("web.dashboard") / "static" / INDEX).read_text("utf-8")
    text = text.replace("@static@", where).replace("<!-- @styles@ -->", styles).replace("<!-- @modules@ -->", ahead)
    return asset(text.encode(), KINDS["html"])


@cache
def _pages() -> dict[str, str]:
    return modules.pages(_text)


def _ahead(module: str) -> Iterator[str]:
    """What every page needs, and then what this one needs, so that browsers need not find it module by module."""
    shared = list(modules.all_behind(MAIN, _text))
    yield from shared
    if module:
        yield from (path for path in modules.all_behind(module, _text) if path not in shared)


def _text(path: str) -> str:
    return assets()[path].body.decode()


def _walk(folder: Traversable, prefix: str) -> Iterator[tuple[str, Traversable]]:
    for entry in folder.iterdir():
        if entry.is_dir():
            yield from _walk(entry, f"{prefix}{entry.name}/")
        elif entry.name.rpartition(".")[2] in KINDS:
            yield f"{prefix}{entry.name}", entry
