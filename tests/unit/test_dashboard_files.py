"""The dashboard's files: whole, small, and without what the policy forbids."""

import gzip
import posixpath
import re

import pytest

from web.dashboard import files

IMPORT = re.compile(r"""(?:from\s+|import\s*\(?\s*)"(\.[^"]+)\"""")
FORBIDDEN = re.compile(
    r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function|srcdoc=|https?://(?!www\.w3\.org)"
)
SCRIPTS = sorted(path for path in files.assets() if path.endswith(".js"))


def text(path: str) -> str:
    return files.assets()[path].body.decode()


def code(path: str) -> str:
    """The script without its comments."""
    return re.sub(r"/\*.*?\*/|(?m:(?<![:\"'`\w])//.*$)", "", text(path), flags=re.DOTALL)


@pytest.mark.parametrize("path", SCRIPTS)
def test_a_script_imports_only_files_that_are_there(path: str) -> None:
    for target in IMPORT.findall(code(path)):
        assert posixpath.normpath(posixpath.join(posixpath.dirname(path), target)) in files.assets(), (
            f"{path}: {target}"
        )


@pytest.mark.parametrize("path", SCRIPTS)
def test_a_script_never_makes_markup_or_code_of_text(path: str) -> None:
    assert FORBIDDEN.findall(code(path)) == []


def test_the_page_names_every_style_and_the_modules_that_all_pages_need() -> None:
    page = files.index(0).body.decode()
    for path in files.assets():
        if path.endswith(".css") or (path.startswith("lib/") and path.endswith(".js")):
            assert f'"static/{files.version()}/{path}"' in page
    assert "@" not in page


@pytest.mark.parametrize(("path", "root"), [(None, "app/"), ("", ""), ("orgs", ""), ("orgs/x/jobs", "../../")])
def test_addresses_in_the_page_are_relative_to_where_it_stands(path: str | None, root: str) -> None:
    page = files.index(-1 if path is None else path.count("/")).body.decode()
    assert set(re.findall(r'(?:href|src)="([^"]*?)static/', page)) == {root}


def test_what_is_sent_compressed_is_the_same_file() -> None:
    for one in files.assets().values():
        assert one.packed is None or gzip.decompress(one.packed) == one.body


def test_another_file_makes_another_version(monkeypatch: pytest.MonkeyPatch) -> None:
    known = files.assets()
    before = files.version()
    monkeypatch.setattr(files, "assets", lambda: known | {"lib/dom.js": files.asset(b"other", "text/javascript")})
    assert files.version.__wrapped__() != before
