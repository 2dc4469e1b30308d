"""A Unix socket in front of PostgreSQL that can be cut at a word: the one way to lose a COMMIT, or its answer, on purpose."""

import contextlib
import enum
import selectors
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote, urlsplit, urlunsplit

from psycopg2.extensions import parse_dsn

_CHUNK = 65536
_LOOK_SECONDS = 0.05  # between two looks at whether the wire is to end


class Cut(enum.Enum):
    """Where the connection ends."""

    BEFORE = "the statement never arrives"
    AFTER = "the statement is carried out, and nobody is told"


class Wire:
    """Carries everything, until it meets a statement that begins with `word`: that connection is cut, and so are as
    many later ones as `cuts` says.
    """

    def __init__(self, url: str, folder: Path) -> None:
        self._given = parse_dsn(url)
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.bind(str(folder / ".s.PGSQL.5432"))
        self._socket.listen()
        self._socket.settimeout(_LOOK_SECONDS)
        self._ended = threading.Event()
        self._word = b""
        self._cut = Cut.BEFORE
        self._cuts = 0
        parts = urlsplit(url)
        whom, _, _ = parts.netloc.rpartition("@")
        self.url = urlunsplit(parts._replace(netloc=f"{whom}@", query=f"host={quote(str(folder))}"))
        self._threads = [threading.Thread(target=self._accept, name="wire", daemon=True)]
        self._threads[0].start()

    def cut_at(self, word: str, cut: Cut = Cut.BEFORE, cuts: int = 1) -> None:
        """From now on."""
        self._word, self._cut, self._cuts = word.encode(), cut, cuts

    def close(self) -> None:
        """Cut everything."""
        self._ended.set()
        for thread in self._threads:
            thread.join()
        self._socket.close()

    def _accept(self) -> None:
        while not self._ended.is_set():
            with contextlib.suppress(TimeoutError):
                client, _ = self._socket.accept()
                thread = threading.Thread(target=self._carry, args=(client,), name="wire", daemon=True)
                self._threads.append(thread)
                thread.start()

    def _carry(self, client: socket.socket) -> None:
        with client, contextlib.suppress(OSError), self._server() as server, selectors.DefaultSelector() as ready:
            ready.register(client, selectors.EVENT_READ, server)
            ready.register(server, selectors.EVENT_READ, client)
            while not self._ended.is_set():
                for key, _ in ready.select(_LOOK_SECONDS):
                    source: socket.socket = key.fileobj  # type: ignore[assignment]  # they are all sockets
                    data = source.recv(_CHUNK)
                    if not data:
                        return
                    if source is client and self._is_it(data):
                        if self._cut is Cut.AFTER:
                            server.sendall(data)
                            server.recv(_CHUNK)  # it is done
                        return
                    key.data.sendall(data)

    def _is_it(self, data: bytes) -> bool:
        """A simple query is `Q`, four bytes of length, and the text."""
        met = self._cuts > 0 and data[:1] == b"Q" and data[5:].startswith(self._word)
        self._cuts -= met
        return met

    def _server(self) -> socket.socket:
        host, port = self._given.get("host", "127.0.0.1"), self._given.get("port", "5432")
        if not host.startswith("/"):
            return socket.create_connection((host, int(port)))
        server = socket.socket(socket.AF_UNIX)
        server.connect(f"{host}/.s.PGSQL.{port}")
        return server


@contextmanager
def wire(url: str, folder: Path) -> Iterator[Wire]:
    """A wire to the database at this URL."""
    made = Wire(url, folder)
    try:
        yield made
    finally:
        made.close()
