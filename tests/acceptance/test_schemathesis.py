"""schemathesis makes requests from the server's own document, valid and not, and follows its links: nothing must surprise it.

A run by hand with more of them: `SCHEMATHESIS_EXAMPLES=100 ./scripts/test acceptance -k schemathesis`.
"""

import asyncio
import os
import subprocess
import sys
from pathlib import Path

import aiohttp

from tests.support.callers import Plane
from tests.support.marked import Marked, mark_all
from tests.support.server import Rows, Server

PROGRAM = str(Path(sys.executable).with_name("schemathesis"))
EXAMPLES = os.environ.get("SCHEMATHESIS_EXAMPLES", "2")  # of each operation, in each way to make them
SECONDS = 60 if EXAMPLES == "2" else 3600
# Of requests that wait or stay open no answer comes soon, and what ends the session would end the test.
LEFT_OUT = ("agentSocket", "dashboardSocket", "socketIoReceive", "socketIoSend", "deleteSession")
QUICK: dict[str, float] = {
    "poll_wait_max_seconds": 0,
    "job_wait_max_seconds": 0,
    "password_memory_mib": 8,
    "password_passes": 1,
    "sign_ins_per_address": 0,
}


def settings_for(marked: Marked) -> str:
    """Its settings: whose credential goes where, and ids of things that are there."""
    names = {
        "orgId": "org",
        "hostId": "host",
        "jobId": "job",
        "jobRunId": "run",
        "instanceId": "instance",
        "assetId": "asset",
        "enrolmentId": "enrolment",
        "userId": "member",
        "kid": "key",
    }
    ids = ", ".join(f'"path.{name}" = "{marked.ids[kind]}"' for name, kind in names.items())
    token = marked.tenant.plane.rows.token(marked.tenant.user_ids["platform"], marked.tenant.id)
    return f"""
[headers]
Authorization = "Bearer {token}"

[parameters]
{ids.replace(", ", chr(10))}

[[operations]]
include-path-regex = "^/api/agent/"
headers = {{ Authorization = "Bearer {marked.host.token}" }}
"""


async def marked_tenant(server: Server) -> Marked:
    async with aiohttp.ClientSession(auto_decompress=False) as session:
        return await mark_all(Plane(server, Rows(server.data_dir), session), "mark")


async def test_schemathesis_finds_nothing(tmp_path: Path) -> None:
    with Server(tmp_path / "data", **QUICK) as server:
        marked = await marked_tenant(server)
        (tmp_path / "schemathesis.toml").write_text(settings_for(marked))
        options = ["--seed", "1", "--max-examples", EXAMPLES, "--generation-database", "none", "--workers", "2"]
        left_out = [word for name in LEFT_OUT for word in ("--exclude-operation-id", name)]
        where = ["--config-file", str(tmp_path / "schemathesis.toml")]
        command = [PROGRAM, *where, "run", f"{server.url}/openapi.json", *options, *left_out, "--checks", "all"]
        done = await asyncio.to_thread(
            subprocess.run, command, cwd=tmp_path, capture_output=True, text=True, timeout=SECONDS, check=False
        )
        assert done.returncode == 0, done.stdout[-20_000:] + done.stderr[-5000:]
        assert server.tracebacks() == []
