"""Requests are counted in windows, for each name by itself, and no more memory is taken than for those that go on."""

import pytest

from interlock.errors import RateLimited
from runtime.request_limits import rates_for
from runtime.settings import Settings
from web import request_windows
from web.problems import retry_after
from web.request_limits import Kind, RequestLimits
from web.request_windows import RequestWindows, Windows


class Hands:
    """A clock that is moved by hand, in seconds."""

    def __init__(self) -> None:
        self.seconds = 1_000_000.0

    def now(self) -> int:
        return round(self.seconds * 1000)

    def chance(self) -> float:
        return 0.5


async def left(rates: RequestWindows, kind: Kind, name: str) -> int | None:
    standing = await rates.enter(kind, name)
    return None if standing is None else standing.left


async def test_each_name_of_each_kind_has_a_count_of_its_own() -> None:
    rates = RequestWindows(RequestLimits(per_token=2, per_org=3), Hands())
    assert [await left(rates, "token", "a") for _ in range(4)] == [1, 0, -1, -1]
    assert [await left(rates, "token", "b") for _ in range(2)] == [1, 0]
    assert [await left(rates, "org", "a") for _ in range(4)] == [2, 1, 0, -1]
    assert await left(rates, "key", "a") is None
    assert await left(rates, "session", "a") is None


async def test_a_window_begins_with_the_first_request_and_ends_after_its_time() -> None:
    clock = Hands()
    rates = RequestWindows(RequestLimits(per_key=1, window_seconds=10), clock)
    assert await left(rates, "key", "a") == 0
    clock.seconds += 9
    refused = await rates.enter("key", "a")
    assert refused is not None
    assert refused.left == -1
    assert refused.ends_in == pytest.approx(1)
    clock.seconds += 1
    assert await left(rates, "key", "a") == 0


async def test_a_clock_that_is_set_back_locks_nobody_out() -> None:
    clock = Hands()
    rates = RequestWindows(RequestLimits(per_key=1, window_seconds=10), clock)
    assert await left(rates, "key", "a") == 0
    clock.seconds -= 86_400
    assert await left(rates, "key", "a") == 0


def test_windows_that_are_over_are_let_go(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Hands()
    windows = Windows(clock)
    for number in range(100):
        assert windows.incr(f"a{number}", 10) == 1
    clock.seconds += 10
    windows.incr("b", 10)
    assert windows.reset() == 1
    monkeypatch.setattr(request_windows, "MOST", 50)
    for number in range(120):
        windows.incr(f"c{number}", 10)
    assert (windows.reset() or 0) <= 50


def test_what_the_library_asks_of_a_storage_is_answered() -> None:
    clock = Hands()
    windows = Windows(clock)
    windows.incr("a", 10, amount=3)
    assert (windows.get("a"), windows.get("b"), windows.check()) == (3, 0, True)
    assert windows.get_expiry("a") == clock.seconds + 10
    clock.seconds += 10
    assert windows.get("a") == 0
    windows.clear("a")
    assert windows.reset() == 0


@pytest.mark.parametrize("chance", [0.0, 0.5, 0.999])
def test_who_has_used_up_a_window_is_never_told_to_come_before_it_ends(chance: float) -> None:
    for ends_in in (0.1, 1, 7.2, 59.9, 3600):
        assert ends_in <= retry_after(RateLimited(retry_after=ends_in), 2.0, chance) <= ends_in * 1.5 + 1


def test_nothing_is_loaded_for_a_server_that_limits_nothing() -> None:
    assert rates_for(Settings(rate_window_seconds=5), Hands()) is None
    assert rates_for(Settings(requests_per_org=5), Hands()) is not None
