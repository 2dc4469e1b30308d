"""Changes to pools share transactions, and one that cannot be written fails alone."""

from collections import deque
from collections.abc import Callable
from typing import Any

from actors.pool_writer import AT_ONCE, PoolWriter
from interlock.errors import InterlockError, Unavailable
from store.entries import Append, Change


class IntegrityError(Exception):
    """As drivers call it."""


class World:
    """A loop and a journal that the test works by hand."""

    def __init__(self) -> None:
        self.turns: deque[tuple[Callable[..., object], tuple[Any, ...]]] = deque()
        self.queue: deque[Callable[[Any, BaseException | None], None]] = deque()
        self.told: list[tuple[str, object]] = []
        self.writer = PoolWriter(self, self)

    def call_soon(self, callback: Callable[..., object], *args: Any) -> None:
        self.turns.append((callback, args))

    def submit(self, entry: Any) -> None:
        raise AssertionError(f"pools have no entries: {entry}")

    def exclusive(self, work: Callable[[Any], Any], done: Callable[[Any, BaseException | None], None]) -> None:
        del work
        self.queue.append(done)

    def turn(self) -> None:
        while self.turns:
            callback, args = self.turns.popleft()
            callback(*args)

    def want(self, *names: str) -> None:
        for name in names:
            changes: list[Change] = [Append("audit_event", (name,))]
            self.writer.write(changes, lambda outcome, name=name: self.told.append((name, outcome)))  # type: ignore[misc]
        self.turn()

    def end(self, written: list[bool] | None, error: BaseException | None = None) -> None:
        """The oldest transaction has ended."""
        self.queue.popleft()(written, error)
        self.turn()


def test_what_is_wanted_in_one_turn_goes_together_and_what_comes_meanwhile_goes_next() -> None:
    world = World()
    world.want("a", "b")
    world.want("c")
    world.want("d")
    assert len(world.queue) == 1
    world.end([True, False])
    assert world.told == [("a", True), ("b", False)]
    assert len(world.queue) == 1
    world.end([True, True])
    assert [name for name, _ in world.told] == ["a", "b", "c", "d"]
    assert not world.queue
    assert world.writer.transactions == 2


def test_a_group_is_bounded() -> None:
    world = World()
    world.want(*map(str, range(AT_ONCE + 1)))
    world.end([True] * AT_ONCE)
    world.end([True])
    assert len(world.told) == AT_ONCE + 1


def test_one_that_cannot_be_written_fails_alone() -> None:
    world = World()
    world.want("a", "b", "c")
    world.end(None, IntegrityError("the key is taken"))
    world.end([True])
    world.end(None, IntegrityError("the key is taken"))
    world.want("d")
    world.end([True])
    world.end([True])
    assert [(name, outcome is True) for name, outcome in world.told] == [
        ("a", True),
        ("b", False),
        ("c", True),
        ("d", True),
    ]
    assert isinstance(dict(world.told)["b"], Unavailable)
    assert not world.queue


def test_a_database_that_is_away_is_not_tried_for_each() -> None:
    world = World()
    world.want("a", "b")
    world.end(None, ConnectionError("away"))
    assert all(isinstance(outcome, Unavailable) for _, outcome in world.told)
    assert not world.queue


def test_a_refusal_is_told_as_it_is() -> None:
    world, stopping = World(), Unavailable("The journal has stopped")
    world.want("a")
    world.end(None, stopping)
    assert world.told == [("a", stopping)]


def test_who_fails_to_listen_silences_nobody() -> None:
    world = World()

    def deaf(outcome: bool | InterlockError) -> None:
        raise RuntimeError(str(outcome))

    world.writer.write([], deaf)
    world.want("b")
    world.end([True, True])
    assert world.told == [("b", True)]
