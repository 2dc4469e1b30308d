"""The network between an agent and its server, as a relay on loopback that can be cut, and that tells what passes.

It looks at the first line of what a client sends, which is enough for HTTP/1.1 without pipelining.
"""

import asyncio
import re
from collections import Counter
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager

_CHUNK = 65_536
_REQUEST = re.compile(rb"(GET|POST) \S*?/(jobs|heartbeat|result|logs|agent)(\?\S*)? HTTP/1\.1\r\n")
_ROUTES = {b"jobs": "poll", b"heartbeat": "heartbeat", b"result": "result", b"logs": "logs", b"agent": "upgrade"}

Hook = Callable[[str], Coroutine[None, None, bool]]


async def _pass_on(_: str) -> bool:
    """What happens at a request unless a test says otherwise."""
    return True


class BadNetwork:
    """Relays to `port`. A test may set `before`, called with the route when a request is about to be passed on, and
    `after`, called when its answer is about to be; False ends the connection instead. While the network is cut, nothing
    passes: connections are taken and stay silent, as when packets are dropped on the way.
    """

    def __init__(self, port: int) -> None:
        self.port = port
        self.url = ""
        self.before: Hook = _pass_on
        self.after: Hook = _pass_on
        self.passed: Counter[str] = Counter()  # requests by route that have been passed on
        self.connections = 0
        self._whole = asyncio.Event()
        self._whole.set()
        self._serving: set[asyncio.Task[None]] = set()

    def cut(self) -> None:
        """From now on nothing passes."""
        self._whole.clear()

    def mend(self, *, deliver: bool) -> None:
        """Let things pass again. What was under way arrives now, late; or, without `deliver`, was lost for good."""
        if not deliver:
            self.drop()
        self._whole.set()

    def drop(self) -> None:
        """Break every connection, as a proxy does that is restarted."""
        for task in self._serving:
            task.cancel()

    @asynccontextmanager
    async def running(self) -> AsyncIterator["BadNetwork"]:
        """Listening on a free port for as long as the block lasts."""
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.url = "http://{}:{}".format(*server.sockets[0].getsockname()[:2])
        try:
            yield self
        finally:
            server.close()
            self._whole.set()
            for task in list(self._serving):
                task.cancel()
            await asyncio.gather(*self._serving, return_exceptions=True)

    def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        task = asyncio.create_task(self._relay(reader, writer))
        self._serving.add(task)
        task.add_done_callback(self._serving.discard)
        task.add_done_callback(lambda _: writer.transport.abort())  # also when it never began

    async def _relay(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Both ways until either side hangs up."""
        await self._whole.wait()
        try:
            backend_reader, backend = await asyncio.open_connection("127.0.0.1", self.port)
        except OSError:
            return
        asked: list[str] = []  # the routes of requests whose answer has not begun
        ways = (
            asyncio.create_task(self._requests(reader, backend, asked)),
            asyncio.create_task(self._answers(backend_reader, writer, asked)),
        )
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            backend.transport.abort()
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)

    async def _requests(self, reader: asyncio.StreamReader, backend: asyncio.StreamWriter, asked: list[str]) -> None:
        while data := await reader.read(_CHUNK):
            begun = _REQUEST.match(data)
            await self._whole.wait()
            if begun is not None:
                route = _ROUTES[begun[2]]
                if not await asyncio.shield(asyncio.create_task(self.before(route))):
                    return
                self.passed[route] += 1
                asked.append(route)
            backend.write(data)
            await backend.drain()

    async def _answers(self, backend: asyncio.StreamReader, writer: asyncio.StreamWriter, asked: list[str]) -> None:
        while data := await backend.read(_CHUNK):
            await self._whole.wait()
            if asked and not await asyncio.shield(asyncio.create_task(self.after(asked.pop(0)))):
                return
            writer.write(data)
            await writer.drain()
