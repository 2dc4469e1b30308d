"""One address in front of all nodes, as a load balancer would be: each connection goes to any of them that takes it."""

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from chaos_rig.nodes import Node, free_port

CONNECT_SECONDS = 1.0  # a stopped node still takes connections: its kernel does
_CHUNK = 65_536


@asynccontextmanager
async def in_front_of(nodes: Sequence[Node], seed: int) -> AsyncIterator[str]:
    """The URL of a balancer that listens as long as the block lasts."""
    port = free_port()
    balancer = _Balancer(nodes, random.Random(seed))  # noqa: S311 - which node, not secrets
    server = await asyncio.start_server(balancer.serve, "127.0.0.1", port)
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        server.close()
        await balancer.close()


class _Balancer:
    def __init__(self, nodes: Sequence[Node], chance: random.Random) -> None:
        self._nodes = nodes
        self._chance = chance
        self._serving: set[asyncio.Task[None]] = set()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One client's connection, from its start to its end."""
        task = asyncio.current_task()
        if task is not None:
            self._serving.add(task)
            task.add_done_callback(self._serving.discard)
        try:
            for node in self._chance.sample(self._nodes, len(self._nodes)):
                with contextlib.suppress(OSError):  # a TimeoutError is an OSError
                    async with asyncio.timeout(CONNECT_SECONDS):
                        backend = await asyncio.open_connection("127.0.0.1", node.port)
                    await _join((reader, writer), backend)
                    return
        except asyncio.CancelledError:
            return  # asyncio's own callback would make an error of it
        finally:
            writer.close()

    async def close(self) -> None:
        """Hang up on everybody."""
        for task in list(self._serving):
            task.cancel()
        await asyncio.gather(*self._serving, return_exceptions=True)


_Ends = tuple[asyncio.StreamReader, asyncio.StreamWriter]


async def _join(client: _Ends, backend: _Ends) -> None:
    """Carry bytes both ways until either side hangs up; then both are."""
    ways = [asyncio.create_task(_carry(client[0], backend[1])), asyncio.create_task(_carry(backend[0], client[1]))]
    try:
        await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for way in ways:
            way.cancel()
        await asyncio.gather(*ways, return_exceptions=True)
        backend[1].close()


async def _carry(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await source.read(_CHUNK):
            target.write(data)
            await target.drain()
