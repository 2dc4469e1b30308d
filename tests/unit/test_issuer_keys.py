"""An issuer's keys are remembered, asked for again, and outlive an outage, but not for ever."""

import asyncio
import time

import pytest

from interlock.clock import SystemClock
from interlock.errors import Unauthenticated, Unavailable
from interlock.ids import UuidIds
from tests.support.issuer import NAME, claims, jwk_of, make_key, set_of, signed
from web.issuer import Issuer
from web.issuer_keys import IssuerKeys, KeysAway
from web.tokens import KeyUnknown, Tokens

ANN = UuidIds().new()
ONE, TWO = make_key("ES256"), make_key("ES256")
FIRST, BOTH, SECOND = (
    set_of(jwk_of(ONE, "one")),
    set_of(jwk_of(ONE, "one"), jwk_of(TWO, "two")),
    set_of(jwk_of(TWO, "two")),
)
LATER = int(time.time()) + 80_000  # these are made at the collection, and used much later
BY_ONE = signed(ONE, "ES256", claims(ANN, exp=LATER), "one")
BY_TWO = signed(TWO, "ES256", claims(ANN, exp=LATER), "two")
ISSUER = Issuer("ES256", "https://id.example.com/keys", NAME, "interlock")


class Desk:
    """Hands out a set, or does not; time goes on when it is told to."""

    def __init__(self, body: bytes = FIRST) -> None:
        self.body: bytes | None = body
        self.asked = 0
        self.now = 1000.0
        self.open = asyncio.Event()
        self.open.set()
        self.came = asyncio.Event()
        self.keys = IssuerKeys(ISSUER, self.fetch, lambda: self.now)
        self.tokens = Tokens(b"5" * 64, SystemClock(), issuer=ISSUER, keys=self.keys)

    async def fetch(self) -> bytes:
        self.asked += 1
        self.came.set()
        await self.open.wait()
        if self.body is None:
            raise KeysAway("nobody is there")
        return self.body

    async def takes(self, token: str) -> bool:
        try:
            return (await self.tokens.user(token)).user_id == ANN
        except Unauthenticated:
            return False


async def test_the_first_token_asks_and_the_next_do_not() -> None:
    desk = Desk()
    assert await desk.takes(BY_ONE)
    desk.tokens = Tokens(b"5" * 64, SystemClock(), issuer=ISSUER, keys=desk.keys)
    assert await desk.takes(BY_ONE)
    assert desk.asked == 1


async def test_all_who_come_at_once_share_one_question() -> None:
    desk = Desk()
    desk.open.clear()
    waiting = [asyncio.create_task(desk.takes(token)) for token in (BY_ONE, BY_TWO, BY_ONE) * 20]
    await desk.came.wait()
    desk.open.set()
    assert await asyncio.gather(*waiting) == [True, False, True] * 20
    assert desk.asked == 1


async def test_who_leaves_while_the_keys_are_asked_for_does_not_end_the_question() -> None:
    desk = Desk()
    desk.open.clear()
    leaver, stayer = (asyncio.create_task(desk.takes(BY_ONE)) for _ in range(2))
    await desk.came.wait()
    leaver.cancel()
    desk.open.set()
    assert await stayer
    assert desk.asked == 1


async def test_a_new_key_is_found_at_its_first_token() -> None:
    desk = Desk()
    assert await desk.takes(BY_ONE)
    desk.body = BOTH
    desk.now += ISSUER.retry_seconds
    assert await desk.takes(BY_TWO)
    assert await desk.takes(BY_ONE)
    assert desk.asked == 2


async def test_ids_that_strangers_make_up_do_not_make_us_ask_all_the_time() -> None:
    desk = Desk()
    made_up = [signed(make_key("EdDSA"), "EdDSA", claims(ANN), f"k{n}") for n in range(3)]
    made_up += [signed(TWO, "ES256", claims(ANN), f"k{n}") for n in range(50)]
    for token in made_up:
        assert not await desk.takes(token)
    assert desk.asked == 1
    desk.now += ISSUER.retry_seconds
    for token in made_up:
        assert not await desk.takes(token)
    assert desk.asked == 2


async def test_a_key_that_is_withdrawn_counts_no_more_from_the_next_look_on() -> None:
    desk = Desk(BOTH)
    assert await desk.takes(BY_ONE)
    assert await desk.takes(BY_TWO)
    desk.body = SECOND
    await desk.keys.look()
    assert await desk.takes(BY_ONE)  # they are not old yet
    desk.now += ISSUER.max_age_seconds
    await desk.keys.look()
    assert not await desk.takes(BY_ONE)
    assert await desk.takes(BY_TWO)


async def test_while_the_issuer_is_away_known_keys_count_for_so_long_and_then_no_more() -> None:
    desk = Desk()
    assert await desk.takes(BY_ONE)
    desk.body = None
    desk.now += ISSUER.outage_seconds
    await desk.keys.look()
    assert desk.asked == 2
    assert await desk.takes(BY_ONE)
    desk.now += 1
    await desk.keys.look()
    with pytest.raises(Unavailable):
        await desk.takes(BY_ONE)
    desk.body = FIRST
    desk.now += ISSUER.retry_seconds
    assert await desk.takes(BY_ONE)


async def test_without_any_keys_yet_a_token_is_neither_good_nor_bad() -> None:
    desk = Desk()
    desk.body = None
    with pytest.raises(Unavailable):
        await desk.takes(BY_ONE)
    assert not await desk.takes(signed(ONE, "ES256", claims(ANN), "one", typ="logout+jwt"))
    assert await desk.takes(desk.tokens.user_token(ANN, None, 60))


@pytest.mark.parametrize("body", [b"", b"{}", b"<html>", set_of(jwk_of(make_key("EdDSA"), "k"))])
async def test_an_answer_that_makes_no_sense_changes_nothing(body: bytes) -> None:
    desk = Desk()
    assert await desk.takes(BY_ONE)
    desk.body = body
    desk.now += ISSUER.max_age_seconds
    await desk.keys.look()
    assert desk.asked == 2
    assert await desk.takes(BY_ONE)


async def test_an_unknown_key_is_an_unauthenticated_caller() -> None:
    desk = Desk()
    with pytest.raises(KeyUnknown):
        await desk.tokens.user(BY_TWO)
