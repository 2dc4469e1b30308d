"""How many files may come at once, in all and from one organization."""

from contextlib import AsyncExitStack

import pytest

from interlock.errors import RateLimited, Unavailable
from web.uploads import Uploads


async def test_an_org_whose_agents_dawdle_shuts_nobody_else_out() -> None:
    uploads = Uploads(3, 2)
    async with AsyncExitStack() as slow:
        for _ in range(2):
            await slow.enter_async_context(uploads.place("dawdling"))
        with pytest.raises(RateLimited) as refused:
            await slow.enter_async_context(uploads.place("dawdling"))
        assert refused.value.retry_after is not None
        async with uploads.place("quick"):
            with pytest.raises(Unavailable):
                await slow.enter_async_context(uploads.place("third"))
        async with uploads.place("third"):
            assert uploads.under_way == 3
    assert uploads.under_way == 0
    async with uploads.place("dawdling"), uploads.place("dawdling"):
        assert uploads.under_way == 2
