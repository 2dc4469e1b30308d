"""A small round of `./scripts/fuzz`, so that what it finds in minutes is not what nobody has looked for."""

from pathlib import Path

import pytest
from fuzzer.__main__ import QUICK
from fuzzer.run import fuzz


@pytest.mark.timeout(300)  # half a minute, on a machine that does nothing else
async def test_hostile_requests_and_frames_are_answered_and_leave_nothing_behind(tmp_path: Path) -> None:
    outcome = await fuzz(QUICK, tmp_path)
    assert outcome.findings == []
    assert outcome.requests == QUICK.requests
    assert outcome.frames >= QUICK.frames
    assert {200, 201, 204, 400, 401, 403, 404, 405, 409} <= set(outcome.statuses)
