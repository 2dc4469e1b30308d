"""The dashboard's files: whole, small, and without what the policy forbids."""

import gzip
import posixpath
import re

import pytest

from web.dashboard import files

IMPORT = re.compile(r"""(?:from\s+|import\s*\(?\s*)"(\.[^"]+)\"""")
STATIC = re.compile(r"""(?:from|import)\s+"(\.[^"]+)\"""")
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


def named(page: str) -> list[str]:
    """The files that the page's head asks for, in their order."""
    return re.findall(rf'(?:href|src)="[^"]*static/{files.version()}/([^"]+)"', page)


def test_the_page_names_its_style_and_the_modules_that_all_pages_need() -> None:
    page = files.index("").body.decode()
    wanted = {path for path in files.assets() if path.endswith(".css") or path.startswith("lib/")}
    assert set(named(page)) == wanted | {"css/mark.svg", "pages/index.js"}
    assert "@" not in page


def test_all_styles_are_one_file_with_the_general_ones_first() -> None:
    assert [path for path in files.assets() if path.endswith(".css")] == [files.STYLES]
    whole = text(files.STYLES)
    assert whole.index("\n.shell {") < whole.index("\n.job-rows {")


@pytest.mark.parametrize(
    ("path", "module"),
    [
        ("orgs/x/jobs", "pages/jobs.js"),
        ("orgs/x/jobs/", "pages/jobs.js"),
        ("orgs/x/jobs/new", "pages/job_new.js"),
        ("orgs/x/jobs/y", "pages/job.js"),
        ("sign-in", "pages/sign_in.js"),
        ("orgs/x/nowhere", None),
    ],
)
def test_the_page_names_what_it_will_load_for_this_address(path: str, module: str | None) -> None:
    own = [
        each
        for each in named(files.index(path).body.decode())
        if each.startswith("pages/") and each != "pages/index.js"
    ]
    assert own[:1] == ([] if module is None else [module])


def test_no_page_loads_a_module_that_was_not_named() -> None:
    for path in ("orgs/x/jobs", "orgs/x/hosts/y", "orgs/x/jobs/new", "sign-in"):
        known = set(named(files.index(path).body.decode()))
        for one in filter(SCRIPTS.__contains__, known):
            found = {
                posixpath.normpath(posixpath.join(posixpath.dirname(one), name)) for name in STATIC.findall(code(one))
            }
            assert found <= known, one


@pytest.mark.parametrize(("path", "root"), [(None, "app/"), ("", ""), ("orgs", ""), ("orgs/x/jobs", "../../")])
def test_addresses_in_the_page_are_relative_to_where_it_stands(path: str | None, root: str) -> None:
    page = files.index(path).body.decode()
    assert set(re.findall(r'(?:href|src)="([^"]*?)static/', page)) == {root}


def test_what_is_sent_compressed_is_the_same_file() -> None:
    for one in files.assets().values():
        assert one.packed is None or gzip.decompress(one.packed) == one.body


def test_another_file_makes_another_version(monkeypatch: pytest.MonkeyPatch) -> None:
    known = files.assets()
    before = files.version()
    monkeypatch.setattr(files, "assets", lambda: known | {"lib/dom.js": files.asset(b"other", "text/javascript")})
    assert files.version.__wrapped__() != before
