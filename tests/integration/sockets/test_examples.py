"""The agents of `docs/examples/` do their jobs, as they stand there: in Python, in shell with curl, in JavaScript."""

import asyncio
import contextlib
import os
import shutil
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.support.callers import Agent, Tenant
from tests.support.node import node_or_skip

EXAMPLES = Path(__file__).parents[3] / "docs" / "examples"
WORK = """#!/bin/sh
grep -q slow && exec sleep 60
echo "it is \\"done\\": $1"
[ "$1" != SERVER_STOP ]
"""


@contextlib.asynccontextmanager
async def at_work(*command: str | Path, host: Agent, home: Path, **env: str) -> AsyncIterator[Process]:
    """An agent of that host; it must still be there at the end, and is killed with all that it has started."""
    variables = os.environ | {"INTERLOCK_URL": host.url, "INTERLOCK_AGENT_KEY": str(host.token), **env}
    process = await asyncio.create_subprocess_exec(
        *map(str, command), cwd=home, env=variables, stdin=DEVNULL, stdout=PIPE, start_new_session=True
    )
    try:
        yield process
        assert process.returncode is None
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, 9)
        await process.communicate()


async def test_the_agent_in_python_searches_and_hands_over_what_it_finds(
    tenant: Tenant, host: Agent, tmp_path: Path
) -> None:
    async with at_work(sys.executable, EXAMPLES / "agent.py", host=host, home=tmp_path), tenant.watch() as watch:
        job = await tenant.create(host, type="SEARCH_SINGLE", payload={"query": "acme"})
        await watch.until("job_run.done", jobId=job["id"], status="success")
    shown = await tenant.show(job)
    assert shown["output"] == {"found": 3}
    assert shown["counts"]["evidence"] == 3


async def test_the_agent_in_shell_reports_success_failure_and_a_cancel(
    tenant: Tenant, host: Agent, tmp_path: Path
) -> None:
    assert shutil.which("curl"), "this example is one of curl"
    work = tmp_path / "work.sh"
    work.write_text(WORK)
    work.chmod(0o755)
    command = (EXAMPLES / "agent.sh", work)
    async with at_work(*command, host=host, home=tmp_path, BEAT_SECONDS="0.2"), tenant.watch() as watch:
        tricky = {"jobRunId": "not this one", "type": "nor this", "text": 'quoted " and \\ back'}
        done = await tenant.create(host, type="SERVER_START", payload=tricky)
        await watch.until("job_run.done", jobId=done["id"], status="success")
        failed = await tenant.create(host, type="SERVER_STOP", maxAttempts=1)
        await watch.until("job_run.done", jobId=failed["id"], status="failed")
        slow = await tenant.create(host, type="SERVER_START", payload={"slow": True})
        await watch.until("job_run.started", jobId=slow["id"])
        await tenant.cancel(slow)
        await watch.until("job_run.done", jobId=slow["id"], status="cancelled")
    assert (await tenant.show(done))["output"] == {"text": 'it is "done": SERVER_START'}
    shown = await tenant.show(failed)
    assert (shown["errorCode"], shown["errorMessage"]) == ("exit_1", 'it is "done": SERVER_STOP')


async def test_the_agent_in_shell_ends_when_its_key_does_not_hold(tenant: Tenant, host: Agent, tmp_path: Path) -> None:
    assert tenant.id
    assert host.token is not None
    wrong = Agent(host.session, host.url, host.id, host.token[:-8] + "AAAAAAAA", "x")
    process = None
    with pytest.raises(AssertionError):
        async with at_work(EXAMPLES / "agent.sh", "true", host=wrong, home=tmp_path) as process:
            assert await process.wait() == 1
    assert process is not None
    assert process.returncode == 1


async def test_the_agent_in_javascript_reports_success_failure_and_a_cancel(tenant: Tenant, host: Agent) -> None:
    node, folder = node_or_skip()
    command = (node, "--input-type=commonjs", "--eval", (EXAMPLES / "agent.js").read_text())
    async with at_work(*command, host=host, home=folder), tenant.watch() as watch:
        done = await tenant.create(host, type="SERVER_START", payload={"milliseconds": 1, "b": 2})
        await watch.until("job_run.done", jobId=done["id"], status="success")
        failed = await tenant.create(host, payload={"milliseconds": 1, "fail": True}, maxAttempts=1)
        await watch.until("job_run.done", jobId=failed["id"], status="failed")
        slow = await tenant.create(host, payload={"milliseconds": 1000})
        await watch.until("job_run.started", jobId=slow["id"])
        await tenant.cancel(slow)
        await watch.until("job_run.done", jobId=slow["id"], status="cancelled")
    assert (await tenant.show(done))["output"] == {"done": "SERVER_START", "found": 2}
    assert (await tenant.show(failed))["errorMessage"] == "it was asked to fail"
