"""A key set is fetched from exactly where it was said to be, in bounds, without holding anybody up."""

import asyncio
import gzip
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.issuer import NAME, KeyServer, jwk_of, make_key, set_of
from web.issuer import Issuer
from web.issuer_keys import KeysAway
from web.key_fetch import fetch_from

SET = set_of(jwk_of(make_key("EdDSA"), "k1"))


@pytest.fixture
def keys() -> Iterator[KeyServer]:
    with KeyServer(SET) as running:
        yield running


def of(keys: KeyServer, **options: Any) -> Issuer:
    return Issuer("EdDSA", keys.url, NAME, "interlock")._replace(**options)


async def test_the_set_is_read_as_it_came(keys: KeyServer) -> None:
    assert await fetch_from(of(keys))() == SET


@pytest.mark.parametrize("status", [206, 301, 302, 307, 308, 401, 404, 500, 503])
async def test_any_other_answer_is_none_and_no_redirect_is_followed(keys: KeyServer, status: int) -> None:
    with KeyServer(SET) as other:
        keys.status, keys.headers = status, {"Location": other.url}
        with pytest.raises(KeysAway, match=str(status)):
            await fetch_from(of(keys))()
        assert (keys.asked, other.asked) == (1, 0)


async def test_a_set_that_is_too_large_is_not_read_to_its_end(keys: KeyServer) -> None:
    keys.body = b" " * 300_000
    with pytest.raises(KeysAway, match="more than 262144 bytes"):
        await fetch_from(of(keys))()


async def test_a_compressed_set_is_not_unpacked(keys: KeyServer) -> None:
    keys.body, keys.headers = gzip.compress(SET), {"Content-Encoding": "gzip"}
    with pytest.raises(KeysAway, match="compressed"):
        await fetch_from(of(keys))()


async def test_nobody_is_waited_for_longer_than_is_set_and_the_loop_turns_meanwhile(keys: KeyServer) -> None:
    keys.hold = threading.Event()
    fetching = asyncio.ensure_future(fetch_from(of(keys, timeout_seconds=0.2))())
    turns = 0
    while not fetching.done():
        turns += 1
        await asyncio.sleep(0)
    with pytest.raises(KeysAway, match=r"0\.2 s"):
        await fetching
    assert turns > 10


async def test_nobody_there_is_said_in_a_sentence(keys: KeyServer) -> None:
    issuer = of(keys)
    keys.__exit__(None, None, None)
    with pytest.raises(KeysAway, match="ClientConnectorError"):
        await fetch_from(issuer)()
