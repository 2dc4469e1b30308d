"""Errands are done by a thread, one after the other, and the loop that sends them never waits."""

import threading
from functools import partial

import pytest

from runtime.errands import Errands

LONG = 20.0  # seconds


def test_errands_are_done_in_their_order_by_another_thread() -> None:
    errands, done, finished = Errands("test", 10), list[int](), threading.Event()
    errands.start()
    errands.start()
    for number in range(3):
        assert errands.send(partial(done.append, number))
    assert errands.send(lambda: done.append(threading.get_ident()))
    assert errands.send(finished.set)
    assert finished.wait(LONG)
    assert done[:3] == [0, 1, 2]
    assert done[3] != threading.get_ident()
    errands.stop(LONG)
    errands.stop(LONG)


def test_when_too_many_wait_the_next_is_refused() -> None:
    errands = Errands("test", 2)
    assert [errands.send(lambda: None) for _ in range(3)] == [True, True, False]


def test_one_that_fails_does_not_stop_the_next(caplog: pytest.LogCaptureFixture) -> None:
    errands, finished = Errands("test", 10), threading.Event()
    errands.start()
    errands.send(partial(int, "x"))  # type: ignore[arg-type]
    errands.send(finished.set)
    assert finished.wait(LONG)
    errands.stop(LONG)
    assert "An errand of test failed" in caplog.text


def test_a_stop_waits_for_the_one_under_way_and_drops_the_rest() -> None:
    errands, begun, may_end, done = Errands("test", 2), threading.Event(), threading.Event(), list[str]()

    def errand() -> None:
        begun.set()
        may_end.wait(LONG)
        done.append("first")

    errands.start()
    errands.send(errand)
    assert begun.wait(LONG)
    for _ in range(2):
        errands.send(lambda: done.append("never"))
    threading.Timer(0.05, may_end.set).start()
    errands.stop(LONG)
    assert done == ["first"]
