"""The first ten minutes, typed as they stand: every block of the tutorial that is for a shell runs, in its order."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.dev_server import Dev

PAGE = Path(__file__).parents[2] / "docs" / "tutorial" / "first-ten-minutes.md"
PATIENCE = 150.0  # seconds; some thirty programs are started, one after the other


@pytest.mark.timeout(200)
def test_every_command_of_the_tutorial_does_what_the_tutorial_says(tmp_path: Path) -> None:
    blocks = re.findall(r"^```sh\n(.*?)^```", PAGE.read_text(), re.DOTALL | re.MULTILINE)
    assert len(blocks) > 8
    home = tmp_path / "home"
    home.mkdir()
    dev = Dev(home, "--profile", "dev")
    try:
        names = ("INTERLOCK_URL", "INTERLOCK_TOKEN", "INTERLOCK_ORG", "INTERLOCK_PROFILE")
        env = {name: value for name, value in os.environ.items() if name not in names}
        path = f"{Path(sys.executable).parent}{os.pathsep}{env['PATH']}"
        done = subprocess.run(
            ["/bin/sh", "-eu"],
            input="\n".join(f"{block}\necho '=====' {number}" for number, block in enumerate(blocks)),
            cwd=tmp_path,
            env=env | {"XDG_CONFIG_HOME": str(home), "PATH": path},
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
    finally:
        code = dev.interrupt()
    assert done.returncode == 0, done.stdout + done.stderr
    assert code == 0
    said = re.split(r"^===== \d+\n", done.stdout, flags=re.MULTILINE)
    assert [name in said[0] for name in ("demo-1", "demo-2")] == [True, True]
    assert '"COMPLETED"' in said[1]
    assert '"PENDING"' in said[2]
    assert '"COMPLETED"' in said[3]
    assert "exit code 1" in said[4]
    assert "it was asked to fail" in said[5]
    assert '"reason": "host_paused"' in said[6]
    assert "new disk" in said[6]
    assert '"COMPLETED"' in said[7]
    assert said[8].count('"created"') == said[8].count('"skipped"') == 3
    assert "I was told:" in said[9]
    assert '{"map":"de_dust2"}' in said[9].replace('": "', '":"')
