"""Where aiohttp's parser puts the frames of a socket: they may be taken at once, in the turn of the loop that read them.

aiohttp's own queue wakes the task that reads, which costs a future and another turn of the loop for every frame. Here
whoever serves the socket may be handed each frame instead, as long as none waits before it; what is not taken so waits for
who reads, as with aiohttp.
"""

from collections.abc import Callable

from aiohttp._websocket.reader import WebSocketDataQueue
from aiohttp.base_protocol import BaseProtocol
from aiohttp.http_websocket import WebSocketReader, WSMessageDecodeText, WSMessageNoDecodeText

Taker = Callable[[WSMessageDecodeText | WSMessageNoDecodeText], bool]  # whether it has taken the frame; never raises

_LIMIT = 2**18  # bytes; when twice as many wait the transport is told to pause: aiohttp's own number


class FrameQueue(WebSocketDataQueue):
    """The queue of one socket."""

    def __init__(self, protocol: BaseProtocol) -> None:
        super().__init__(protocol, _LIMIT, loop=protocol._loop)  # noqa: SLF001 - as aiohttp's own responses do
        self.taker: Taker | None = None
        self._behind = False  # something has come to wait, and whoever reads has not done with all of it yet

    def feed_data(self, data: WSMessageDecodeText | WSMessageNoDecodeText, size: int) -> None:
        """Called by the parser."""
        if self._behind or self.taker is None or not self.taker(data):
            self._behind = True
            super().feed_data(data, size)

    def done_with_one(self) -> None:
        """Whoever reads has dealt with what it read. Not before may anything later be taken: the parser may go on while
        something is being read out of here.
        """
        self._behind = bool(self._buffer)


def reader_of(queue: FrameQueue, most_bytes: int) -> WebSocketReader:
    """The parser that fills this queue with texts that are not decoded."""
    return WebSocketReader(queue, most_bytes, compress=False, decode_text=False)
