"""One request to whichever server is at hand: answered, or not known."""

import asyncio
import random
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import aiohttp
import msgspec

from chaos_rig.errors import Unanswered
from chaos_rig.history import History
from chaos_rig.nodes import Node

PATIENCE = 2.0  # seconds until an answer is given up; a stopped server gives none
MOVES = 0.03  # how often somebody goes to another server for no reason
PAUSES = (0.03, 0.15)  # seconds before a request is repeated, jittered
_TRY_AGAIN = {429, 503}


class Answer(NamedTuple):
    """What came back, and from whom."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    node: Node

    @property
    def json(self) -> Any:
        """The document."""
        return msgspec.json.decode(self.body)


class Caller:
    """Somebody with a credential. Stays with a server until it fails him."""

    def __init__(
        self,
        who: str,
        token: str,
        nodes: Sequence[Node],
        session: aiohttp.ClientSession,
        history: History,
        chance: random.Random,
    ) -> None:
        self.who = who
        self.history = history
        self.chance = chance
        self.session = session
        self.token = token
        self._nodes = nodes
        self._node = self.chance.choice(nodes)

    def choose(self, *, other: bool = False) -> Node:
        """The server for the next request."""
        if len(self._nodes) > 1 and (other or self.chance.random() < MOVES):
            self._node = self.chance.choice([node for node in self._nodes if node is not self._node])
        return self._node

    async def ask(
        self, method: str, path: str, body: Any = None, *, headers: Mapping[str, str] | None = None, wait: float = 0.0
    ) -> Answer:
        """The answer; `Unanswered` when none came, or none that decides anything."""
        node = self.choose()
        sent = {"Authorization": f"Bearer {self.token}", **(headers or {})}
        data = None if body is None else body if isinstance(body, bytes) else msgspec.json.encode(body)
        if data is not None:
            sent["Content-Type"] = "application/json"
        try:
            async with (
                asyncio.timeout(PATIENCE + wait),
                self.session.request(method, node.url + path, data=data, headers=sent) as response,
            ):
                answer = Answer(response.status, response.headers, await response.read(), node)
        except (aiohttp.ClientError, OSError) as error:  # a TimeoutError is an OSError
            self.choose(other=True)
            raise Unanswered(type(error).__name__) from error
        if answer.status in _TRY_AGAIN:
            self.choose(other=True)
            raise Unanswered(str(answer.status))
        if answer.status >= 500:  # noqa: PLR2004 - a server's own fault
            self.history.wrong(self.who, f"{method} {path}: {answer.status} {answer.body[:300]!r}")
            raise Unanswered(str(answer.status))
        return answer

    async def insist(
        self, method: str, path: str, body: Any = None, *, headers: Mapping[str, str] | None = None
    ) -> Answer:
        """Repeat it until it is answered."""
        while True:
            try:
                return await self.ask(method, path, body, headers=headers)
            except Unanswered:
                await self.rest()

    async def rest(self) -> None:
        """The pause before something is repeated."""
        await asyncio.sleep(self.chance.uniform(*PAUSES))

    def unexpected(self, what: str, answer: Answer) -> None:
        """An answer that this request must never get."""
        self.history.wrong(self.who, f"{what}: {answer.status} {answer.body[:300]!r}")
