"""Data directories as a server would have left them: an organization, hosts with keys and instances, waiting jobs."""

import os
import shutil
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path

import msgspec
from peewee import Database

from benches.plan import FleetHost
from interlock.clock import Millis, SystemClock
from interlock.ids import UuidIds
from interlock.states import RunStatus
from runtime.secret import load_secret
from runtime.settings import Settings
from store import accounts, open_database
from store.accounts import By
from store.database import DataDirectory, migrate
from store.models import Host
from store.rows import JobRow, RunRow, job_image, run_image
from store.statements import JournalStatements
from web.tokens import Tokens

_IDS = UuidIds()
_CLOCK = SystemClock()
_TOKEN_SECONDS = 7 * 86_400


class Seed(msgspec.Struct, frozen=True):
    """What is in a data directory, and who may use it."""

    folder: Path
    org: str
    token: str  # an owner's
    hosts: list[FleetHost]


def sow(folder: Path, hosts: int, *, others: int = 0, pending: int = 0) -> Seed:
    """An organization with so many hosts; `others` are further ones, each with `pending` waiting jobs."""
    settings = Settings(data_dir=str(folder))
    DataDirectory(settings.data_path).create()
    tokens = Tokens(load_secret(settings.data_path), _CLOCK)
    database = open_database(settings.url_of_database)
    migrate(database)
    database.connect(reuse_if_open=True)
    with closing(database), database.atomic("IMMEDIATE"):
        org, token = _organization(database, tokens)
        fleet = [_host(database, tokens, org, f"host-{number}") for number in range(hosts)]
        busy = [_host(database, tokens, org, f"other-{number}") for number in range(others)]
        _pending(database, org, busy, pending)
    return Seed(folder, org, token, fleet)


def copy_to_disk(source: Path, target: Path) -> None:
    """Copy a data directory and wait until the copy is on the disk: the server's first flush would else pay for it."""
    shutil.copytree(source, target)
    for path in target.iterdir():
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


def _pending(database: Database, org: str, hosts: Iterable[FleetHost], each: int) -> None:
    """Waiting jobs as the journal itself would have written them."""
    statements = JournalStatements(database)
    cursor = database.cursor()
    for host in hosts:
        jobs = [_job(org, host, seq) for seq in range(1, each + 1)]
        runs = [_run(job) for job in jobs]
        cursor.executemany(statements.jobs.insert.sql, [statements.jobs.pick_insert(job_image(job)) for job in jobs])
        cursor.executemany(statements.runs.insert.sql, [statements.runs.pick_insert(run_image(run)) for run in runs])
        Host.update(next_seq=each + 1).where(Host.id == host.id).execute(database)


def _job(org: str, host: FleetHost, seq: int) -> JobRow:
    timeout: Millis = 600_000
    return JobRow(
        id=_IDS.new(),
        org_id=org,
        host_id=host.id,
        server_instance_id=host.instance_id,
        type="SERVER_START",
        created_by_id=None,
        created_at=_CLOCK.now(),
        payload='{"map":"de_dust2"}',
        policy=None,
        timeout_ms=timeout,
        priority=0,
        run_at=None,
        seq=seq,
    )


def _run(job: JobRow) -> RunRow:
    return RunRow(
        id=_IDS.new(),
        job_id=job.id,
        org_id=job.org_id,
        host_id=job.host_id,
        attempt=1,
        created_at=job.created_at,
        status=RunStatus.PENDING,
    )


def _by() -> By:
    return By("operator", None, _CLOCK.now(), _IDS.new())
