"""One open socket to the server: frames that are answered, and frames that the server sends of itself.

A frame that gets no answer in time ends the link: whoever is silent on a socket is gone, and what was said may have
been heard or not. Everything an agent says may be said again, so the caller repeats it on the next link or over HTTP.
"""

import asyncio
import logging
from collections.abc import Callable
from typing import TypeVar

import aiohttp
import msgspec

from interlock.agent.text import clean
from interlock.errors import ALL_PROBLEMS, Conflict, InterlockError, InvalidRequest, TryLater, Unavailable

logger = logging.getLogger(__name__)

T = TypeVar("T")
MAX_DETAIL = 300  # characters of a server's sentence that go into the log
_KINDS = {kind.code: kind for kind in ALL_PROBLEMS}


class _Frame(msgspec.Struct):
    """A frame as it comes; `id` is that of the frame which it answers."""

    event: str
    data: msgspec.Raw = msgspec.Raw(b"{}")
    id: str | int | None = None


class _Said(msgspec.Struct):
    """The data of an `error` frame."""

    code: str = ""
    message: str = ""
    retry_after: float | None = msgspec.field(name="retryAfter", default=None)


Push = Callable[["Link", str, msgspec.Raw], None]


class Link:
    """Wraps a connected WebSocket. `read` must run for answers to arrive; it ends with the connection."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse, *, answer_seconds: float) -> None:
        self._socket = socket
        self._answer_seconds = answer_seconds
        self._waiting: dict[str, asyncio.Future[_Frame]] = {}
        self._last_id = 0
        self.closed = asyncio.Event()
        self._goodbye: asyncio.Task[bool] | None = None
        self.proven = False  # the server has answered something here
        self.farewell: InterlockError | None = None  # the last error that was no answer: why it will be closed

    async def ask(self, event: str, data: object, kind: type[T]) -> T:
        """Send a frame and return its answer's data as a `kind`.

        The errors are those of HTTP, by their code; `Unavailable` when the link ends or stays silent first.
        """
        if self.closed.is_set():
            raise Unavailable("the socket is closed", retry_after=0.0)
        self._last_id += 1
        name = str(self._last_id)
        answer = self._waiting[name] = asyncio.get_running_loop().create_future()
        try:
            async with asyncio.timeout(self._answer_seconds):
                await self._socket.send_str(
                    msgspec.json.encode({"event": event, "data": data, "id": name}).decode("utf-8")
                )
                frame = await answer
        except TimeoutError as error:
            self.close()
            raise Unavailable(f"no answer to {event} in time", retry_after=0.0) from error
        except (aiohttp.ClientError, OSError) as error:
            self.close()
            raise Unavailable(f"the socket broke: {clean(str(error))[:MAX_DETAIL]}", retry_after=0.0) from error
        finally:
            self._waiting.pop(name, None)
        self.proven = True
        if frame.event == "error":
            raise _refusal(frame.data)
        return _decoded(frame, kind)

    async def read(self, on_push: Push) -> None:
        """Hand answers to those who wait and everything else to `on_push`, until the connection ends."""
        try:
            async for message in self._socket:
                if message.type is not aiohttp.WSMsgType.TEXT:
                    break
                self._take(message.data, on_push)
        finally:
            self.close()
            if self._goodbye is not None:
                await self._goodbye

    def close(self) -> None:
        """Send nothing more; whoever waits for an answer is told so. The connection ends beside that, politely."""
        if self.closed.is_set():
            return
        self.closed.set()
        for answer in self._waiting.values():
            if not answer.done():
                answer.set_exception(Unavailable("the socket was closed before the answer", retry_after=0.0))
        self._waiting.clear()
        self._goodbye = asyncio.create_task(self._socket.close())

    def _take(self, text: str, on_push: Push) -> None:
        try:
            frame = msgspec.json.decode(text, type=_Frame)
        except (msgspec.MsgspecError, RecursionError) as error:
            logger.warning("a frame is passed over: %s", error)
            return
        if frame.id is not None:
            answer = self._waiting.get(str(frame.id))
            if answer is not None and not answer.done():  # else it came twice, or nobody waits for it any more
                answer.set_result(frame)
        elif frame.event == "error":
            self.farewell = _refusal(frame.data)
            logger.warning("the server says: %s", self.farewell.detail)
        else:
            on_push(self, frame.event, frame.data)


def _decoded(frame: _Frame, kind: type[T]) -> T:
    try:
        return msgspec.json.decode(frame.data, type=kind)
    except (msgspec.MsgspecError, RecursionError) as error:
        raise Unavailable(f"the answer {frame.event} cannot be read: {error}", retry_after=0.0) from error


def _refusal(data: msgspec.Raw) -> InterlockError:
    """The error that an `error` frame stands for."""
    try:
        said = msgspec.json.decode(data, type=_Said)
    except (msgspec.MsgspecError, RecursionError):
        said = _Said()
    detail = f"{said.code} {clean(said.message)[:MAX_DETAIL]}".strip()
    kind = _KINDS.get(said.code)
    if kind is not None and issubclass(kind, TryLater):
        return kind(detail, retry_after=max(0.0, said.retry_after or 0.0))
    if kind is not None and issubclass(kind, Conflict):
        return kind(detail, None)
    if kind is not None:
        return kind(detail)
    return Conflict(detail) if said.code == "already_taken" else InvalidRequest(detail)
