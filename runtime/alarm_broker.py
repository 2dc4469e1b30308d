"""Dramatiq's Redis broker, with what its worker needs to live through restarts of Redis.

As read and tried with dramatiq 2.2.1: its consumer thread survives only `BrokerConnectionError`. A time-out, a refusal
(`OOM`, `READONLY`), or a connection that breaks just while a due message is moved comes as another error, on whose way
out the thread hands messages back, fails again and is gone for good. So every trouble with Redis gets that one name here.

And messages that a worker had fetched stay its own as long as its broker's id gives signs of life, although the worker
has forgotten them with the connection. So the id changes with every new consumer: the old one falls silent, and after
`HEARTBEAT` anybody's worker hands out again what it had. Both may make an alarm ring twice, which does no harm.
"""

import contextlib
import logging
import threading
from collections.abc import Iterable, Iterator
from typing import Any

import dramatiq
import redis
from dramatiq.broker import Consumer, MessageProxy
from dramatiq.brokers.redis import RedisBroker, _RedisConsumer
from dramatiq.errors import ConnectionClosed
from redis.backoff import NoBackoff
from redis.retry import Retry

from interlock.clock import Millis
from interlock.ids import UuidIds
from runtime.alarms import QUEUE

log = logging.getLogger(__name__)

NAMESPACE = "{interlock}"  # the braces keep all keys on one node of a Redis Cluster
HEARTBEAT: Millis = 5_000  # a worker that has not asked Redis for this long is dead; it asks every 100 ms
MAINTENANCE = 100_000  # of a million commands, how many look for the dead; dramatiq's own 1,000 takes minutes
# What dramatiq says of every single trouble; `AlarmBroker` says once that Redis is away, and once that it is back.
_LOGGERS = (
    f"dramatiq.worker.ConsumerThread({QUEUE})",
    f"dramatiq.worker.ConsumerThread({QUEUE}.DQ)",
    "dramatiq.brokers.redis._RedisConsumer",
)
_SAID_ONCE = (
    "Consumer encountered a connection error",
    "Restarting consumer in",
    "Failed to post_process_message",
    "Found 'None' message",
)


class _Client(redis.Redis):
    """Every trouble is a `redis.ConnectionError`, but for a script that must be loaded first."""

    def execute_command(self, *args: Any, **options: Any) -> Any:
        try:
            return super().execute_command(*args, **options)  # type: ignore[no-untyped-call]
        except (redis.ConnectionError, redis.exceptions.NoScriptError):
            raise
        except (redis.RedisError, OSError) as error:
            raise redis.ConnectionError(str(error)) from error


class _Consumer(_RedisConsumer):
    def requeue(self, messages: Iterable[MessageProxy]) -> None:
        with _in_one_word():
            super().requeue(messages)  # type: ignore[no-untyped-call]


class AlarmBroker(RedisBroker):
    """A broker that may lose Redis at any moment. Nothing is retried here: the sweep stands in.

    `timeout` is what Redis may take to answer, in seconds; nothing here is called on the event loop.
    """

    def __init__(self, url: str, timeout: float, *, heartbeat: Millis = HEARTBEAT) -> None:
        client = _Client.from_url(
            url, socket_timeout=timeout, socket_connect_timeout=timeout, retry=Retry(NoBackoff(), 0)
        )
        super().__init__(  # type: ignore[no-untyped-call]
            client=client,
            middleware=[],
            namespace=NAMESPACE,
            heartbeat_timeout=heartbeat,
            maintenance_chance=MAINTENANCE,
        )
        self._ids = UuidIds()
        self._away = False
        self._telling = threading.Lock()
        for name in _LOGGERS:
            logging.getLogger(name).addFilter(_not_said_already)

    @property
    def consumer_class(self) -> type[Consumer]:
        """Dramatiq's own, but for its errors."""
        return _Consumer

    def consume(self, queue_name: str, prefetch: int = 1, timeout: int = 5000) -> Consumer:
        """A new consumer, under a new name of ours."""
        self.broker_id = self._ids.new()
        return super().consume(queue_name, prefetch, timeout)

    def enqueue(self, message: dramatiq.Message[Any], *, delay: int | None = None) -> dramatiq.Message[Any]:
        """Send; `ConnectionClosed` when Redis does not take it."""
        with _in_one_word():
            return super().enqueue(message, delay=delay)

    def _dispatch(self, command: str) -> Any:
        dispatch = super()._dispatch(command)  # type: ignore[no-untyped-call]

        def watched(*args: Any) -> Any:
            try:
                answer = dispatch(*args)
            except redis.ConnectionError as error:
                if self._turns(away=True):
                    log.warning("Redis is away, the sweep stands in for alarms: %s", error)
                raise
            if self._away and self._turns(away=False):
                log.info("Redis is back, alarms ring again")
            return answer

        return watched

    def _turns(self, *, away: bool) -> bool:
        """Whether that is news: of the threads that find it out at the same time one tells it."""
        with self._telling:
            news, self._away = self._away != away, away
        return news

    def close(self) -> None:
        """Let go of the connections."""
        self.client.close()


@contextlib.contextmanager
def _in_one_word() -> Iterator[None]:
    try:
        yield
    except redis.ConnectionError as error:
        raise ConnectionClosed(error) from None  # type: ignore[no-untyped-call]


def _not_said_already(record: logging.LogRecord) -> bool:
    return not str(record.msg).startswith(_SAID_ONCE)
