"""The yardstick: aiohttp that reads JSON, a body or a WebSocket's frame, sends it back, and does nothing else."""

import argparse
import asyncio
import importlib
from collections.abc import Callable

from aiohttp import web


async def _echo(request: web.Request) -> web.Response:
    return web.json_response(await request.json())


async def echo_frames(request: web.Request) -> web.WebSocketResponse:
    """Frames come back."""
    ws = web.WebSocketResponse()
    await ws.prepare(request)
    async for message in ws:
        await ws.send_json(message.json())
    return ws


async def _alive(_request: web.Request) -> web.Response:
    return web.Response()


async def _serve(port: int) -> None:
    app = web.Application()
    app.router.add_post("/echo", _echo)
    app.router.add_get("/echo", echo_frames)
    app.router.add_get("/readyz", _alive)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    await asyncio.Event().wait()


def _loop(name: str) -> Callable[[], asyncio.AbstractEventLoop]:
    """Makes the same kind of loop that the server under test runs on."""
    if name == "asyncio":
        return asyncio.new_event_loop
    made: Callable[[], asyncio.AbstractEventLoop] = importlib.import_module(name).new_event_loop
    return made


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--loop", choices=("asyncio", "uvloop"), default="asyncio")
    options = parser.parse_args()
    with asyncio.Runner(loop_factory=_loop(options.loop)) as runner:
        runner.run(_serve(options.port))
