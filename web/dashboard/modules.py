"""Which modules a page of the dashboard is made of, read off the modules themselves: so that browsers are told at once,
and need not find them one import after the other.
"""

import posixpath
import re
from collections.abc import Callable, Iterator

PAGES = "pages/index.js"  # the list of all pages
_IMPORT = re.compile(r'^(?:import\b|export \{[^}]*\} from)[^;"]*"(\.[^"]+)";', re.MULTILINE)
_PAGE = re.compile(r'(own\(|path: )"([^"]*)".*\bimport\("(\.[^"]+)"\)')
_OWN = "orgs/:orgId/"  # what stands before an organization's own pages

Source = Callable[[str], str]  # the text of a module, by its path


def pages(source: Source) -> dict[str, str]:
    """The module of each page, by its path below `/app/`, in which `:name` stands for any part."""
    found: dict[str, str] = {}
    for kind, path, module in _PAGE.findall(source(PAGES)):
        found[f"{_OWN if kind == 'own(' else ''}{path}"] = _beside(PAGES, module)
    return found


def page_at(path: str, known: dict[str, str]) -> str:
    """The module of the page at this path, the first that fits as in the browser; empty when there is none."""
    parts = [part for part in path.split("/") if part]
    for pattern, module in known.items():
        wanted = pattern.split("/")
        if len(wanted) == len(parts) and all(
            one == part or one.startswith(":") for one, part in zip(wanted, parts, strict=True)
        ):
            return module
    return ""


def all_behind(module: str, source: Source) -> Iterator[str]:
    """The module and all that it imports, directly or not; each once, the nearest first."""
    waiting, seen = [module], {module}
    for one in waiting:
        yield one
        for name in _IMPORT.findall(source(one)):
            path = _beside(one, name)
            if path not in seen:
                seen.add(path)
                waiting.append(path)


def _beside(module: str, name: str) -> str:
    return posixpath.normpath(posixpath.join(posixpath.dirname(module), name))
