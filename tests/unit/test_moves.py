"""Which jobs about an instance pass while it leaves its host, and after."""

import pytest

from actors.moves import LATELY, Moves
from interlock.errors import NotFound, Unavailable


class Hand:
    """A clock that is set by hand."""

    at = 1_000_000

    def now(self) -> int:
        return self.at

    def chance(self) -> float:
        raise AssertionError("nothing is left to chance")


def test_while_it_moves_nothing_about_it_passes() -> None:
    moves = Moves(Hand())
    moves.begin("i")
    moves.begin("i")
    for _ in range(2):
        assert not moves.rests
        with pytest.raises(Unavailable):
            moves.check("i", "old")
        moves.check("another", "old")
        moves.check(None, None)
        moves.end("i")
    assert moves.rests
    moves.check("i", "old")


@pytest.mark.parametrize(("deleted", "refusal"), [(False, Unavailable), (True, NotFound)])
def test_what_still_goes_to_the_host_that_it_has_left_is_refused_for_a_while(
    deleted: bool, refusal: type[Exception]
) -> None:
    clock = Hand()
    moves = Moves(clock)
    moves.has_left("i", "old", deleted=deleted)
    moves.check("i", "new")
    moves.check("another", "old")
    with pytest.raises(refusal):
        moves.check("i", "old")
    clock.at += LATELY
    moves.check("i", "old")


def test_what_has_left_long_ago_is_forgotten() -> None:
    clock = Hand()
    moves = Moves(clock)
    moves.has_left("i", "old")
    clock.at += LATELY
    moves.has_left("j", "old")
    assert list(moves._left) == ["j"]
