"""Long lists travel compressed, to those who take them so."""

import gzip

import pytest

from tests.support.callers import Tenant
from web.packing import LEAST_BYTES


async def read(tenant: Tenant, path: str, accepts: str) -> tuple[bytes, str | None, str | None]:
    """The bytes as they travel, their coding, and what the answer varies with."""
    headers = {"Authorization": f"Bearer {tenant.user.token}", "Accept-Encoding": accepts}
    async with tenant.user.session.get(f"{tenant.user.url}{path}", headers=headers) as answer:
        assert answer.status == 200
        return await answer.read(), answer.headers.get("Content-Encoding"), answer.headers.get("Vary")


async def many(tenant: Tenant, count: int) -> None:
    host = tenant.host()
    jobs = [{"type": "SEARCH_SINGLE", "hostId": host.id} for _ in range(count)]
    assert (await tenant.user.post(f"{tenant.jobs_path}/batch", {"jobs": jobs})).status == 200


async def test_a_long_list_is_compressed_for_who_accepts_it(tenant: Tenant) -> None:
    await many(tenant, 50)
    path = f"{tenant.jobs_path}?limit=50"
    plain = await read(tenant, path, "identity")
    packed = await read(tenant, path, "br, gzip")
    assert plain[1:] == (None, "Accept-Encoding")
    assert packed[1:] == ("gzip", "Accept-Encoding")
    assert gzip.decompress(packed[0]) == plain[0]
    assert len(packed[0]) < len(plain[0]) / 3
    assert len(plain[0]) >= LEAST_BYTES


async def test_a_short_list_is_sent_as_it_is(tenant: Tenant) -> None:
    await many(tenant, 1)
    assert (await read(tenant, tenant.jobs_path, "gzip"))[1:] == (None, None)


@pytest.mark.parametrize("accepts", ["gzip;q=0", "br", "", "identity, gzip; q=0.0"])
async def test_who_does_not_take_gzip_is_not_given_it(tenant: Tenant, accepts: str) -> None:
    await many(tenant, 50)
    body, coding, _ = await read(tenant, f"{tenant.jobs_path}?limit=50", accepts)
    assert coding is None
    assert body.startswith(b"{")
