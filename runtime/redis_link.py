"""A node's link to Redis for what the event loop does with it: commands, and channels to listen to.

It comes and goes by itself, and nobody ever waits for it longer than its time-out: a command that fails or takes longer
breaks the link, which then starts afresh on new connections. While it is broken, commands fail at once.
"""

import asyncio
import contextlib
import logging
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol

import redis.asyncio
from redis.asyncio.client import PubSub
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from interlock.errors import InterlockError
from interlock.ids import UuidIds
from runtime.endings import end

log = logging.getLogger(__name__)

Heard = Callable[[bytes], None]
Command = tuple[str | bytes | int, ...]
AT_ONCE = 4  # round trips that may be under way; each has a connection of its own
CHANNELS_AT_ONCE = 500  # subscribed to with one command after the link has come back
TOLD_EVERY = 60.0  # seconds between two warnings of the same trouble
_TROUBLE = (RedisError, OSError, TimeoutError)


class RedisAway(Exception):
    """Redis does not answer, or refuses. Whether it has done what it was asked to is unknown."""


class BadRedisUrl(InterlockError):
    """The URL of Redis cannot be used; the sentence says why."""

    title = "redis_url cannot be used"


class LinkUser(Protocol):
    """Who is told when the link comes and goes, on the loop."""

    async def came_up(self) -> None:
        """Commands are answered, and channels are listened to again. After a `RedisAway` the link starts afresh."""

    def went_down(self) -> None:
        """Whatever is under way has failed, or will."""


