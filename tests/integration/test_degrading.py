"""Real servers whose database is full, held, frozen, out of connections: they say no, keep what they took, and recover."""

import asyncio
import contextlib
import os
import resource
import shutil
import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import aiohttp
import psutil
import psycopg2
import pytest

from engines.postgres import Postgres, postgres
from engines.processes import EngineMissing
from tests.cluster.rig import PostgresRows, until
from tests.support.backends import missing_engine
from tests.support.callers import Agent, Plane, Reply, Tenant
from tests.support.server import INTERLOCK, Rows, Server

START_SECONDS = 30  # for a server that must give up


@contextmanager
def no_room(server: Server) -> Iterator[None]:
    """The server's files cannot grow, as on a disk that is full."""
    processes = (server.pid, server.writer)
    before = resource.prlimit(server.pid, resource.RLIMIT_FSIZE)
    for pid in processes:
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (0, before[1]))
    try:
        yield
    finally:
        for pid in processes:
            resource.prlimit(pid, resource.RLIMIT_FSIZE, before)


@contextmanager
def full_disk(folder: Path) -> Iterator[Path]:
    """A small file system without any room left; the data directory in it has been used before."""
    mount, umount = shutil.which("mount") or "mount", shutil.which("umount") or "umount"
    small = [mount, "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(folder)]
    if os.geteuid() != 0 or subprocess.run(small, capture_output=True, check=False).returncode != 0:
        pytest.skip("only root may mount a small disk")
    try:
        rows = Rows(folder / "data")
        rows.host(rows.org())
        rows.database.close()
        with (folder / "ballast").open("wb", buffering=0) as ballast, contextlib.suppress(OSError):
            while ballast.write(bytes(4096)):
                pass
        yield folder / "data"
    finally:
        subprocess.run([umount, str(folder)], check=True)


def refused_at_start(*options: str) -> str:
    """What a server says that cannot start."""
    command = [str(INTERLOCK), "serve", "--port", "0", *options]
    done = subprocess.run(command, capture_output=True, text=True, timeout=START_SECONDS, check=False)
    assert done.returncode == 1, done
    assert done.stderr.startswith("Error: "), done.stderr
    assert len(done.stderr.strip().splitlines()) == 1, done.stderr
    return done.stderr


async def create(tenant: Tenant, host: Agent) -> Reply:
    return await tenant.user.post(tenant.jobs_path, {"type": "SERVER_START", "hostId": host.id})


def is_refusal(reply: Reply) -> bool:
    """An honest one: checks that it is whole, and says when to try again."""
    if reply.status != 503:
        return False
    assert reply.code == "unavailable"
    assert 1 <= int(reply.headers["Retry-After"]) <= 3
    for secret in ("socket", "connection to", "disk I/O", "sqlite", "Traceback"):
        assert secret not in reply.json["detail"]
    return True


async def says(plane: Plane, path: str, status: int) -> None:
    await until(lambda: plane.caller(None).get(path), lambda reply: reply.status == status)


async def finds(tenant: Tenant, *job_ids: str) -> None:
    for job_id in job_ids:
        reply = await until(partial(tenant.user.get, f"{tenant.jobs_path}/{job_id}"), lambda reply: reply.status != 503)
        assert reply.status == 200


async def test_without_room_on_the_disk_jobs_are_refused_and_all_goes_on_when_there_is_some(
    tmp_path: Path, session: aiohttp.ClientSession
) -> None:
    with Server(tmp_path) as server:
        plane = Plane(server, Rows(tmp_path), session)
        tenant = plane.tenant()
        host = tenant.host()
        before = await tenant.create(host)
        taken = await host.take()
        with no_room(server):
            await until(lambda: create(tenant, host), is_refusal)
            await until(lambda: host.result(taken["jobRunId"]), is_refusal)
            assert (await tenant.user.get(tenant.jobs_path)).status == 200
            await says(plane, "/readyz", 503)
            await says(plane, "/healthz", 200)
        await says(plane, "/readyz", 200)
        await until(lambda: host.result(taken["jobRunId"]), lambda reply: reply.status == 200)
        after = await until(lambda: create(tenant, host), lambda reply: reply.status == 201)
        await finds(tenant, before["id"], after.json["id"])
        assert not server.tracebacks()


async def test_a_disk_that_stays_full_is_not_told_with_every_request(
    tmp_path: Path, session: aiohttp.ClientSession
) -> None:
    with Server(tmp_path) as server:
        plane = Plane(server, Rows(tmp_path), session)
        tenant = plane.tenant()
        host = tenant.host()
        await tenant.create(host)
        with no_room(server):
            for _ in range(60):
                await until(lambda: create(tenant, host), is_refusal)
        warnings = [line for line in server.log if '"level":"warning"' in line]
        assert 1 <= len(warnings) <= 25, warnings


def test_on_a_full_disk_no_server_starts(tmp_path: Path) -> None:
    with full_disk(tmp_path) as data_dir:
        assert "database" in refused_at_start("--data-dir", str(data_dir))
        assert "database" in refused_at_start("--data-dir", str(tmp_path / "fresh"))


def test_a_data_directory_that_cannot_be_written_is_named_at_the_start() -> None:
    said = refused_at_start("--data-dir", "/proc/interlock")
    assert "/proc/interlock cannot be made" in said


async def test_while_somebody_else_holds_the_database_jobs_are_refused_and_none_is_lost(
    tmp_path: Path, session: aiohttp.ClientSession
) -> None:
    with Server(tmp_path) as server:
        plane = Plane(server, Rows(tmp_path), session)
        tenant = plane.tenant()
        host = tenant.host()
        before = await tenant.create(host)
        other = sqlite3.connect(tmp_path / "interlock.db", isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        assert is_refusal(await create(tenant, host))
        await says(plane, "/readyz", 503)
        other.execute("ROLLBACK")
        other.close()
        after = await until(lambda: create(tenant, host), lambda reply: reply.status == 201)
        await says(plane, "/readyz", 200)
        await finds(tenant, before["id"], after.json["id"])
        assert not server.tracebacks()


def test_a_database_that_somebody_else_holds_is_named_at_the_start(tmp_path: Path) -> None:
    Rows(tmp_path).database.close()
    other = sqlite3.connect(tmp_path / "interlock.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    assert "locked" in refused_at_start("--data-dir", str(tmp_path))
    other.close()


# ---- PostgreSQL ------------------------------------------------------------------------------------------------------


@pytest.fixture
def database() -> Iterator[Postgres]:
    """A server of which little is left for others."""
    try:
        with postgres(settings={"max_connections": "20"}) as server:
            server.create("interlock")
            yield server
    except EngineMissing as error:
        missing_engine(error)


@contextmanager
def frozen(database: Postgres) -> Iterator[None]:
    """All its processes stand still; their kernel goes on to take what is sent to them."""
    assert database.server is not None
    main = psutil.Process(database.server._process.pid)
    processes = [main, *main.children(recursive=True)]
    for process in processes:
        process.suspend()
    try:
        yield
    finally:
        for process in processes:
            process.resume()


@contextmanager
def serving(folder: Path, database: Postgres, session: aiohttp.ClientSession) -> Iterator[Plane]:
    """A server on that database, which ends well and has met nothing that it did not expect."""
    url = database.url("interlock")
    server = Server(folder, answer_seconds=6)
    server._environ["INTERLOCK_DATABASE_URL"] = url
    rows = PostgresRows(url, folder)
    with server:
        yield Plane(server, rows, session)
    assert not [line for line in server.log if "Traceback" in line]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "data").mkdir()
    return tmp_path / "data"


async def test_when_postgresql_is_stopped_and_started_again_so_are_answers_and_nothing_is_lost(
    folder: Path, database: Postgres, session: aiohttp.ClientSession
) -> None:
    with serving(folder, database, session) as plane:
        tenant = plane.tenant()
        host = tenant.host()
        before = await tenant.create(host)
        database.stop_immediately()
        await until(lambda: create(tenant, host), is_refusal)
        await says(plane, "/readyz", 503)
        await says(plane, "/healthz", 200)
        database.start()
        after = await until(lambda: create(tenant, host), lambda reply: reply.status == 201)
        await says(plane, "/readyz", 200)
        await finds(tenant, before["id"], after.json["id"])


async def test_a_frozen_postgresql_holds_nobody_for_ever(
    folder: Path, database: Postgres, session: aiohttp.ClientSession
) -> None:
    with serving(folder, database, session) as plane:
        tenant = plane.tenant()
        host = tenant.host()
        before = await tenant.create(host)
        with frozen(database):
            replies = await asyncio.gather(
                create(tenant, host), tenant.user.get(tenant.jobs_path), host.beat(running=[])
            )
            assert [reply.status for reply in replies] == [503] * 3
            await says(plane, "/readyz", 503)
        await until(lambda: create(tenant, host), lambda reply: reply.status == 201)
        await finds(tenant, before["id"])


async def test_without_a_connection_to_be_had_jobs_are_refused_until_there_is_one(
    folder: Path, database: Postgres, session: aiohttp.ClientSession
) -> None:
    with serving(folder, database, session) as plane:
        tenant = plane.tenant()
        host = tenant.host()
        before = await tenant.create(host)
        greedy = [psycopg2.connect(database.url("interlock"))]
        greedy[0].autocommit = True
        ours = "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE application_name = 'interlock'"
        greedy[0].cursor().execute(ours)
        with contextlib.suppress(psycopg2.OperationalError):
            while len(greedy) < 30:
                greedy.append(psycopg2.connect(database.url("interlock")))
        assert len(greedy) < 30
        await until(lambda: create(tenant, host), is_refusal)
        said = refused_at_start("--data-dir", str(folder), "--database-url", database.url("interlock"))
        assert "too many clients" in said
        for connection in greedy:
            connection.close()
        after = await until(lambda: create(tenant, host), lambda reply: reply.status == 201)
        await finds(tenant, before["id"], after.json["id"])


def test_a_postgresql_that_is_away_is_named_at_the_start(folder: Path, database: Postgres) -> None:
    database.stop_immediately()
    said = refused_at_start("--data-dir", str(folder), "--database-url", database.url("interlock"))
    assert "The database cannot be opened" in said


# ---- Overload --------------------------------------------------------------------------------------------------------


async def test_more_creates_than_can_be_taken_in_are_refused_early_while_agents_go_on(
    tmp_path: Path, session: aiohttp.ClientSession
) -> None:
    """One place and no patience; the database is held, so that whoever is in stays in."""
    with Server(tmp_path, creates_least=1, creates_most=1, create_wait_seconds=0.05) as server:
        plane = Plane(server, Rows(tmp_path), session)
        tenant = plane.tenant()
        host = tenant.host()
        await tenant.create(host)
        other = sqlite3.connect(tmp_path / "interlock.db", isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        creates = [asyncio.create_task(create(tenant, host)) for _ in range(20)]
        refused = [await done for done in asyncio.as_completed(creates[1:])][:18]
        assert all(is_refusal(reply) for reply in refused)
        beat = asyncio.create_task(host.beat())
        other.execute("ROLLBACK")
        other.close()
        assert (await beat).status in {200, 503}
        await asyncio.gather(*creates)
        assert (await until(lambda: create(tenant, host), lambda reply: reply.status == 201)).status == 201
        figures = (await plane.caller(None).get("/metrics")).body.decode()
        assert "interlock_creates_refused_total" in figures
