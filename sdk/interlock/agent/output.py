"""What is kept of a command's output: its last lines, in bounded memory whatever it prints."""

from collections import deque
from collections.abc import Callable

from interlock.agent.text import decode


class Tail:
    """The last lines, at most `max_lines` of them and `max_bytes` together; at least the last one."""

    def __init__(self, max_lines: int, max_bytes: int) -> None:
        self._lines: deque[bytes] = deque(maxlen=max_lines)
        self._max_bytes = max_bytes
        self._bytes = 0

    def add(self, line: bytes) -> None:
        """Keep `line`, and let the oldest go when there are too many."""
        if len(self._lines) == self._lines.maxlen:
            self._bytes -= len(self._lines.popleft()) + 1
        self._lines.append(line)
        self._bytes += len(line) + 1
        while self._bytes > self._max_bytes + 1 and len(self._lines) > 1:
            self._bytes -= len(self._lines.popleft()) + 1

    def text(self) -> str:
        """The lines as one text."""
        return decode(b"\n".join(self._lines)).strip("\n")

    def last(self) -> str:
        """The last line that is not blank, or nothing."""
        return next((decode(line) for line in reversed(self._lines) if line.strip()), "")


class LineSplitter:
    """Cuts a stream of bytes into lines; of a line longer than `max_bytes` the beginning is kept."""

    def __init__(self, max_bytes: int, on_line: Callable[[bytes], None]) -> None:
        self._max_bytes = max_bytes
        self._on_line = on_line
        self._partial = bytearray()
        self._cut = 0  # bytes of the present line that were not kept

    def feed(self, data: bytes) -> None:
        """Take the next piece of the stream."""
        *complete, rest = data.split(b"\n")
        for piece in complete:
            self._extend(piece)
            self._end_line()
        self._extend(rest)

    def close(self) -> None:
        """The stream has ended; a last line without a newline counts."""
        if self._partial or self._cut:
            self._end_line()

    def _extend(self, piece: bytes) -> None:
        room = self._max_bytes - len(self._partial)
        self._partial += piece[:room]
        self._cut += max(0, len(piece) - room)

    def _end_line(self) -> None:
        line = bytes(self._partial).removesuffix(b"\r")
        if self._cut:
            line += f" … {self._cut} bytes cut".encode()
        self._partial.clear()
        self._cut = 0
        self._on_line(line)


class Capture:
    """Both streams of one command. `on_line` is told of every line with its level: `info` or, from stderr, `error`."""

    def __init__(self, max_lines: int, max_bytes: int, on_line: Callable[[str, bytes], None]) -> None:
        self.stdout_tail = Tail(max_lines, max_bytes)
        self.tail = Tail(max_lines, max_bytes)
        self._on_line = on_line
        self.stdout = LineSplitter(max_bytes, self._stdout_line)
        self.stderr = LineSplitter(max_bytes, self._stderr_line)

    def close(self) -> None:
        """Count unfinished last lines."""
        self.stdout.close()
        self.stderr.close()

    def _stdout_line(self, line: bytes) -> None:
        self.stdout_tail.add(line)
        self.tail.add(line)
        self._on_line("info", line)

    def _stderr_line(self, line: bytes) -> None:
        self.tail.add(line)
        self._on_line("error", line)
