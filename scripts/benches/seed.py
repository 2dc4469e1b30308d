"""Databases as a server would have left them: an organization, hosts with keys and instances, waiting jobs."""

import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path

import msgspec
from peewee import Database

from benches.bulk import writer_of
from benches.plan import FleetHost
from interlock.clock import Millis, SystemClock
from interlock.ids import UuidIds
from interlock.states import RunStatus
from runtime.secret import signing_secret
from runtime.settings import Settings
from store import accounts, open_database
from store.accounts import By
from store.database import DataDirectory, how_to_begin, migrate
from store.models import Host
from store.rows import JOB_COLUMNS, Image, JobRow, RunRow, job_image, run_image
from web.tokens import Tokens

_IDS = UuidIds()
_CLOCK = SystemClock()
_TOKEN_SECONDS = 7 * 86_400
_TIMEOUT_MS: Millis = 600_000
_AT_ONCE = 100  # hosts whose jobs are written in one transaction


class Seed(msgspec.Struct, frozen=True):
    """What is in a database, and who may use it."""

    folder: Path  # the data directory, which has the database too where that is the embedded one
    org: str
    token: str  # an owner's
    hosts: list[FleetHost]
    others: list[FleetHost] = []


def sow(folder: Path, hosts: int, *, others: int = 0, pending: int = 0, url: str = "") -> Seed:
    """An organization with so many hosts; `others` are further ones, each with `pending` waiting jobs. It is made in the
    data directory, or in the empty database at `url`.
    """
    settings = Settings(data_dir=str(folder), database_url=url)
    DataDirectory(settings.data_path).create()
    database = open_database(settings.url_of_database)
    migrate(database)
    database.connect(reuse_if_open=True)
    begin = how_to_begin(database)
    with closing(database):
        with database.atomic(*begin):
            tokens = Tokens(signing_secret(settings, database), _CLOCK)
            org, token = _organization(database, tokens)
            fleet = [_host(database, tokens, org, f"host-{number}") for number in range(hosts)]
            busy = [_host(database, tokens, org, f"other-{number}") for number in range(others)]
        if pending:
            _pending(database, org, busy, pending)
    return Seed(folder, org, token, fleet, busy)


def copy_to_disk(source: Path, target: Path) -> None:
    """Copy a data directory and wait until the copy is on the disk: the server's first flush would else pay for it."""
    shutil.copytree(source, target)
    for path in filter(Path.is_file, target.rglob("*")):
        with path.open("rb") as file:
            os.fsync(file.fileno())


def _organization(database: Database, tokens: Tokens) -> tuple[str, str]:
    org, user = _IDS.new(), _IDS.new()
    accounts.create_org(database, org, "Bench", _by())
    email = "bench@example.test"
    accounts.create_user(database, user, email=email, name="Bench", platform_admin=True, by=_by())
    accounts.add_member(database, _IDS.new(), org, user, "owner", _by())
    return org, tokens.user_token(user, org, _TOKEN_SECONDS)


def _host(database: Database, tokens: Tokens, org: str, name: str) -> FleetHost:
    host, kid, instance = _IDS.new(), _IDS.new(), _IDS.new()
    accounts.create_host(database, host, org, name, _by())
    accounts.create_key(database, kid, org, host, _by())
    accounts.create_instance(database, instance, org, host, name, _by())
    return FleetHost(host, tokens.agent_key(host, org, kid), instance)


def _pending(database: Database, org: str, hosts: Sequence[FleetHost], each: int) -> None:
    """Waiting jobs as the journal itself would have written them, many hosts in a transaction."""
    writer = writer_of(database)
    for place in range(0, len(hosts), _AT_ONCE):
        with database.atomic(*how_to_begin(database)):
            for host in hosts[place : place + _AT_ONCE]:
                jobs = list(_jobs(org, host, each))
                writer.jobs(jobs)
                writer.runs(list(_runs(org, host, jobs)))
                Host.update(next_seq=each + 1).where(Host.id == host.id).execute(database)
    writer.tidy()


def _jobs(org: str, host: FleetHost, each: int) -> Iterator[Image]:
    """The host's jobs. Only ids and places differ: to build a million rows one by one would take minutes."""
    image = job_image(
        JobRow(
            id="",
            org_id=org,
            host_id=host.id,
            server_instance_id=host.instance_id,
            type="SERVER_START",
            created_by_id=None,
            created_at=_CLOCK.now(),
            payload='{"map":"de_dust2"}',
            policy=None,
            timeout_ms=_TIMEOUT_MS,
            priority=0,
            run_at=None,
        )
    )
    place = JOB_COLUMNS.index("seq")
    between, behind = image[1:place], image[place + 1 :]
    return ((_IDS.new(), *between, seq, *behind) for seq in range(1, each + 1))


def _runs(org: str, host: FleetHost, jobs: Sequence[Image]) -> Iterator[Image]:
    run = RunRow(
        id="", job_id="", org_id=org, host_id=host.id, attempt=1, created_at=_CLOCK.now(), status=RunStatus.PENDING
    )
    rest = run_image(run)[2:]
    return ((_IDS.new(), job[0], *rest) for job in jobs)


def _by() -> By:
    return By("operator", None, _CLOCK.now(), _IDS.new())
