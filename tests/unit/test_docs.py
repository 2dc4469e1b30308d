"""The pages that are written from the code are as the code says, and every link between pages leads somewhere."""

import os
import re
import runpy
import tomllib
from pathlib import Path
from types import CoroutineType

import pytest
from docs_pages.__main__ import DOCS, PAGES
from docs_pages.comments import fields_of
from docs_pages.lifecycle import lifecycle_page

from interlock.agent.config import check_config
from interlock.agent.programs import missing_programs
from interlock.states import MOVES, REFUSALS, RunEvent, RunStatus
from tests.support.fake_plane import agent_key, new_id

TEXTS = [*DOCS.rglob("*.md"), DOCS.parent / "README.md"]


@pytest.mark.parametrize("name", PAGES)
def test_a_page_that_is_written_from_the_code_is_up_to_date(name: str) -> None:
    assert (DOCS / name).read_text() == PAGES[name](), "run ./scripts/docs"


def test_the_page_on_the_lifecycle_has_every_state_event_and_reason() -> None:
    page = lifecycle_page()
    for name in (*RunStatus, *RunEvent):
        assert f"`{name}`" in page
    for sentences in (REFUSALS[state].values() for state in MOVES):
        assert all(sentence in page for sentence in sentences)


def test_the_picture_has_an_arrow_for_every_move_to_another_state() -> None:
    page = lifecycle_page()
    for state, moves in MOVES.items():
        for event, move in moves.items():
            if move.to is not state and state is not RunStatus.CANCELLING:  # those are there by their reason alone
                assert re.search(rf"{state} --> {move.to}: .*\b{event}\b", page)


def test_the_fields_of_a_class_are_read_with_their_comments_and_groups() -> None:
    class Shop:
        """Something that is set up."""

        name = "a"  # what it is called
        size: int = 3  # how large

        open = True  # whether it is

    assert [tuple(field) for field in fields_of(Shop)] == [
        ("name", "what it is called", 1),
        ("size", "how large", 1),
        ("open", "whether it is", 2),
    ]


def test_a_field_without_a_comment_has_no_meaning_and_is_refused() -> None:
    class Shop:
        name = "a"

    with pytest.raises(ValueError, match="name"):
        fields_of(Shop)


@pytest.mark.parametrize("text", TEXTS, ids=lambda path: path.name)
def test_every_link_to_another_page_leads_somewhere(text: Path) -> None:
    for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", text.read_text()):
        assert (text.parent / target).exists(), target


PYTHON = [
    pytest.param(source, id=path.name)
    for path in TEXTS
    for source in re.findall(r"```python\n(.*?)```", path.read_text(), re.DOTALL)
    if "= Agent(" in source
]


@pytest.mark.parametrize("source", PYTHON)
def test_an_agent_in_python_is_shown_whole(source: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ran: list[str] = []

    def run(coroutine: "CoroutineType[object, object, None]") -> None:
        ran.append(coroutine.__qualname__)
        coroutine.close()

    monkeypatch.setattr("asyncio.run", run)
    monkeypatch.setattr("logging.basicConfig", lambda **_: None)
    monkeypatch.setenv("INTERLOCK_AGENT_KEY", agent_key(new_id()))
    (tmp_path / "example.py").write_text(source)
    runpy.run_path(str(tmp_path / "example.py"))
    assert ran == ["Agent.run"]


def test_the_command_in_the_readme_is_there_on_every_machine() -> None:
    (source,) = re.findall(r"```toml\n(.*?)```", (DOCS.parent / "README.md").read_text(), re.DOTALL)
    config = check_config(tomllib.loads(source), Path("agent.toml"))
    assert missing_programs(config.commands, os.environ) == []
