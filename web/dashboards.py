"""`/ws`: an org's events as they are committed, with replay by `after`."""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Coroutine
from time import monotonic
from typing import Any, Literal

import msgspec
from aiohttp import WSMsgType, web

from interlock.clock import rfc3339
from interlock.errors import Forbidden, InterlockError, InvalidRequest, NotFound, Unauthenticated
from interlock.ids import is_id
from web.access import Credential, at_socket, counted_watcher, holder, in_time, shown, stamp
from web.agent_socket import text_frame
from web.allowance import Allowance
from web.event_stream import EventStream
from web.log_context import REQUEST_ID
from web.problems import problem
from web.services import Services

log = logging.getLogger(__name__)

CHECKED_EVERY = 10.0  # seconds between looks whether the watcher still may
PING_EVERY = 20.0  # seconds
CLOSE_SECONDS = 2.0  # that a client may take to answer our close
MAX_FRAME = 65_536  # bytes that a dashboard may send at once
_encode = msgspec.json.Encoder().encode


class _AuthFrame(msgspec.Struct):
    event: str
    data: dict[str, Any] = {}


async def watch(request: web.Request, s: Services, _: None) -> web.StreamResponse:
    """Upgrade, check the credential (header, cookie, or first frame), then send what is committed from now on."""
    org_id, after = request.query.get("orgId", ""), request.query.get("after")
    start = None if after is None else number(after)
    credential, user_id = await at_socket(request, s), ""
    if credential is not None:
        user_id = await may_watch(s, credential, org_id)
        await counted_watcher(request, s, credential, org_id)
    if start is None and is_id(org_id):
        start = await s.streams.position(org_id)
    ws = web.WebSocketResponse(timeout=CLOSE_SECONDS, heartbeat=PING_EVERY, max_msg_size=MAX_FRAME, compress=False)
    stamp(request, ws)

    async def write(frames: list[str]) -> None:
        await _write(request, ws, frames)

    with contextlib.ExitStack() as held:
        held.enter_context(s.links.stranger() if credential is None else s.links.of_user(user_id))
        try:
            await ws.prepare(request)
            if credential is None:
                credential = await shown(s, await _first_frame(ws, s.web_limits.socket_auth_seconds))
                user_id = await may_watch(s, credential, org_id)
                await counted_watcher(None, s, credential, org_id)
                held.close()
                held.enter_context(s.links.of_user(user_id))
        except InterlockError as error:
            if not ws.prepared:
                raise
            await ws.send_str(_frame("error", problem(error, request[REQUEST_ID])).decode())
            await ws.close(code=1008, message=error.code.encode())
            return ws
        await _serve(ws, s, org_id, credential, tell(s, org_id, start, write, replays=after is not None))
    return ws


def number(text: str) -> int:
    """The number of an event, as `after` names it."""
    if not text.isascii() or not text.isdigit() or len(text) > 18:  # noqa: PLR2004
        raise InvalidRequest.at("?after", "expected the seq of an event")
    return int(text)


async def _first_frame(ws: web.WebSocketResponse, seconds: float) -> str:
    message = await in_time(ws.receive(), seconds)
    try:
        frame = msgspec.json.decode(message.data, type=_AuthFrame) if message.type is WSMsgType.TEXT else None
    except (msgspec.MsgspecError, RecursionError, UnicodeError) as error:
        raise Unauthenticated("The first frame must be auth") from error
    data = frame.data if frame is not None and frame.event == "auth" else {}
    given = data.get("ticket") or data.get("token")
    if not isinstance(given, str):
        raise Unauthenticated("The first frame must be auth, with a token or a ticket")
    return given


async def may_watch(s: Services, credential: Credential, org_id: str) -> str:
    """The id of the credential's user; raises what keeps him from watching the org."""
    person = await holder(s, credential)
    if not is_id(org_id) or await s.lookups.role(org_id, person.id) is None:
        raise NotFound("No such organization")
    return person.id


