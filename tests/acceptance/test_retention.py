"""A server removes by itself what has been kept long enough; an operator removes and exports beside it."""

import asyncio
import json
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from runtime.admin import admin as commands
from runtime.pruning import DAY
from store.models import Asset, Job
from tests.support.callers import Agent, Document, Plane, Tenant
from tests.support.redis_rig import until
from tests.support.rows import job_row, run_row, write_job, write_run
from tests.support.server import Rows, Server


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One that looks for what is old all the time."""
    data_dir: Path = tmp_path_factory.mktemp("data")
    quick: dict[str, Any] = {"retention_every_seconds": 0.05, "retention_pause_seconds": 0.001, "retention_rows": 10}
    with Server(data_dir, **quick, retention_export_dir=data_dir / "gone") as running:
        yield running
    assert running.tracebacks() == []


def invoke(server: Server, *words: str) -> tuple[int, str]:
    done = CliRunner().invoke(commands, [*words, "--data-dir", str(server.data_dir)])
    return done.exit_code, done.output


async def ended(tenant: Tenant, host: Agent) -> Document:
    """A job that has just ended, with a file and three lines."""
    job = await tenant.create(host)
    run = await host.take()
    put = await host.ask("PUT", f"{host.path}/jobs/{run['jobRunId']}/assets/a.bin", run["jobRunId"].encode())
    assert put.status == 200
    await host.logs(run["jobRunId"], *({"seq": seq, "level": "info", "message": "m"} for seq in range(3)))
    await host.finish(run["jobRunId"])
    return job


async def test_an_old_job_is_gone_by_itself_and_a_young_one_stays(
    server: Server, plane: Plane, rows: Rows, tenant: Tenant
) -> None:
    host = tenant.host()
    old_id = _born_long_ago(rows, tenant, host)
    young = await ended(tenant, host)
    await until(lambda: old_id not in jobs_in(rows))
    assert (await tenant.user.get(f"{tenant.jobs_path}/{old_id}")).status == 404
    assert (await tenant.user.get(f"{tenant.jobs_path}/{young['id']}")).status == 200
    figures = (await plane.stranger.get("/metrics")).body.decode()
    assert "interlock_pruned_jobs_total 0" not in figures
    assert "interlock_pruned_jobs_total" in figures
    (exported,) = (server.data_dir / "gone").iterdir()
    lines = [json.loads(line) for line in exported.read_text().splitlines()]
    assert old_id in {line["id"] for line in lines}


def jobs_in(rows: Rows) -> set[str]:
    with rows.database.connection_context():
        return {id_ for (id_,) in Job.select(Job.id).tuples().execute(rows.database)}


def _born_long_ago(rows: Rows, tenant: Tenant, host: Agent) -> str:
    """A job of a hundred days ago, written beside the server."""
    at = round(time.time() * 1000) - 100 * DAY
    head = f"{at:012x}"
    job = job_row(
        id=f"{head[:8]}-{head[8:]}-7000-8000-000000000001",
        org_id=tenant.id,
        host_id=host.id,
        created_at=at,
        status="COMPLETED",
        completed_at=at + 1,
    )
    with rows.database.connection_context(), rows.database.atomic("IMMEDIATE"):
        write_job(rows.database, job)
        write_run(rows.database, run_row(job, status="success", finished_at=at + 1))
    return job.id


async def test_an_operator_sees_what_would_go_and_removes_it_with_its_files(
    server: Server, rows: Rows, tenant: Tenant
) -> None:
    host = tenant.host()
    job = await ended(tenant, host)
    path = f"{tenant.jobs_path}/{job['id']}"
    (asset,) = (await tenant.user.get(f"{path}/assets")).json["items"]
    file = server.data_dir / "assets" / asset["sha256"][:2] / asset["sha256"]
    _forget_asset(rows, asset["id"])
    assert invoke(server, "prune", "--dry-run")[1].count('"file"') == 0, "it was written just now"
    os.utime(file, (1, 1))
    code, said = await asyncio.to_thread(invoke, server, "prune", "--dry-run")
    assert code == 0
    assert json.loads(said) in ({"wouldRemove": {"file": 1}}, {"wouldRemove": {}})
    await asyncio.to_thread(invoke, server, "prune")
    assert not file.exists()
    assert (await tenant.user.get(path)).status == 200


def _forget_asset(rows: Rows, asset_id: str) -> None:
    with rows.database.connection_context(), rows.database.atomic("IMMEDIATE"):
        Asset.delete().where(Asset.id == asset_id).execute(rows.database)


async def test_an_export_has_an_organizations_rows_and_nobody_elses(
    server: Server, plane: Plane, tenant: Tenant, tmp_path: Path
) -> None:
    host = tenant.host()
    job = await ended(tenant, host)
    other = plane.tenant()
    await ended(other, other.host())
    code, said = await asyncio.to_thread(invoke, server, "export", "--org", tenant.id)
    assert code == 0
    lines = [json.loads(line) for line in said.splitlines()]
    assert [line["table"] for line in lines] == ["job", "job_log", "job_log", "job_log", "asset", "job_run"]
    assert {line.get("jobId", line["id"]) for line in lines} == {job["id"]}
    assert {line["orgId"] for line in lines} == {tenant.id}
    everything = "jobs,runs,logs,evidence,files,late-reports,audit,hosts,instances,job-types"
    target = tmp_path / "out.jsonl"
    words = ("export", "--org", tenant.id, "--what", everything, "--output", str(target))
    code, said = await asyncio.to_thread(invoke, server, *words)
    assert code == 0, said
    found = [json.loads(line) for line in target.read_text().splitlines()]
    assert json.loads(said) == {"lines": len(found), "output": str(target)}
    assert {"host", "server_instance", "audit_event", "job"} <= {line["table"] for line in found}
    assert target.stat().st_mode & 0o777 == 0o600
    assert "replaces nothing" in (await asyncio.to_thread(invoke, server, *words))[1]


async def test_an_export_can_be_narrowed_in_time(server: Server, tenant: Tenant) -> None:
    host = tenant.host()
    first, second = await ended(tenant, host), await ended(tenant, host)

    def ids(*words: str) -> list[str]:
        code, said = invoke(server, "export", "--org", tenant.id, "--what", "jobs", *words)
        assert code == 0, said
        return [json.loads(line)["id"] for line in said.splitlines()]

    assert await asyncio.to_thread(ids, "--since", second["createdAt"]) == [second["id"]]
    assert await asyncio.to_thread(ids, "--until", second["createdAt"]) == [first["id"]]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--org", "nobody"), "nobody"),
        (("--org", "x", "--what", "secrets"), "cannot be exported"),
        (("--org", "x", "--since", "yesterday"), "RFC 3339"),
    ],
)
async def test_a_wrong_export_is_refused_in_a_sentence(server: Server, words: tuple[str, ...], said: str) -> None:
    code, output = await asyncio.to_thread(invoke, server, "export", *words)
    assert code == 1
    assert said in output
