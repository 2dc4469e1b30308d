"""Reading a pipe on the event loop, without a thread and without waiting for an end that may never come."""

import asyncio
import os
from collections.abc import Callable

CHUNK = 65_536  # bytes per read: what a Linux pipe holds


class PipeReader:
    """Feeds what arrives on `descriptor`, which it owns, to `feed`; `ended` is set at the end or by `close`."""

    def __init__(self, descriptor: int, feed: Callable[[bytes], object]) -> None:
        self.ended = asyncio.Event()
        self._descriptor = descriptor
        self._feed = feed
        self._loop = asyncio.get_running_loop()
        os.set_blocking(descriptor, False)
        self._loop.add_reader(descriptor, self._read)

    def close(self) -> None:
        """Stop reading. Whoever still holds the other end gets SIGPIPE when it writes."""
        if not self.ended.is_set():
            self._loop.remove_reader(self._descriptor)
            os.close(self._descriptor)
            self.ended.set()

    def _read(self) -> None:
        try:
            data = os.read(self._descriptor, CHUNK)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if data:
            self._feed(data)
        else:
            self.close()
