"""A loop that a test turns by hand, and an actor that writes down what happens to it."""

from collections import deque
from collections.abc import Callable
from typing import Any

from actors.loop_actor import LoopActor

LONG = 20.0  # seconds: a bound for what should take none


class Turns:
    """A loop that a test turns by hand."""

    def __init__(self) -> None:
        self.waiting: deque[tuple[Callable[..., object], tuple[Any, ...]]] = deque()

    def call_soon(self, callback: Callable[..., object], *args: Any) -> None:
        self.waiting.append((callback, args))

    def turn(self) -> None:
        """One callback."""
        callback, args = self.waiting.popleft()
        callback(*args)

    def run(self) -> None:
        """Until nothing is left."""
        while self.waiting:
            self.turn()


class Diary(LoopActor):
    """Writes down what happens to it. A message that is callable is called, and its result is the reply."""

    def __init__(self, scheduler: Any) -> None:
        super().__init__(scheduler)
        self.lines: list[Any] = []

    def on_start(self) -> None:
        self.lines.append("start")

    def on_stop(self) -> None:
        self.lines.append("stop")

    def on_failure(self, exception_type: Any, exception_value: Any, traceback: Any) -> None:
        del exception_type, traceback
        self.lines.append(f"failure {exception_value}")

    def on_receive(self, message: Any) -> Any:
        if callable(message):
            return message()
        self.lines.append(message)
        return f"did {message}"


def raises(error: BaseException) -> Callable[[], Any]:
    """A message whose handling fails."""

    def fail() -> Any:
        raise error

    return fail


def started(turns: Any) -> Diary:
    """A running actor, which the test keeps."""
    diary = Diary(turns)
    diary._start_actor_loop()
    return diary
