"""The demo's own child processes: each has a log, and is ended by its own pid and nothing else."""

import asyncio
import contextlib
import os
import signal
from asyncio.subprocess import DEVNULL, PIPE, STDOUT, Process
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import msgspec

TERM_SECONDS = 15.0  # between SIGTERM and SIGKILL; a graceful stop of the control plane or an agent is far quicker
LOG_TAIL_LINES = 15  # shown when a process ends before its time


class DemoFailed(Exception):
    """The demo cannot go on; the message says why, with what the process at fault wrote last."""


@contextlib.asynccontextmanager
async def child(command: Sequence[str], log: Path, env: dict[str, str] | None = None) -> AsyncIterator[Process]:
    """A running process that writes to `log`; it is ended when the block is left, for whatever reason.

    It gets a session of its own, so that Ctrl-C reaches the demo alone, which then ends its children in order.
    """
    with log.open("ab") as sink:
        process = await asyncio.create_subprocess_exec(
            *command, stdin=DEVNULL, stdout=sink, stderr=STDOUT, start_new_session=True, env=os.environ | (env or {})
        )
    try:
        yield process
    finally:
        await _end(process)


async def _end(process: Process) -> None:
    for order in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(order)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(TERM_SECONDS):
                await process.wait()
                return


async def ask(command: Sequence[str]) -> dict[str, Any]:
    """The one JSON object that a command prints; `DemoFailed` when it exits with anything but 0."""
    process = await asyncio.create_subprocess_exec(*command, stdin=DEVNULL, stdout=PIPE, stderr=PIPE)
    printed, said = await process.communicate()
    if process.returncode != 0:
        raise DemoFailed(f"{' '.join(command[1:4])} ended with exit code {process.returncode}:\n{said.decode()}")
    return msgspec.json.decode(printed, type=dict[str, Any])


def tail(log: Path) -> str:
    """The last lines of a log."""
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    return "\n".join(f"  {line}" for line in lines[-LOG_TAIL_LINES:])