async def _serve(
    ws: web.WebSocketResponse, s: Services, org_id: str, credential: Credential, sending: Coroutine[Any, Any, None]
) -> None:
    sender = asyncio.create_task(sending)
    checker = asyncio.create_task(until_unwelcome(s, credential, org_id))
    reader = asyncio.create_task(_read(ws, _allowance(s)))
    stopping = asyncio.create_task(s.stopping.wait())
    tasks = (sender, checker, reader, stopping)
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        unwelcome = has_returned(checker) or (has_returned(reader) and reader.result() == "flood")
        code = 1001 if stopping.done() else 1008 if unwelcome else 1000
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        broken = has_failed(sender, checker, reader)
    with contextlib.suppress(ConnectionError, RuntimeError):
        await ws.close(code=1011 if broken and code == 1000 else code)  # noqa: PLR2004 - RFC 6455's


def has_returned(task: asyncio.Task[Any]) -> bool:
    """Whether it has ended by itself, and has not failed."""
    return task.done() and not task.cancelled() and task.exception() is None


def has_failed(*tasks: asyncio.Task[Any]) -> bool:
    """Whether one of those that have ended has failed, which is logged; that the other side has gone is no failure."""
    errors = [task.exception() for task in tasks if not task.cancelled()]
    unexpected = [error for error in errors if error is not None and not isinstance(error, ConnectionError)]
    for error in unexpected:
        log.error("A dashboard's socket failed", exc_info=error)
    return bool(unexpected)


async def tell(
    s: Services, org_id: str, start: int | None, write: Callable[[list[str]], Awaitable[None]], *, replays: bool
) -> None:
    """Write what is committed in the org behind the number `start`, and behind the stream's birth without one; never
    returns. Without `replays` a stream that has been reborn since is begun at its birth, and no gap.
    """
    with s.metrics.watching():
        async with s.streams.watching(org_id) as stream:
            cursor = await s.streams.cursor(org_id, start)
            if cursor is None and not replays:
                cursor = await s.streams.cursor(org_id, None)
            await _follow(write, stream, s, start or stream.born, cursor)


async def _follow(
    write: Callable[[list[str]], Awaitable[None]], stream: EventStream, s: Services, seen: int, cursor: int | None
) -> None:
    """Write what stands behind the cursor; None, or a stream that has moved past it, is a gap. `seen`: the last number."""
    while True:
        frames = None if cursor is None else stream.after(cursor)
        if cursor is None or frames is None:
            body = {"event": "gap", "seq": stream.newest, "at": rfc3339(s.clock.now()), "data": {"after": seen}}
            seen, cursor = stream.newest, stream.end
            await write([_encode(body).decode()])
        elif frames:
            seen, cursor = frames[-1].seq, cursor + len(frames)
            await write([frame.text for frame in frames])
        else:
            await stream.wait(cursor)


async def until_unwelcome(s: Services, credential: Credential, org_id: str) -> None:
    """Return when the watcher may watch no longer: at once when the session ends here, else at the next look."""
    with s.sessions.holding(credential.session_id) as ended:
        while not ended.is_set():
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(CHECKED_EVERY):
                    await ended.wait()
            try:
                await may_watch(s, credential, org_id)
            except (Unauthenticated, Forbidden, NotFound):
                return
            except InterlockError:
                continue  # the database is away: that is no reason to send anybody away


async def _write(request: web.Request, ws: web.WebSocketResponse, frames: list[str]) -> None:
    """Write all in one piece, since each write is a system call; return when the client keeps up."""
    transport = request.transport
    if ws.closed or transport is None or transport.is_closing():
        raise ConnectionResetError("The dashboard has gone")
    transport.write(b"".join([text_frame(frame.encode()) for frame in frames]))
    await request.protocol._drain_helper()  # noqa: SLF001 - what aiohttp's own writers wait for


def _allowance(s: Services) -> Allowance:
    limits = s.links.limits
    return Allowance(limits.frames_per_second, limits.frames_at_once, monotonic())


async def _read(ws: web.WebSocketResponse, allowance: Allowance) -> Literal["left", "flood"]:
    """Dashboards have nothing to say, and may not say it without end; return when they leave, or send what is no frame."""
    async for message in ws:
        if message.type is WSMsgType.ERROR:
            return "left"
        if allowance.spend(len(message.data or b""), monotonic()) == "end":
            return "flood"
    return "left"


def _frame(event: str, data: Any) -> bytes:
    return _encode({"event": event, "data": data})
