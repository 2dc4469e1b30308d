"""A scripted server, and the command line that is pointed at it: in this process, or as a program of its own."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from interlock.cli import main
from tests.support.scripted_server import ScriptedServer
from tests.support.terminal import PROGRAM

ORG = "01938b3e-0000-7000-8000-0000000000cc"


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    with ScriptedServer() as scripted:
        yield scripted


@pytest.fixture
def environment(server: ScriptedServer, tmp_path: Path) -> dict[str, str]:
    return {
        "INTERLOCK_URL": server.url,
        "INTERLOCK_TOKEN": "secret.token",
        "INTERLOCK_ORG": ORG,
        "INTERLOCK_PROFILE": "",
        "NO_COLOR": "",
        "XDG_CONFIG_HOME": str(tmp_path / "config"),
    }


@pytest.fixture
def run(environment: dict[str, str]) -> Callable[..., Result]:
    def invoke(*arguments: str, **options: Any) -> Result:
        return CliRunner(env=environment).invoke(main, arguments, prog_name="interlock", **options)

    return invoke


@pytest.fixture
def started(environment: dict[str, str]) -> Callable[..., subprocess.Popen[bytes]]:
    # A shell that runs the tests in the background has them ignore Ctrl-C, and children inherit that.
    signal.signal(signal.SIGINT, signal.default_int_handler)

    def start(*arguments: str, env: dict[str, str] | None = None, **options: Any) -> subprocess.Popen[bytes]:
        variables = os.environ | environment | (env or {})
        return subprocess.Popen([sys.executable, "-c", PROGRAM, *arguments], env=variables, **options)

    return start
