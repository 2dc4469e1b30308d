"""Who holds something open with a key that is revoked has to go: once, and nobody else."""

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, cast

import pytest

from store import Store
from web.lookups import Lookups
from web.revocations import Revocations


class Rows:
    """The answers of the database, one after the other."""

    def __init__(self, *answers: list[str]) -> None:
        self.answers = list(answers)
        self.forgotten: list[str] = []

    async def fetch(self, _: Callable[..., Any]) -> list[str]:
        return self.answers.pop(0)

    def forget_key(self, kid: str) -> None:
        self.forgotten.append(kid)


def revocations(rows: Rows) -> Revocations:
    clock = cast("Any", SimpleNamespace(now=lambda: 10**12))
    return Revocations(cast("Store", rows), cast("Lookups", rows), clock)


async def test_nobody_is_asked_while_nobody_is_here() -> None:
    await revocations(Rows()).look(whole=True)


async def test_whoever_holds_a_revoked_key_is_told_once() -> None:
    rows = Rows(["b", "stranger"], ["b"])
    watch, told = revocations(rows), list[str]()
    with (
        watch.holding("a", lambda: told.append("a")),
        watch.holding("b", lambda: told.append("b1")),
        watch.holding("b", lambda: told.append("b2")),
    ):
        await watch.look()
        await watch.look()
    assert told == ["b1", "b2"]
    assert rows.forgotten == ["b"]


async def test_a_whole_look_finds_keys_that_are_gone() -> None:
    watch, told = revocations(Rows([], ["a"])), list[str]()
    with watch.holding("a", lambda: told.append("a")), watch.holding("b", lambda: told.append("b")):
        await watch.look(whole=True)
    assert told == ["b"]


async def test_who_has_left_is_not_told() -> None:
    watch, told = revocations(Rows(["a"])), list[str]()
    with watch.holding("a", lambda: told.append("stays")):
        with watch.holding("a", lambda: told.append("left")):
            pass
        await watch.look()
    assert told == ["stays"]
    with pytest.raises(KeyError), watch.holding("a", lambda: told.append("raised")):
        raise KeyError
    watch.revoked("a")
    assert told == ["stays"]


async def test_one_who_cannot_be_told_keeps_nobody_else_from_being_told(caplog: pytest.LogCaptureFixture) -> None:
    def fail() -> None:
        raise RuntimeError("a bug")

    watch, told = revocations(Rows(["a"])), list[str]()
    with watch.holding("a", fail), watch.holding("a", lambda: told.append("a")):
        await watch.look()
    assert told == ["a"]
    assert "could not be told" in caplog.text
