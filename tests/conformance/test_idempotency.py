"""Idempotency-Key: who comes while the first is under way waits for it, whatever becomes of it; on every database."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from actors.messages import Idempotency as Key
from interlock.clock import Millis, SystemClock
from interlock.errors import IdempotencyConflict, InterlockError, InvalidRequest, Unavailable
from interlock.ids import UuidIds
from store import Store, open_database
from store.keys import keep_answer, take_key
from web.idempotency import KEPT, Idempotency

KEY = Key("user", "key", "fingerprint")


class Clock(SystemClock):
    """A clock that can be put forward, in ms."""

    ahead: Millis = 0

    def now(self) -> Millis:
        return super().now() + self.ahead


class Desk:
    """Somebody who makes things under a key: each making is held until it is let go, and then ends as it is told."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.clock = Clock()
        self.ids = UuidIds()
        self.here, self.there = (Idempotency(store, self.clock, self.ids) for _ in range(2))  # two processes
        self.begun: asyncio.Queue[asyncio.Future[InterlockError | None]] = asyncio.Queue()
        self.made = 0

    async def make(self) -> bytes:
        """As a create does: the answer is stored with what was made, which fails when the key has been used meanwhile."""
        verdict: asyncio.Future[InterlockError | None] = asyncio.get_running_loop().create_future()
        self.begun.put_nowait(verdict)
        error = await verdict
        if error is not None:
            raise error
        self.made += 1
        return await self.keep(f'{{"made":{self.made}}}')

    async def keep(self, answer: str) -> bytes:
        row = self.ids.new(), "org", KEY, self.clock.now()
        await self.store.change(lambda db: take_key(db, *row))
        await self.store.change(lambda db: keep_answer(db, "org", KEY.user_id, KEY.key, answer))
        return answer.encode()

    def ask(self, key: Key = KEY, at: Idempotency | None = None) -> "asyncio.Task[tuple[bytes, bool]]":
        return asyncio.create_task((at or self.here).once("org", key, self.make))

    async def next(self, error: InterlockError | None = None) -> None:
        """Let the making that has begun, or begins next, end like that."""
        (await asyncio.wait_for(self.begun.get(), 10)).set_result(error)


@pytest.fixture
async def desk(url: str) -> AsyncIterator[Desk]:
    store = Store(open_database(url), "me", read_threads=2)
    store.start(asyncio.get_running_loop())
    yield Desk(store)
    await asyncio.to_thread(store.stop)


async def test_duplicates_wait_for_the_first_and_get_its_answer(desk: Desk) -> None:
    asked = [desk.ask() for _ in range(5)]
    first = await asyncio.wait_for(desk.begun.get(), 10)
    assert not any(each.done() for each in asked)
    first.set_result(None)
    assert sorted(await asyncio.gather(*asked)) == [(b'{"made":1}', False)] + [(b'{"made":1}', True)] * 4
    assert (desk.made, desk.begun.qsize()) == (1, 0)


@pytest.mark.parametrize("error", [InvalidRequest("no"), Unavailable("not now")], ids=["refused", "undecided"])
async def test_when_the_first_fails_the_next_tries_and_the_others_wait_for_it(
    desk: Desk, error: InterlockError
) -> None:
    asked = [desk.ask() for _ in range(4)]
    await desk.next(error)
    second = await asyncio.wait_for(desk.begun.get(), 10)
    assert desk.begun.empty()
    second.set_result(None)
    outcomes = await asyncio.gather(*asked, return_exceptions=True)
    assert outcomes.count(error) == 1
    assert outcomes.count((b'{"made":1}', False)) == 1
    assert outcomes.count((b'{"made":1}', True)) == 2


async def test_when_the_first_gives_up_the_next_goes_on(desk: Desk) -> None:
    first, second = desk.ask(), desk.ask()
    await asyncio.wait_for(desk.begun.get(), 10)
    first.cancel()
    await desk.next()
    assert await second == (b'{"made":1}', False)
    assert first.cancelled()


async def test_another_body_conflicts_even_while_the_first_is_under_way(desk: Desk) -> None:
    first, other = desk.ask(), desk.ask(KEY._replace(fingerprint="other"))
    await desk.next()
    await first
    with pytest.raises(IdempotencyConflict):
        await other


async def test_other_users_and_other_keys_wait_for_nobody(desk: Desk) -> None:
    asked = [desk.ask(key) for key in (KEY, KEY._replace(key="2"), KEY._replace(user_id="2"))]
    begun = [await asyncio.wait_for(desk.begun.get(), 10) for _ in asked]
    for verdict in begun:
        verdict.set_result(None)
    assert [replayed for _, replayed in await asyncio.gather(*asked)] == [False] * 3


async def test_who_was_slower_at_another_server_gets_the_answer_of_the_quicker(desk: Desk) -> None:
    here, there = desk.ask(), desk.ask(at=desk.there)
    slower = await asyncio.wait_for(desk.begun.get(), 10)
    await desk.next()
    done, _ = await asyncio.wait({here, there}, return_when=asyncio.FIRST_COMPLETED)
    slower.set_result(Unavailable("the key is taken"))
    assert sorted(await asyncio.gather(here, there)) == [(b'{"made":1}', False), (b'{"made":1}', True)]
    assert len(done) == 1


async def test_after_a_day_a_key_is_new(desk: Desk) -> None:
    await desk.keep("{}")
    assert await desk.ask() == (b"{}", True)
    desk.clock.ahead = KEPT
    again = desk.ask()
    await desk.next()
    assert await again == (b'{"made":1}', False)
