"""Attempts to sign in are counted, and those of many at once do not fill the memory."""

from types import SimpleNamespace
from typing import Any, cast

import pytest

from interlock.clock import SystemClock
from interlock.errors import RateLimited
from web import throttle
from web.throttle import Throttle


def throttled(per_account: int, per_address: int) -> Throttle:
    return Throttle(SystemClock(), per_account, per_address, 300)


def test_an_account_and_an_address_each_have_their_own_count() -> None:
    door = throttled(2, 4)
    for _ in range(2):
        door.enter("ann", "1.1.1.1")
    with pytest.raises(RateLimited, match="account") as refused:
        door.enter("ANN ", "2.2.2.2")
    assert 1 <= refused.value.retry_after <= 301
    for name in ("bob", "eve"):
        door.enter(name, "1.1.1.1")
    with pytest.raises(RateLimited, match="address"):
        door.enter("joe", "1.1.1.1")
    for _ in range(2):
        door.enter("joe", "3.3.3.3")  # what an address may no longer do has cost the account nothing


def test_who_gets_in_is_forgiven_but_the_address_is_not() -> None:
    door = throttled(1, 3)
    for _ in range(3):
        door.enter("ann", "1.1.1.1")
        door.welcome("ann")
    with pytest.raises(RateLimited, match="address"):
        door.enter("ann", "1.1.1.1")


def test_zero_is_no_limit() -> None:
    door = throttled(0, 0)
    for _ in range(50):
        door.enter("ann", "1.1.1.1")
    door.welcome("ann")


def test_attempts_from_everywhere_do_not_fill_the_memory_and_keep_nobody_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(throttle, "MOST", 10)
    door = throttled(0, 5)
    for place in range(100):
        door.enter(None, str(place))
        assert len(door._counts.storage) <= 10


def test_invented_accounts_make_those_forgotten_that_were_tried_least_and_longest_ago(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(throttle, "MOST", 20)
    door = throttled(2, 50)
    for _ in range(2):
        door.enter("ann", "1.1.1.1")
    door.enter("bob", "1.1.1.1")
    for number in range(40):
        door.enter(f"invented {number}", "2.2.2.2")
    door.enter("invented 39", "2.2.2.2")
    for name in ("ann", "invented 39"):
        with pytest.raises(RateLimited, match="account"):
            door.enter(name, "3.3.3.3")
    for _ in range(2):
        door.enter("bob", "3.3.3.3")


def test_an_address_that_invents_accounts_is_refused_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(throttle, "MOST", 20)
    door = throttled(10, 100)
    for number in range(100):
        door.enter(f"invented {number}", "1.1.1.1")
    with pytest.raises(RateLimited, match="address"):
        door.enter("another", "1.1.1.1")


def test_a_clock_that_is_ahead_makes_no_wait_of_nothing() -> None:
    ahead = cast("Any", SimpleNamespace(now=lambda: 10**15))
    door = Throttle(ahead, 1, 0, 300)
    door.enter("ann", "1.1.1.1")
    with pytest.raises(RateLimited) as refused:
        door.enter("ann", "1.1.1.1")
    assert refused.value.retry_after == 1
