"""Every link of the documentation leads to a page, and to a heading that is there; every page can be found; every command
that is shown exists.
"""

import re
import shlex
import textwrap
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import click
import pytest

from interlock.cli import main
from interlock.cli.commands import ADDED, OURS
from runtime.settings import load_settings

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = [*sorted(DOCS.rglob("*.md")), ROOT / "README.md"]
_LINK = re.compile(r"\]\(([^)\s]+)\)")
_BLOCK = re.compile(r"^( *)```(\w*)\n(.*?)^ *```", re.DOTALL | re.MULTILINE)


def _names(page: Path) -> str:
    return str(page.relative_to(ROOT))


@cache
def _anchors(page: Path) -> frozenset[str]:
    """Of the headings of a page, as GitHub makes them."""
    found: list[str] = []
    for heading in re.findall(r"^#{1,6} (.*)$", _BLOCK.sub("", page.read_text()), re.MULTILINE):
        text = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).strip().lower()
        anchor = re.sub(r"[^\w\- ]", "", text).replace(" ", "-")
        count = sum(each == anchor or re.fullmatch(rf"{re.escape(anchor)}-\d+", each) is not None for each in found)
        found.append(f"{anchor}-{count}" if count else anchor)
    return frozenset(found)


def _links(page: Path) -> Iterator[tuple[str, Path, str]]:
    for link in _LINK.findall(_BLOCK.sub("", page.read_text())):
        if not re.match(r"[a-z]+:", link):
            path, _, anchor = link.partition("#")
            yield link, (page.parent / path).resolve() if path else page, anchor


@pytest.mark.parametrize("page", PAGES, ids=_names)
def test_every_link_leads_to_a_file_of_the_repository_and_to_a_heading_in_it(page: Path) -> None:
    for link, target, anchor in _links(page):
        assert target.exists(), link
        assert target.is_relative_to(ROOT), link
        if anchor:
            assert anchor in _anchors(target), f"{link}: there are {sorted(_anchors(target))}"


def test_every_page_can_be_reached_from_the_index() -> None:
    reached: set[Path] = set()
    new = {DOCS / "README.md"}
    while new:
        reached |= new
        linked = {target for page in new if page.suffix == ".md" for _, target, _ in _links(page)}
        new = {each for each in linked if each.suffix == ".md" and each.is_relative_to(DOCS)} - reached
    lost = {page for page in PAGES if page.is_relative_to(DOCS) and page not in reached}
    assert {page for page in lost if page.parent.name != "decisions"} == set()


@pytest.mark.parametrize("name", ["deploy.md", "several-servers.md"])
def test_settings_that_are_shown_are_settings(name: str, tmp_path: Path) -> None:
    (shown,) = (block for _, kind, block in _BLOCK.findall((DOCS / "how-to" / name).read_text()) if kind == "toml")
    (tmp_path / "server.toml").write_text(textwrap.dedent(shown))
    assert load_settings({}, {}, tmp_path / "server.toml").public_url == "https://interlock.example.com"


def _commands(text: str) -> Iterator[list[str]]:
    """The words of each `interlock …` that stands in a block to be typed."""
    for _, kind, block in _BLOCK.findall(text):
        if kind not in {"sh", "console"}:
            continue
        for line in block.replace("\\\n", " ").splitlines():
            if kind == "console" and not re.match(r" *[$#] ", line):
                continue
            for piece in re.split(r"\$\(|\||;|&&|\)|\bdo ", line):
                typed = re.match(r"\W*(?:sudo .*/)?(?:\w+=\S* )*interlock ((?:[a-z-]+(?:\s+|$))+)(.*)", piece)
                if typed:
                    yield [*typed[1].split(), *re.findall(r"(?<=\s)--[a-z-]+", f" {typed[2]}")]


@pytest.mark.parametrize("page", PAGES, ids=_names)
def test_every_command_that_is_shown_exists_with_its_options(page: Path) -> None:
    for words in _commands(page.read_text()):
        command: click.Command | None = main
        context = click.Context(main)
        for word in words:
            if not isinstance(command, click.Group) or word.startswith("-"):
                break
            found = command.get_command(context, word)
            assert found is not None or (command.name == "agent") or word in ADDED, shlex.join(words)
            command = found or command
        options = {each for parameter in (command.params if command else []) for each in parameter.opts}
        if words[0] in OURS:
            assert {word for word in words if word.startswith("--")} <= options | {"--help"}, shlex.join(words)
