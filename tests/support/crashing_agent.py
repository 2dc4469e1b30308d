"""Run `interlock agent`, which kills itself with SIGKILL at a chosen point of its journal.

    python crashing_agent.py MOMENT EVENT [agent options…]

MOMENT is `before`, `torn` (half of the line is written) or `after`; EVENT is the journal entry's.
"""

import os
import signal
import sys
from collections.abc import Iterable

import msgspec

from interlock.agent import journal
from interlock.agent.book import Entry
from interlock.cli.agent import command

_write = journal._write


def _die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def crash_at(moment: str, event: str) -> None:
    """Let the first entry of that kind be the last thing the agent does."""

    def write(descriptor: int, entries: Iterable[Entry]) -> None:
        listed = list(entries)
        if msgspec.to_builtins(listed[0])["event"] != event:
            _write(descriptor, listed)
            return
        if moment == "torn":
            line = msgspec.json.encode(listed[0])
            os.write(descriptor, line[: len(line) // 2])
        elif moment == "after":
            _write(descriptor, listed)
        _die()

    journal._write = write


if __name__ == "__main__":
    crash_at(sys.argv[1], sys.argv[2])
    command(sys.argv[3:])
