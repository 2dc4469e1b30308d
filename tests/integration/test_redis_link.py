"""The link comes and goes by itself; whoever uses it waits no longer than its time-out."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from engines.redis_server import OwnRedis
from runtime.redis_link import BadRedisUrl, RedisAway, RedisLink
from tests.support.redis_rig import link_to, until


class User:
    """Counts how often the link came and went."""

    def __init__(self) -> None:
        self.told: list[str] = []

    async def came_up(self) -> None:
        self.told.append("up")

    def went_down(self) -> None:
        self.told.append("down")


@pytest.fixture
def user() -> User:
    return User()


@pytest.fixture
async def link(redis_server: OwnRedis, user: User) -> AsyncIterator[RedisLink]:
    made = link_to(redis_server.url)
    made.start(user)
    await until(lambda: made.up)
    yield made
    await made.stop()
    await made.stop()


async def test_commands_are_answered_in_their_order(link: RedisLink) -> None:
    assert await link.call("SET", "a", 1)
    assert await link.calls([("INCR", "a"), ("INCR", "a"), ("GET", "a")]) == [2, 3, b"3"]


async def test_many_at_once_share_a_few_connections(link: RedisLink, redis_server: OwnRedis) -> None:
    await asyncio.gather(*(link.call("INCR", "a") for _ in range(200)))
    with redis_server.client() as client:
        assert client.get("a") == "200"
        assert int(client.info("clients")["connected_clients"]) < 10


async def test_what_is_published_is_heard_from_the_confirmation_on(link: RedisLink) -> None:
    heard: list[bytes] = []
    await link.subscribe("channel", heard.append)
    for number in range(3):
        await link.call("PUBLISH", "channel", number)
    await until(lambda: heard == [b"0", b"1", b"2"])
    await link.unsubscribe("channel")
    await link.call("PUBLISH", "channel", "late")
    await link.subscribe("other", heard.append)
    await link.call("PUBLISH", "other", "last")
    await until(lambda: heard == [b"0", b"1", b"2", b"last"])


async def test_channels_are_listened_to_again_after_an_outage(
    link: RedisLink, redis_server: OwnRedis, user: User
) -> None:
    heard: list[bytes] = []
    await link.subscribe("channel", heard.append)
    redis_server.kill()
    with pytest.raises(RedisAway):
        await link.call("PING")
    assert not link.up
    with pytest.raises(RedisAway):
        await link.subscribe("meanwhile", heard.append)
    redis_server.start()
    await until(lambda: link.up)
    await link.call("PUBLISH", "channel", "a")
    await link.call("PUBLISH", "meanwhile", "b")
    await until(lambda: heard == [b"a", b"b"])
    assert user.told == ["up", "down", "up"]


async def test_an_outage_is_noticed_without_any_command(link: RedisLink, redis_server: OwnRedis) -> None:
    redis_server.kill()
    await until(lambda: not link.up)
    redis_server.start()
    await until(lambda: link.up)


async def test_a_redis_that_hangs_is_away_until_it_answers_again(link: RedisLink, redis_server: OwnRedis) -> None:
    redis_server.pause()
    with pytest.raises(RedisAway):
        await link.call("PING")
    await until(lambda: not link.up)
    redis_server.resume()
    await until(lambda: link.up)
    assert await link.call("PING")


async def test_a_hang_is_noticed_without_any_command(link: RedisLink, redis_server: OwnRedis) -> None:
    redis_server.pause()
    await until(lambda: not link.up)
    redis_server.resume()
    await until(lambda: link.up)


async def test_a_refusal_breaks_the_link_and_it_is_told(link: RedisLink, user: User) -> None:
    with pytest.raises(RedisAway):
        await link.call("NONSENSE")
    assert user.told == ["up", "down"]
    await until(lambda: link.up)


async def test_the_same_outage_is_told_once(
    redis_server: OwnRedis, user: User, caplog: pytest.LogCaptureFixture
) -> None:
    redis_server.kill()
    link = link_to(redis_server.url)
    link.start(user)
    await link.tried.wait()
    for _ in range(5):
        link.tried.clear()
        await link.tried.wait()
    redis_server.start()
    await until(lambda: link.up)
    await link.stop()
    assert caplog.text.count("Redis is away") == 1


async def test_a_user_who_fails_is_told_again(redis_server: OwnRedis, caplog: pytest.LogCaptureFixture) -> None:
    class Clumsy(User):
        async def came_up(self) -> None:
            await super().came_up()
            if self.told.count("up") == 1:
                raise ValueError("clumsy")

    clumsy = Clumsy()
    link = link_to(redis_server.url)
    link.start(clumsy)
    await until(lambda: link.up)
    await link.stop()
    assert clumsy.told == ["up", "down", "up", "down"]
    assert "clumsy" in caplog.text


@pytest.mark.parametrize("url", ["http://127.0.0.1", "127.0.0.1:6379", "redis://127.0.0.1:x"])
async def test_a_url_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(BadRedisUrl):
        RedisLink(url, "test", timeout=1, pause=1)


async def test_without_a_link_commands_fail_at_once(redis_server: OwnRedis) -> None:
    link = link_to(redis_server.url)
    with pytest.raises(RedisAway):
        await link.call("PING")
    await link.unsubscribe("channel")
    await link.stop()