class RedisLink:
    """The link of one part of a node. `timeout` for an answer and `pause` between two tries are in seconds."""

    def __init__(self, url: str, name: str, *, timeout: float, pause: float) -> None:
        self.up = False
        self.tried = asyncio.Event()  # whether it is known if Redis is there
        self._name = name
        self._timeout = timeout
        self._pause = pause
        self._client = _client(url, timeout)
        self._user: LinkUser | None = None
        self._own = f"{{interlock}}:pulse:{UuidIds().new()}"
        self._pulsed = asyncio.Event()
        self._channels: dict[str, Heard] = {self._own: lambda _: self._pulsed.set()}
        self._confirming: dict[str, asyncio.Future[bool]] = {}
        self._ear: PubSub | None = None  # while there is a link, be it not yet up
        self._broken = asyncio.Event()
        self._reason = "not yet tried"
        self._told = ""  # the reason that was told last: again and again it is told once a minute
        self._told_at = 0.0
        self._say_back = True
        self._slots = asyncio.Semaphore(AT_ONCE)
        self._task: asyncio.Task[None] | None = None

    def start(self, user: LinkUser) -> None:
        """Begin to try. Once."""
        self._user = user
        self._task = asyncio.create_task(self._run(), name=f"redis-{self._name}")

    async def stop(self) -> None:
        """Let go; twice does no harm."""
        task, self._task = self._task, None
        if task is not None:
            await end(task)
        async with contextlib.AsyncExitStack() as none_under_way:
            for _ in range(AT_ONCE):
                await none_under_way.enter_async_context(self._slots)
            await self._client.aclose()

    async def call(self, *command: str | bytes | int) -> Any:
        """One command's answer; `RedisAway` when there is none."""
        return (await self.calls([command]))[0]

    async def calls(self, commands: Sequence[Command]) -> list[Any]:
        """Several commands in one round trip, in order but not as one; `RedisAway` when any has failed."""
        async with self._slots:
            ear = self._ear
            if ear is None:
                raise RedisAway(self._reason)
            with self._guarded(ear):
                async with asyncio.timeout(self._timeout):
                    pipeline = self._client.pipeline(transaction=False)
                    for command in commands:
                        pipeline.execute_command(*command)
                    answers: list[Any] = await pipeline.execute()
                    return answers

    async def subscribe(self, channel: str, heard: Heard) -> None:
        """Call `heard(message)` for whatever is published there from now on, also after the link has come back.

        Returns when Redis has confirmed it; `RedisAway` when that must wait until the link is up again.
        """
        self._channels[channel] = heard
        if self._ear is None:
            raise RedisAway(self._reason)
        await self._subscribe(self._ear, [channel])

    async def unsubscribe(self, channel: str) -> None:
        """Hear no more of it."""
        self._channels.pop(channel, None)
        ear = self._ear
        if ear is not None:
            with contextlib.suppress(RedisAway), self._guarded(ear):
                await ear.unsubscribe(channel)

    @contextlib.contextmanager
    def _guarded(self, ear: PubSub) -> Iterator[None]:
        """Trouble becomes `RedisAway`, and breaks the link, unless that has been replaced meanwhile."""
        try:
            yield
        except _TROUBLE as error:
            if ear is self._ear:
                self._break(_sentence(error))
            raise RedisAway(_sentence(error)) from error

    async def _run(self) -> None:
        while True:
            try:
                await self._live()
            except (*_TROUBLE, RedisAway) as error:
                self._reason = _sentence(error)
            except Exception:
                log.exception("The link to Redis for %s failed unexpectedly", self._name)
            self.tried.set()
            self._tell()
            await self._client.connection_pool.disconnect()
            await asyncio.sleep(self._pause)

    def _tell(self) -> None:
        now = asyncio.get_running_loop().time()
        if self._told != self._reason or now - self._told_at > TOLD_EVERY:
            self._told, self._told_at, self._say_back = self._reason, now, True
            log.warning("Redis is away for %s: %s", self._name, self._reason)

    async def _live(self) -> None:
        """From the connection to its break; the reason is raised, or kept."""
        async with self._client.pubsub() as ear:
            async with asyncio.timeout(self._timeout):
                await ear.subscribe(self._own)
            self._broken.clear()
            self._ear = ear
            parts = (self._listen(ear), self._keep_up(ear), self._broken.wait())
            tasks = [asyncio.create_task(part) for part in parts]
            try:
                done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
                for task in done:
                    task.result()
            finally:
                self._break("it was let go")
                await end(*tasks)

    async def _listen(self, ear: PubSub) -> None:
        while True:
            message = await ear.get_message(timeout=None)
            if message is None:
                continue
            channel = message["channel"].decode()
            if message["type"] == "message" and channel in self._channels:
                self._hear(self._channels[channel], message["data"])
            elif message["type"] == "subscribe":
                self._confirm(channel)

    def _hear(self, heard: Heard, message: bytes) -> None:
        try:
            heard(message)
        except Exception:
            log.exception("What Redis said could not be heard by %s", self._name)

    def _confirm(self, channel: str) -> None:
        confirming = self._confirming.pop(channel, None)
        if confirming is not None and not confirming.done():
            confirming.set_result(True)

    async def _keep_up(self, ear: PubSub) -> None:
        channels = [name for name in self._channels if name != self._own]
        for first in range(0, len(channels), CHANNELS_AT_ONCE):
            await self._subscribe(ear, channels[first : first + CHANNELS_AT_ONCE])
        if self._user is not None:
            await self._user.came_up()
        self.up = True
        self.tried.set()
        if self._say_back:
            self._say_back = False
            log.info("Redis is there for %s", self._name)
        while True:
            await asyncio.sleep(self._timeout)
            await self._pulse()

    async def _pulse(self) -> None:
        """A link over which nothing can come any more looks just like a quiet one: say something, and hear it."""
        self._pulsed.clear()
        await self.call("PUBLISH", self._own, "")
        async with asyncio.timeout(self._timeout):
            await self._pulsed.wait()

    async def _subscribe(self, ear: PubSub, channels: list[str]) -> None:
        loop = asyncio.get_running_loop()
        confirming = [self._confirming.setdefault(name, loop.create_future()) for name in channels]
        with self._guarded(ear):
            async with asyncio.timeout(self._timeout):
                await ear.subscribe(*channels)
                confirmed = await asyncio.gather(*map(asyncio.shield, confirming))
        if not all(confirmed):
            raise RedisAway(self._reason)

    def _break(self, reason: str) -> None:
        """The link is not to be used any more; `_run` makes a new one."""
        if self._ear is None:
            return
        self._ear, self._reason, self.up = None, reason, False
        self._broken.set()
        for confirming in self._confirming.values():
            if not confirming.done():
                confirming.set_result(False)
        self._confirming.clear()
        if self._user is not None:
            self._user.went_down()


def _sentence(error: BaseException) -> str:
    """Without the command that a pipeline's error begins with: it is another one every time."""
    return str(error).rpartition(" of pipeline caused error: ")[2] or type(error).__name__


def _client(url: str, timeout: float) -> redis.asyncio.Redis:
    try:
        return redis.asyncio.Redis.from_url(
            url, protocol=2, socket_timeout=timeout, socket_connect_timeout=timeout, retry=Retry(NoBackoff(), 0)
        )
    except ValueError as error:
        raise BadRedisUrl("expected redis://host:port/0, rediss://host:port/0 or unix:///path") from error
