"""A real `interlock serve` in a process of its own, on a free port and a data folder; and rows made beside it."""

import http.client
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import Self

import psutil

from interlock.clock import SystemClock
from interlock.ids import UuidIds
from runtime.secret import load_secret
from store import accounts, open_database
from store.accounts import By
from store.database import migrate
from store.models import Membership
from web.tokens import Tokens

INTERLOCK = Path(sys.executable).with_name("interlock")
PATIENCE = 60.0  # seconds until a server that should start or end is taken to hang: most of it for a busy machine
_LISTENS = "Interlock listens on "
_UNEXPECTED = ("Traceback", '"level":"error"', '"level":"critical"', " ERROR ", " CRITICAL ")  # in JSON and in text
_IDS, _CLOCK = UuidIds(), SystemClock()


class Server:
    """The process. Its log is read by a thread, so that nobody has to poll for a line."""

    def __init__(self, data_dir: Path, **settings: object) -> None:
        self.data_dir = data_dir
        self.port = 0
        self.log: list[str] = []
        self._environ = {**os.environ, **{f"INTERLOCK_{name.upper()}": str(value) for name, value in settings.items()}}
        self._process: subprocess.Popen[str] | None = None
        self._reader: threading.Thread | None = None
        self._listening = threading.Event()

    @property
    def pid(self) -> int:
        """The running process."""
        if self._process is None:
            raise RuntimeError("The server does not run")
        return self._process.pid

    @property
    def writer(self) -> int:
        """The process that writes for it."""
        (child,) = psutil.Process(self.pid).children()
        return int(child.pid)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Return when `/readyz` says so. The port stays the same from one start to the next."""
        self._listening.clear()
        command = [str(INTERLOCK), "serve", "--port", str(self.port), "--data-dir", str(self.data_dir)]
        self._process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=self._environ)
        self._reader = threading.Thread(target=self._read, args=(self._process,))
        self._reader.start()
        if not self._listening.wait(PATIENCE) or self._process.poll() is not None:
            self.kill()
            raise RuntimeError("The server did not start:\n" + "\n".join(self.log))
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)
        connection.request("GET", "/readyz")
        status = connection.getresponse().status
        connection.close()
        if status != 200:
            raise RuntimeError(f"The server listens but is not ready: {status}")

    def terminate(self) -> int:
        """SIGTERM, and the exit code once it has ended."""
        return self._end(signal.SIGTERM)

    def kill(self) -> int:
        """SIGKILL, and the exit code."""
        return self._end(signal.SIGKILL)

    def admin(self, *words: str) -> subprocess.CompletedProcess[str]:
        """`interlock admin …` on the server's data folder."""
        command = [str(INTERLOCK), "admin", *words, "--data-dir", str(self.data_dir)]
        return subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=False)

    def tracebacks(self) -> list[str]:
        """What the log says of unexpected errors."""
        return [line for line in self.log if any(word in line for word in _UNEXPECTED)]

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.terminate()

    def _end(self, number: signal.Signals) -> int:
        process, reader = self._process, self._reader
        if process is None or reader is None:
            return 0
        process.send_signal(number)
        try:
            return process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            process.kill()
            raise
        finally:
            self._process = None
            process.wait()
            reader.join()

    def _read(self, process: subprocess.Popen[str]) -> None:
        if process.stderr is None:
            return
        with process.stderr:
            for line in process.stderr:
                self.log.append(line.rstrip("\n"))
                if line.startswith(_LISTENS):
                    self.port = int(line.rpartition(":")[2])
                    self._listening.set()
        process.wait()
        self._listening.set()


class Rows:
    """Tenants, people and hosts, written beside a server as `interlock admin` does, but without a process for each."""

    def __init__(self, data_dir: Path) -> None:
        data_dir.mkdir(parents=True, exist_ok=True)
        self.database = open_database(f"sqlite://{(data_dir / 'interlock.db').absolute()}")
        self.tokens = Tokens(load_secret(data_dir), _CLOCK)
        with self.database.connection_context():
            migrate(self.database)

    def org(self, name: str = "acme") -> str:
        """A tenant's id."""
        org_id = _IDS.new()
        with self.database.connection_context(), self.database.atomic("IMMEDIATE"):
            accounts.create_org(self.database, org_id, name, _by())
        return org_id

    def user(self, org_id: str, role: str = "operator", *, platform_admin: bool = False) -> str:
        """The id of a new member."""
        user_id = _IDS.new()
        email = f"{user_id}@example.com"
        with self.database.connection_context(), self.database.atomic("IMMEDIATE"):
            accounts.create_user(
                self.database, user_id, email=email, name=role.title(), platform_admin=platform_admin, by=_by()
            )
            accounts.add_member(self.database, _IDS.new(), org_id, user_id, role, _by())
        return user_id

    def join(self, org_id: str, user_id: str, role: str = "operator") -> None:
        """Let an account join another org."""
        with self.database.connection_context(), self.database.atomic("IMMEDIATE"):
            accounts.add_member(self.database, _IDS.new(), org_id, user_id, role, _by())

    def leave(self, org_id: str, user_id: str) -> None:
        """Let a member go."""
        with self.database.connection_context(), self.database.atomic("IMMEDIATE"):
            whose = (Membership.org_id == org_id) & (Membership.user_id == user_id)
            Membership.delete().where(whose).execute(self.database)

    def token(self, user_id: str, org_id: str | None = None, ttl_seconds: int = 3600) -> str:
        """A user's token."""
        return self.tokens.user_token(user_id, org_id, ttl_seconds)

    def host(self, org_id: str, name: str = "eu-1") -> tuple[str, str]:
        """A new host's id and its agent key."""
        (made,) = self.hosts(org_id, [name])
        return made

    def hosts(self, org_id: str, names: Iterable[str]) -> list[tuple[str, str]]:
        """The same for several, in one transaction."""
        made = [(name, _IDS.new(), _IDS.new()) for name in names]
        with self.database.connection_context(), self.database.atomic("IMMEDIATE"):
            for name, host_id, kid in made:
                accounts.create_host(self.database, host_id, org_id, name, _by())
                accounts.create_key(self.database, kid, org_id, host_id, _by())
        return [(host_id, self.tokens.agent_key(host_id, org_id, kid)) for _, host_id, kid in made]

    def instance(self, org_id: str, host_id: str, name: str = "dust") -> str:
        """The id of a new server instance on a host."""
        instance_id = _IDS.new()
        with self.database.connection_context(), self.database.atomic("IMMEDIATE"):
            accounts.create_instance(self.database, instance_id, org_id, host_id, name, _by())
        return instance_id


def _by() -> By:
    return By("operator", None, _CLOCK.now(), _IDS.new())
