"""The examples in docs/client.md, in their order, against a real server."""

import asyncio
import re
from pathlib import Path

from tests.support.callers import Plane, Tenant

PAGE = Path(__file__).parents[2] / "docs" / "client.md"


async def test_every_example_of_the_page_runs(plane: Plane, tenant: Tenant) -> None:
    examples = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    assert len(examples) >= 6
    program = "\n".join(examples).replace("http://127.0.0.1:8080", plane.server.url)
    names = {"token": tenant.as_role("owner").token, "print": lambda *_: None}
    await asyncio.to_thread(exec, compile(program, str(PAGE), "exec"), names)
    assert names["job"].type == "SERVER_START"  # type: ignore[union-attr]
