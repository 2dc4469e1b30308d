"""What the guides show is what the server does: every request of a page is sent, and its answer compared.

A page shows a request as an `http` block, and its answer as the `json` or `text` block that follows. `{name}` is an id that
the first answer with it tells, `"…"` is any value, and fields that are not shown are passed over.
"""

import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import pytest

from interlock.clock import rfc3339
from tests.support.callers import Agent, Caller, Reply, Tenant

DOCS = Path(__file__).parents[2] / "docs"
PAGES = ("config.md", "fleet.md", "publishing.md")
OF_JOBS = "/api/orgs/{org}/jobs"
_BLOCK = re.compile(r"```(http|json|text)\n(.*?)\n```", re.DOTALL)
_NAME = re.compile(r"\{(\w+)\}")
_HOUR, _LATEST = "2027-03-01T18:00:00Z", "2027-03-01T18:15:00Z"


class Shown(NamedTuple):
    """A request as a page shows it, and its answer."""

    method: str
    path: str
    headers: dict[str, str]
    body: str
    answer: str


def examples(page: str) -> Iterator[Shown]:
    """The page's requests, in order."""
    blocks = _BLOCK.findall((DOCS / page).read_text())
    assert [kind == "http" for kind, _ in blocks] == [True, False] * (len(blocks) // 2)
    for (_, request), (_, answer) in zip(blocks[::2], blocks[1::2], strict=True):
        head, _, body = request.partition("\n\n")
        first, *lines = head.splitlines()
        method, path = first.split()
        yield Shown(method, path, dict(line.split(": ", 1) for line in lines), body, answer)


class Reader:
    """Follows a page, and learns its names."""

    def __init__(self, tenant: Tenant, host: Agent) -> None:
        self.tenant = tenant
        self.host = host
        self.names = {"org": tenant.id, "host": host.id}

    async def follow(self, shown: Shown) -> None:
        """Send the request and compare the answer."""
        body = self._filled(shown.body).replace(_HOUR, _in_ms(-1000)).replace(_LATEST, _in_ms(900_000))
        who = self._who(shown)
        reply = await who.ask(shown.method, self._filled(shown.path), body.encode() or None, headers=shown.headers)
        assert reply.status in {200, 201}, reply
        self._compare(shown, reply)

    def _who(self, shown: Shown) -> Caller:
        if shown.path.startswith("/api/agent/"):
            return self.host
        return self.tenant.as_role("operator" if shown.path.startswith(OF_JOBS) else "admin")

    def _compare(self, shown: Shown, reply: Reply) -> None:
        if shown.answer.startswith(("{", "[")):
            self._match(msgspec.json.decode(shown.answer), reply.json, "$")
        else:
            assert reply.body.decode() == shown.answer

    def _match(self, shown: Any, found: Any, path: str) -> None:
        if isinstance(shown, dict):
            for key, value in shown.items():
                assert key in found, f"{path}.{key} is missing"
                self._match(value, found[key], f"{path}.{key}")
        elif isinstance(shown, list):
            assert len(found) == len(shown), path
            for place, value in enumerate(shown):
                self._match(value, found[place], f"{path}[{place}]")
        elif isinstance(shown, str) and (name := _NAME.fullmatch(shown)):
            assert found == self.names.setdefault(name[1], found), path
        elif shown != "…":
            assert found == shown, path

    def _filled(self, text: str) -> str:
        return _NAME.sub(lambda found: self.names[found[1]], text)


def _in_ms(span: int) -> str:
    return rfc3339(time.time_ns() // 1_000_000 + span)


@pytest.mark.parametrize("page", PAGES)
async def test_a_page_shows_what_the_server_does(tenant: Tenant, page: str) -> None:
    reader = Reader(tenant, tenant.host())
    for shown in examples(page):
        await reader.follow(shown)
