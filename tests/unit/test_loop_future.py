"""A reply to come: awaitable on any loop, set once from any thread, heard by everybody who listens."""

import asyncio
import threading
from collections.abc import Callable
from typing import Any

import pykka
import pytest

from actors.loop_actor import LoopFuture
from interlock.errors import InvalidState
from tests.support.diaries import LONG, raises, started


def test_a_reply_is_sent_once() -> None:
    future = LoopFuture.of(1)
    with pytest.raises(RuntimeError, match="already"):
        future.set(2)
    with pytest.raises(RuntimeError, match="already"):
        future.set_exception((ValueError, ValueError(), None))
    assert future.get() == 1


def test_an_exception_is_by_default_the_one_being_handled() -> None:
    future = LoopFuture()
    try:
        raises(ValueError("this one"))()
    except ValueError:
        future.set_exception()
    assert str(future.error) == "this one"


def test_every_listener_is_called_whether_it_came_before_or_after_the_reply() -> None:
    future, heard = LoopFuture(), list[str]()
    future.then(lambda _: heard.append("first"))
    future.then(lambda _: heard.append("second"))
    future.set(None)
    future.then(lambda _: heard.append("late"))
    assert heard == ["first", "second", "late"]


# ---- awaiting ----------------------------------------------------------------------------------------------------------


async def test_awaiting_never_blocks_the_loop() -> None:
    diary = started(asyncio.get_running_loop())
    later, turned = LoopFuture(), asyncio.Event()
    waiting = asyncio.create_task(_await(diary.actor_ref.ask(lambda: later, block=False)))
    asyncio.get_running_loop().call_soon(turned.set)
    await asyncio.wait_for(turned.wait(), LONG)
    assert not waiting.done()
    later.set("now")
    assert await asyncio.wait_for(waiting, LONG) == "now"


async def test_waiting_without_await_on_the_loop_is_refused_instead_of_blocking_it() -> None:
    diary = started(asyncio.get_running_loop())
    with pytest.raises(RuntimeError, match="await"):
        diary.actor_ref.ask("question", block=True)


async def test_a_reply_that_is_there_is_awaited_without_a_turn() -> None:
    assert await LoopFuture.of("here") == "here"


async def test_an_error_is_raised_where_it_is_awaited() -> None:
    diary = started(asyncio.get_running_loop())
    with pytest.raises(InvalidState, match="no"):
        await diary.actor_ref.ask(raises(InvalidState("no")), block=False)


async def test_several_may_await_one_reply_and_one_that_gives_up_disturbs_nobody() -> None:
    future = LoopFuture()
    impatient, patient = (asyncio.create_task(_await(future)) for _ in range(2))
    await _turn()
    impatient.cancel()
    await asyncio.gather(impatient, return_exceptions=True)
    future.set("at last")
    assert await asyncio.wait_for(patient, LONG) == "at last"
    assert await future == "at last"


async def test_a_reply_may_be_set_from_another_thread() -> None:
    asyncio.get_running_loop().set_debug(True)  # then the loop refuses what would not wake it
    future = LoopFuture()
    waiting = asyncio.create_task(_await(future))
    await _turn()
    await asyncio.to_thread(future.set, "from afar")
    assert await asyncio.wait_for(waiting, LONG) == "from afar"


def test_a_thread_without_a_loop_may_wait_for_a_reply() -> None:
    future = LoopFuture()
    thread = threading.Thread(target=future.set, args=("here",))
    thread.start()
    assert future.get(timeout=LONG) == "here"
    thread.join()


def test_a_thread_that_waits_in_vain_is_told() -> None:
    with pytest.raises(pykka.Timeout):
        LoopFuture().get(timeout=0)


class Watched(LoopFuture):
    """Lets a test stop a thread just before or just after it looks who listens."""

    _kept: Any = None

    def __init__(self) -> None:
        self.before: Callable[[], None] = lambda: None
        self.after: Callable[[], None] = lambda: None
        super().__init__()

    @property
    def _listeners(self) -> Any:
        self.before()
        kept = self._kept
        self.after()
        return kept

    @_listeners.setter
    def _listeners(self, listeners: Any) -> None:
        self._kept = listeners


@pytest.mark.parametrize("where", ["between two steps", "between three steps"])
def test_a_reply_is_heard_whichever_step_of_listening_it_falls_into(where: str) -> None:
    future, heard = Watched(), threading.Event()
    setter_looked, setter_may_go_on = threading.Event(), threading.Event()
    setter = threading.Thread(target=future.set, args=("meanwhile",))
    looks = 0

    def before() -> None:
        nonlocal looks
        if threading.current_thread() is setter:
            return
        looks += 1
        if looks > 1:  # the listener has put itself down and looks again
            setter_may_go_on.set()
            setter.join(LONG)

    def after() -> None:
        if threading.current_thread() is setter:
            setter_looked.set()
            setter_may_go_on.wait(LONG)
        elif looks == 1:
            setter.start()
            setter_looked.wait(0.05)  # where setting has to wait for the listener, this is over without it

    if where == "between two steps":
        setter_may_go_on.set()
    future.before, future.after = before, after
    future.then(lambda _: heard.set())
    setter_may_go_on.set()
    setter.join(LONG)
    assert heard.is_set()


async def test_awaiting_a_stop_tells_whether_it_was_alive() -> None:
    diary = started(asyncio.get_running_loop())
    async with asyncio.timeout(1):
        assert await diary.actor_ref.stop(block=False) is True


async def _await(future: Any) -> Any:
    return await future


async def _turn() -> None:
    """Let everything that is ready on the loop run."""
    turned = asyncio.get_running_loop().create_future()
    asyncio.get_running_loop().call_soon(turned.set_result, None)
    await turned
