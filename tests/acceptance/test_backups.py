"""A backup is taken while the server works, and a server is started on it elsewhere."""

import asyncio
import hashlib
import json
import sqlite3
import stat
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from runtime.admin import admin as commands
from tests.support.callers import Agent, Document, Plane, Tenant
from tests.support.server import Server

BYTES = b"what an agent has kept"


async def admin(server: Server, *words: str) -> Any:
    """What `interlock admin` says."""
    done = await asyncio.to_thread(_invoke, server, *words)
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout)


async def refused(server: Server, *words: str) -> str:
    done = await asyncio.to_thread(_invoke, server, *words)
    assert done.exit_code == 1, done.output
    return done.output


def _invoke(server: Server, *words: str) -> Result:
    """In this process: starting one takes longer than what it does."""
    return CliRunner().invoke(commands, [*words, "--data-dir", str(server.data_dir)])


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@contextmanager
def another(plane: Plane, tenant: Tenant, folder: Path) -> Iterator[tuple[Tenant, Server]]:
    """The tenant at a server on another folder."""
    with Server(folder) as server:
        tenant.user.url = server.url
        yield tenant, server
        tenant.user.url = plane.server.url
    assert server.tracebacks() == []


async def with_a_file(tenant: Tenant, host: Agent) -> Document:
    """A job with a file."""
    job = await tenant.create(host)
    run = await host.take()
    put = await host.ask("PUT", f"{host.path}/jobs/{run['jobRunId']}/assets/a.bin", BYTES)
    assert put.status == 200
    await host.finish(run["jobRunId"])
    return job


async def test_every_answered_job_is_in_the_backup_and_the_restored_server_goes_on(
    plane: Plane, tenant: Tenant, tmp_path: Path
) -> None:
    host = tenant.host()
    filed = await with_a_file(tenant, host)
    answered: list[str] = []
    some, enough = asyncio.Event(), asyncio.Event()

    async def create() -> None:
        while not enough.is_set():
            answered.append((await tenant.create(host))["id"])
            if len(answered) >= 20:
                some.set()

    load = [asyncio.create_task(create()) for _ in range(4)]
    await some.wait()
    before = len(answered)
    said = await admin(plane.server, "backup", str(tmp_path / "backup.tar"))
    enough.set()
    await asyncio.gather(*load)
    assert len(answered) > before, "nothing came meanwhile"
    assert (said["files"], said["missingFiles"]) == (1, [])
    restored = Server(tmp_path / "restored")
    await admin(restored, "restore", str(tmp_path / "backup.tar"))
    with another(plane, tenant, tmp_path / "restored") as (there, server):
        for id_ in answered[:before]:
            assert (await there.user.get(f"{tenant.jobs_path}/{id_}")).status == 200
        host.url = server.url
        taken = await host.take()
        assert (await host.finish(taken["jobRunId"]))["jobStatus"] == "COMPLETED"
        assets = (await there.user.get(f"{tenant.jobs_path}/{filed['id']}/assets")).json["items"]
        file = await there.user.get(f"{tenant.jobs_path}/{filed['id']}/assets/{assets[0]['id']}")
        assert file.body == BYTES


async def test_a_backup_is_for_its_user_alone_and_says_what_it_is(plane: Plane, tenant: Tenant, tmp_path: Path) -> None:
    await with_a_file(tenant, tenant.host())
    await admin(plane.server, "backup", str(tmp_path / "b"))
    for path in (tmp_path / "b").rglob("*"):
        assert path.is_dir() or stat.S_IMODE(path.stat().st_mode) == 0o600 or path.name == "manifest.json", path
    manifest = json.loads((tmp_path / "b" / "manifest.json").read_text())
    assert manifest["databaseSha256"] == hashlib.sha256((tmp_path / "b" / "interlock.db").read_bytes()).hexdigest()
    assert manifest["migrations"][0] == "0001_spine"
    assert (tmp_path / "b" / "secret").read_bytes() == (plane.server.data_dir / "secret").read_bytes()


