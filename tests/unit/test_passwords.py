"""Passwords are checked on a few threads of their own, at the same cost whoever asks."""

import asyncio
import threading
from collections.abc import AsyncIterator

import pytest

from interlock.errors import InvalidRequest, Unavailable
from web import argon
from web.passwords import LONGEST, Cost, Passwords, acceptable, cleaned, make_hash

CHEAP = Cost(8, 1)


@pytest.fixture
async def passwords() -> AsyncIterator[Passwords]:
    made = Passwords(CHEAP, threads=1, waiting=1, least=8)
    yield made
    made.stop()


async def test_a_hash_fits_its_password_and_no_other(passwords: Passwords) -> None:
    known = await passwords.make("correct horse")
    assert known.startswith("$argon2id$v=19$m=8192,t=1,p=1$")
    assert await passwords.check("correct horse", known) == (True, False)
    for other in ("Correct horse", "", "correct horse "):
        assert await passwords.check(other, known) == (False, False)
    assert await passwords.make("correct horse") != known


async def test_the_same_letters_from_another_keyboard_fit(passwords: Passwords) -> None:
    assert (await passwords.check("Stra\u00dfe u\u0308ber", await passwords.make("Stra\u00dfe \u00fcber"))).fits


async def test_a_hash_of_another_cost_fits_and_is_outdated(passwords: Passwords) -> None:
    assert await passwords.check("correct horse", make_hash("correct horse", Cost(9, 1))) == (True, True)
    assert await passwords.check("wrong", make_hash("correct horse", Cost(9, 1))) == (False, False)


async def test_what_is_no_hash_fits_nothing(passwords: Passwords) -> None:
    for known in ("", "x", "$argon2id$v=19$m=8192,t=1,p=1$x$y"):
        assert await passwords.check("", known) == (False, False)


async def test_nobody_costs_what_somebody_costs(passwords: Passwords, monkeypatch: pytest.MonkeyPatch) -> None:
    known, checked = await passwords.make("correct horse"), []
    fits = argon.fits

    def noted(password: str, given: str) -> bool:
        checked.append(given.rsplit("$", 2)[0])
        return fits(password, given)

    monkeypatch.setattr(argon, "fits", noted)
    for hashed in (known, None):
        assert not (await passwords.check("wrong", hashed)).fits
    assert checked == ["$argon2id$v=19$m=8192,t=1,p=1"] * 2


async def test_the_hash_of_nobody_fits_no_password_of_nobody(passwords: Passwords) -> None:
    assert await passwords.check("", None) == (False, False)


async def test_the_loop_turns_while_a_password_is_checked_elsewhere(
    passwords: Passwords, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen, go_on = [], threading.Event()

    def slow(_: str, __: Cost) -> str:
        seen.append(threading.current_thread())
        go_on.wait()
        return "made"

    monkeypatch.setattr(argon, "make_hash", slow)
    first, second = (asyncio.create_task(passwords.make("correct horse")) for _ in range(2))
    await asyncio.sleep(0)
    with pytest.raises(Unavailable):  # one is under way, one waits: no more
        await passwords.make("correct horse")
    first.cancel()
    await asyncio.wait({first})
    with pytest.raises(Unavailable):  # the thread does not know that nobody waits for it
        await passwords.make("correct horse")
    go_on.set()
    assert await second == "made"
    assert await passwords.make("correct horse") == "made"
    assert threading.main_thread() not in seen


async def test_the_loop_goes_on_turning_while_argon2_is_at_work() -> None:
    passwords = Passwords(Cost(), threads=1, waiting=0, least=8)
    making = asyncio.create_task(passwords.make("correct horse"))
    turns = 0
    while not making.done():
        turns += 1
        await asyncio.sleep(0)
    passwords.stop()
    assert (await making).startswith("$argon2id$")
    assert turns > 100  # on the loop's own thread, or with the interpreter held, it would be a handful


async def test_after_the_stop_there_is_nobody_to_ask() -> None:
    passwords = Passwords(CHEAP, threads=1, waiting=0, least=8)
    passwords.stop()
    for _ in range(2):
        with pytest.raises(Unavailable, match="stopping"):
            await passwords.check("x", None)


def test_a_new_password_has_a_least_length_and_any_has_a_longest() -> None:
    assert acceptable("12345678", 8) == "12345678"
    assert cleaned("") == ""
    for refused, least in (("1234567", 8), ("x" * (LONGEST + 1), 0)):
        with pytest.raises(InvalidRequest) as caught:
            acceptable(refused, least)
        assert caught.value.errors[0]["path"] == "$.password"
