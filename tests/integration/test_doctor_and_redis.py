"""The doctor asks a real Redis how it is."""

import pytest

from engines.redis_server import own_redis
from runtime.check_others import check_redis
from runtime.findings import Verdict
from runtime.settings import Settings


@pytest.mark.parametrize(("policy", "verdict"), [("noeviction", Verdict.OK), ("allkeys-lru", Verdict.WARN)])
def test_a_redis_that_may_forget_is_told_from_one_that_may_not(policy: str, verdict: Verdict) -> None:
    with own_redis(policy=policy) as server:
        (finding,) = check_redis(Settings(redis_url=server.url))
    assert finding.verdict is verdict
