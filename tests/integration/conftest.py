"""What these tests share: a Redis of their own, fresh for each."""

from collections.abc import Iterator

import pytest

from engines.redis_server import OwnRedis, own_redis
from tests.support.redis_rig import redis_or_skip


@pytest.fixture
def redis_server() -> Iterator[OwnRedis]:
    """It forgets all when it ends."""
    with redis_or_skip(own_redis()) as server:
        yield server
