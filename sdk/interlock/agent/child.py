"""One command in a process group of its own, held at a gate until the journal knows it."""

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from interlock.agent import gate
from interlock.agent.group import end_group, group_lives, signal_group
from interlock.agent.identity import identify
from interlock.agent.output import Capture
from interlock.agent.pipes import PipeReader
from interlock.agent.waiting import first

_GATE_SCRIPT = str(Path(gate.__file__).absolute())


class Child:
    """Starts waiting at the gate; `release` lets it become the command.

    `exited` is its return code, negative for a signal. The one who made it must `close` it, which kills what is left.
    """

    def __init__(
        self, command: Sequence[str], *, env: Mapping[str, str], cwd: str, stdin: bytes, capture: Capture
    ) -> None:
        """Raise `OSError` or `ValueError` when not even the gate can be started."""
        with _pipe_ends() as ends, _readable(stdin) as source:
            gate_end, self._gate = ends()
            status, status_end = ends()
            stdout, stdout_end = ends()
            stderr, stderr_end = ends()
            self._process = subprocess.Popen(  # noqa: S603 - an argument list from agent.toml, without a shell
                _gated(command, env, gate_end, status_end),
                stdin=source,
                stdout=stdout_end,
                stderr=stderr_end,
                env=dict(env),
                cwd=cwd,
                pass_fds=(gate_end, status_end),
                start_new_session=True,
            )
            ends.keep(self._gate, status, stdout, stderr)
        self.pid = self._process.pid
        self.identity = identify(self.pid)
        self.exited = asyncio.ensure_future(asyncio.to_thread(self._process.wait))
        self._refusal = bytearray()
        self._status = PipeReader(status, self._refusal.extend)
        self._outputs = (PipeReader(stdout, capture.stdout.feed), PipeReader(stderr, capture.stderr.feed))

    async def release(self) -> str | None:
        """Open the gate. None once the command runs, else why it cannot be started."""
        with contextlib.suppress(BrokenPipeError):  # killed at the gate: its return code tells
            os.write(self._gate, b"!")
        await self._status.ended.wait()
        return self._refusal.decode("utf-8", "replace") or None

    async def output_ended(self, grace_seconds: float) -> bool:
        """Wait for the end of both outputs, but not for long: a detached daemon may hold them open for ever."""
        return await first(self._output_end(), timeout=grace_seconds)

    def lives(self) -> bool:
        """Whether the command or anything else in its group is left."""
        return not self.exited.done() or group_lives(self.pid)

    async def end(self, *, grace_seconds: float, at_once: asyncio.Event) -> bool:
        """End the whole group; False when some of it would not die. The command itself is waited for without bound."""
        ended = await end_group(self.pid, self.lives, grace_seconds=grace_seconds, at_once=at_once)
        await asyncio.shield(self.exited)
        return ended

    async def close(self) -> None:
        """Let go of everything, after killing what is left."""
        if not self.exited.done():
            signal_group(self.pid, signal.SIGKILL)
        os.close(self._gate)
        await asyncio.shield(self.exited)
        for pipe in (self._status, *self._outputs):
            pipe.close()

    async def _output_end(self) -> None:
        for pipe in self._outputs:
            await pipe.ended.wait()


def _gated(command: Sequence[str], env: Mapping[str, str], gate_end: int, status_end: int) -> list[str]:
    """The argument list that starts `command` behind the gate."""
    script = [sys.executable, "-I", "-S", _GATE_SCRIPT]
    return [*script, str(gate_end), str(status_end), env.get("LC_CTYPE", ""), *command]


class _Ends:
    """Pipe ends, of which those that are not kept are closed."""

    def __init__(self) -> None:
        self._open: set[int] = set()

    def __call__(self) -> tuple[int, int]:
        """A new pipe: its reading and its writing end."""
        pair = os.pipe()
        self._open.update(pair)
        return pair

    def keep(self, *descriptors: int) -> None:
        """These now belong to somebody else."""
        self._open.difference_update(descriptors)

    def close(self) -> None:
        """Close the rest."""
        for descriptor in self._open:
            os.close(descriptor)


@contextlib.contextmanager
def _pipe_ends() -> Iterator[_Ends]:
    ends = _Ends()
    try:
        yield ends
    finally:
        ends.close()


@contextlib.contextmanager
def _readable(data: bytes) -> Iterator[int]:
    """A descriptor that reads as `data`: a nameless file, so that no command can block us by not reading."""
    if hasattr(os, "memfd_create"):
        descriptor = os.memfd_create("payload")
    else:
        with tempfile.TemporaryFile() as file:
            descriptor = os.dup(file.fileno())
    try:
        view = memoryview(data)
        while view:
            view = view[os.write(descriptor, view) :]
        os.lseek(descriptor, 0, os.SEEK_SET)
        yield descriptor
    finally:
        os.close(descriptor)
