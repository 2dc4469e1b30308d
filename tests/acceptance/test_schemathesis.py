"""schemathesis makes requests from the server's own document, valid and not, and follows its links: nothing must surprise it.

All its phases and all its checks. With more in each phase: `SCHEMATHESIS_EXAMPLES=50 ./scripts/test acceptance -k schemathesis`.
"""

import asyncio
import os
import subprocess
import sys
from pathlib import Path

import aiohttp
import pytest

from tests.support.callers import Plane
from tests.support.marked import Marked, mark_all
from tests.support.server import Rows, Server

PROGRAM = str(Path(sys.executable).with_name("schemathesis"))
EXAMPLES = os.environ.get("SCHEMATHESIS_EXAMPLES", "1")  # of each operation, where chance makes them
PHASES = "examples,coverage,fuzzing,stateful"
SECONDS = 480 if EXAMPLES == "1" else 3600  # then it hangs; a machine that does nothing else needs most of a minute
LEFT_OUT = (  # operations
    "agentSocket",  # it knows no sockets
    "dashboardSocket",
    "signOut",  # it would end what others begin
)
QUICK: dict[str, float] = {
    "poll_wait_max_seconds": 0,
    "job_wait_max_seconds": 0,
    "password_memory_mib": 8,
    "password_passes": 1,
    "sign_ins_per_address": 0,
}
REFUSALS = ["400", "401", "403", "404", "405", "406", "408", "409", "412", "413", "415", "417", "422", "429"]
NAMES = {
    "orgId": "org",
    "hostId": "host",
    "jobId": "job",
    "jobRunId": "run",
    "instanceId": "instance",
    "enrolmentId": "enrolment",
    "userId": "member",
    "kid": "key",
}


def settings_for(marked: Marked) -> str:
    """Whose credential goes where, ids of things that are there, and what else may be answered.

    A request that the schema allows may be refused all the same: by a rule between two fields, or since "printable" is more
    than a pattern can say. One that it does not allow may be refused for another reason first, such as a precondition; of
    evidence each item has a verdict of its own, with 200.
    """
    ids = "\n".join(f'"path.{name}" = "{marked.ids[kind]}"' for name, kind in NAMES.items())
    token = marked.tenant.plane.rows.token(marked.tenant.user_ids["platform"], marked.tenant.id)
    return f"""
[headers]
Authorization = "Bearer {token}"

[parameters]
{ids}

[[operations]]
include-path-regex = "^/api/agent/"
headers = {{ Authorization = "Bearer {marked.host.token}" }}

[checks.positive_data_acceptance]
expected-statuses = ["2xx", "3xx", "400", "401", "403", "404", "409", "412", "422", "429"]

[checks.negative_data_rejection]
expected-statuses = {REFUSALS}

[[operations]]
include-operation-id = "evidence"
checks.negative_data_rejection.expected-statuses = {["200", *REFUSALS]}
"""


async def marked_tenant(server: Server) -> Marked:
    async with aiohttp.ClientSession(auto_decompress=False) as session:
        return await mark_all(Plane(server, Rows(server.data_dir), session), "mark")


@pytest.mark.timeout(SECONDS + 60)
async def test_schemathesis_finds_nothing(tmp_path: Path) -> None:
    with Server(tmp_path / "data", **QUICK) as server:
        file = tmp_path / "schemathesis.toml"
        file.write_text(settings_for(await marked_tenant(server)))
        command = [PROGRAM, "--config-file", str(file), "run", f"{server.url}/openapi.json", "--no-color"]
        command += ["--seed", "1", "--max-examples", EXAMPLES, "--generation-database", "none", "--phases", PHASES]
        command += ["--checks", "all", "--no-shrink"]
        command += [word for name in LEFT_OUT for word in ("--exclude-operation-id", name)]
        done = await asyncio.to_thread(
            subprocess.run, command, cwd=tmp_path, capture_output=True, text=True, timeout=SECONDS, check=False
        )
        assert done.returncode == 0, done.stdout[-20_000:] + done.stderr[-5000:]
        assert server.tracebacks() == []
