"""Run `interlock agent`, which kills itself with SIGKILL at a chosen point.

    python crashing_agent.py MOMENT STEP [agent options…]

MOMENT is `before`, `torn` (half of the line is written; journal entries only) or `after`. STEP is one of `STEPS`: a
journal entry, a request to the server, a frame to it, or another thing that cannot be undone.
"""

import os
import signal
import sys
from collections.abc import Callable, Iterable
from inspect import getmembers, iscoroutinefunction
from typing import Any, get_args

import msgspec

from interlock.agent import journal
from interlock.agent.book import Entry
from interlock.agent.child import Child
from interlock.agent.link import Link
from interlock.agent.plane import ControlPlane
from interlock.cli.agent import command
from interlock.frames import EXCHANGES

ENTRIES = frozenset(str(kind.__struct_config__.tag) for kind in get_args(Entry))
UPLOADS = frozenset({"progress", "evidence", "asset", "config"})  # what no command sends or asks for
REQUESTS = frozenset(name for name, _ in getmembers(ControlPlane, iscoroutinefunction) if name[0] != "_") - UPLOADS
FRAMES = frozenset(EXCHANGES) - {"job:progress", "job:evidence"}
RENAME, RELEASE = "rename", "release"  # the journal's new file into the place of the old one; the command let go
STEPS = ENTRIES | REQUESTS | {RENAME, RELEASE}

_ask = Link.ask

_write = journal._write


def _die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def crash_at(moment: str, step: str) -> None:
    """Let the first of that kind be the last thing the agent does."""
    if step in ENTRIES:
        _crash_in_journal(moment, step)
    elif step in REQUESTS:
        _crash_around(ControlPlane, step, moment)
    elif step.removeprefix("frame ") in FRAMES:
        _crash_at_frame(step.removeprefix("frame "), moment)
    elif step == RELEASE:
        _crash_around(Child, step, moment)
    else:
        _crash_behind_rename()


def _crash_in_journal(moment: str, event: str) -> None:
    def write(descriptor: int, entries: Iterable[Entry]) -> int:
        listed = list(entries)
        if msgspec.to_builtins(listed[0])["event"] != event:
            return _write(descriptor, listed)
        if moment == "torn":
            line = msgspec.json.encode(listed[0])
            os.write(descriptor, line[: len(line) // 2])
        elif moment == "after":
            _write(descriptor, listed)
        _die()
        return 0

    journal._write = write


def _crash_behind_rename() -> None:
    def sync(descriptor: int) -> None:
        del descriptor
        _die()

    journal._sync_directory = sync


def _crash_around(owner: type, name: str, moment: str) -> None:
    original: Callable[..., Any] = getattr(owner, name)

    async def crash(*arguments: Any, **named: Any) -> None:
        if moment == "after":
            await original(*arguments, **named)
        _die()

    setattr(owner, name, crash)


def _crash_at_frame(event: str, moment: str) -> None:
    async def ask(link: Link, asked: str, data: object, kind: type[Any]) -> Any:
        if asked != event:
            return await _ask(link, asked, data, kind)
        if moment == "after":
            await _ask(link, asked, data, kind)
        _die()
        return None

    Link.ask = ask  # type: ignore[method-assign, assignment]


if __name__ == "__main__":
    crash_at(sys.argv[1], sys.argv[2])
    command(sys.argv[3:])