async def test_a_folder_is_restored_like_a_tar_file(plane: Plane, tenant: Tenant, tmp_path: Path) -> None:
    await with_a_file(tenant, tenant.host())
    made = await admin(plane.server, "backup", str(tmp_path / "b"))
    said = await admin(Server(tmp_path / "new"), "restore", str(tmp_path / "b"))
    assert (said["madeAt"], said["files"]) == (made["madeAt"], made["files"])
    for name in ("interlock.db", "secret"):
        assert (tmp_path / "new" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


async def test_a_backup_replaces_nothing_and_neither_does_a_restore(plane: Plane, tmp_path: Path) -> None:
    (tmp_path / "there").write_text("mine")
    assert "is there already" in await refused(plane.server, "backup", str(tmp_path / "there"))
    await admin(plane.server, "backup", str(tmp_path / "b.tar"))
    running = await refused(plane.server, "restore", str(tmp_path / "b.tar"))
    assert "another `interlock serve` uses" in running
    full = Server(tmp_path / "full")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine").write_text("mine")
    assert "is not empty (mine)" in await refused(full, "restore", str(tmp_path / "b.tar"))
    assert names_in(tmp_path) == ["b.tar", "full", "there"]


@pytest.mark.parametrize(
    ("harm", "word"),
    [
        (lambda b: (b / "interlock.db").write_bytes(b"x" + (b / "interlock.db").read_bytes()[1:]), "SHA-256"),
        (lambda b: (b / "manifest.json").unlink(), "manifest.json"),
        (lambda b: (b / "manifest.json").write_text("{}"), "manifest.json"),
        (lambda b: (b / "secret").unlink(), "secret is missing"),
        (lambda b: next(p for p in (b / "assets").rglob("*") if p.is_file()).write_text("x"), "is damaged"),
        (lambda b: next(p for p in (b / "assets").rglob("*") if p.is_file()).unlink(), "0 of 1 files"),
    ],
)
async def test_what_is_not_whole_is_not_restored(
    plane: Plane, tenant: Tenant, tmp_path: Path, harm: Any, word: str
) -> None:
    await with_a_file(tenant, tenant.host())
    await admin(plane.server, "backup", str(tmp_path / "b"))
    harm(tmp_path / "b")
    assert word in await refused(Server(tmp_path / "new"), "restore", str(tmp_path / "b"))
    assert not (tmp_path / "new" / "interlock.db").exists()


async def test_a_backup_of_a_newer_server_is_refused_by_name(plane: Plane, tmp_path: Path) -> None:
    await admin(plane.server, "backup", str(tmp_path / "b"))
    database = sqlite3.connect(tmp_path / "b" / "interlock.db")
    database.execute("INSERT INTO schema_migration (name, applied) VALUES ('9999_future', '2030-01-01')")
    database.commit()
    database.close()
    manifest = json.loads((tmp_path / "b" / "manifest.json").read_text())
    manifest["databaseSha256"] = hashlib.sha256((tmp_path / "b" / "interlock.db").read_bytes()).hexdigest()
    (tmp_path / "b" / "manifest.json").write_text(json.dumps(manifest))
    said = await refused(Server(tmp_path / "new"), "restore", str(tmp_path / "b"))
    assert "newer Interlock, which knows 9999_future" in said


async def test_a_tar_file_puts_nothing_outside(plane: Plane, tmp_path: Path) -> None:
    await admin(plane.server, "backup", str(tmp_path / "b.tar"))
    (tmp_path / "evil").write_text("evil")
    with tarfile.open(tmp_path / "b.tar", "a") as tar:
        for name in ("../../evil", "/tmp/evil", "assets/../../evil", "serve.lock"):  # noqa: S108 - a name in a tar
            tar.add(tmp_path / "evil", name)
    await admin(Server(tmp_path / "new"), "restore", str(tmp_path / "b.tar"))
    assert names_in(tmp_path) == ["b.tar", "evil", "new"]
    assert {"interlock.db", "secret", "secret.older", "assets", "serve.lock"}.issuperset(names_in(tmp_path / "new"))


async def test_for_postgresql_it_says_what_to_do(tmp_path: Path) -> None:
    url = ("--database-url", "postgresql://u@h/db")
    assert "pg_dump" in await refused(Server(tmp_path / "data"), "backup", str(tmp_path / "b"), *url)
