"""Short reads that are wanted at the same time go to a reading thread together."""

from collections.abc import Callable
from typing import Any

import pytest

from interlock.errors import Unavailable
from store.entries import Done
from store.gathered_reads import AT_ONCE, GatheredReads

Turn = Callable[[], object]


class Rig:
    """A loop whose next turn comes when it is told to, and a reader that reads at once."""

    def __init__(self) -> None:
        self.turns: list[Turn] = []
        self.readings = 0
        self.reads = GatheredReads(self.read, self.call_soon)
        self.told: list[tuple[Any, BaseException | None]] = []

    def call_soon(self, callback: Turn) -> None:
        """As a loop."""
        self.turns.append(callback)

    def read(self, work: Callable[[Any], Any], done: Done) -> None:
        """As a reader."""
        self.readings += 1
        try:
            result = work("rows")
        except Unavailable as error:
            done(None, error)
        else:
            done(result, None)

    def want(self, work: Callable[[Any], Any]) -> None:
        self.reads.read(work, lambda result, error: self.told.append((result, error)))

    def turn(self) -> None:
        turns, self.turns = self.turns, []
        for each in turns:
            each()


def broken(_: Any) -> Any:
    raise Unavailable("gone")


def test_what_is_wanted_in_one_turn_is_one_reading_and_everybody_is_told_his_own() -> None:
    rig = Rig()
    rig.want(lambda rows: (rows, 1))
    rig.want(lambda rows: (rows, 2))
    assert rig.told == []
    rig.turn()
    assert rig.told == [(("rows", 1), None), (("rows", 2), None)]
    assert rig.readings == 1


def test_what_is_wanted_later_is_read_later() -> None:
    rig = Rig()
    for _ in range(2):
        rig.want(lambda _: None)
        rig.turn()
    assert (rig.readings, len(rig.told)) == (2, 2)


def test_no_reading_is_for_more_than_a_few() -> None:
    rig = Rig()
    for _ in range(AT_ONCE + 1):
        rig.want(lambda _: None)
    rig.turn()
    assert (rig.readings, len(rig.told)) == (2, AT_ONCE + 1)


def test_a_reading_that_fails_is_tried_again_one_by_one() -> None:
    rig = Rig()
    rig.want(lambda _: "first")
    rig.want(broken)
    rig.want(lambda _: "last")
    rig.turn()
    assert [result for result, _ in rig.told] == ["first", None, "last"]
    assert isinstance(rig.told[1][1], Unavailable)
    assert rig.readings == 4


def test_one_who_fails_to_listen_does_not_silence_the_others(caplog: pytest.LogCaptureFixture) -> None:
    rig = Rig()

    def deaf(_result: Any, _error: BaseException | None) -> None:
        raise ValueError("not now")

    rig.reads.read(lambda _: None, deaf)
    rig.want(lambda _: "heard")
    rig.turn()
    assert rig.told == [("heard", None)]
    assert "not now" in caplog.text
