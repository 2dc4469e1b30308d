"""Run `interlock agent` with a wall clock that is wrong.

    python skewed_agent.py HOURS [agent options…]

HOURS is by how much it is wrong, or `steps`: an hour ahead and an hour behind, in turn, each time that it is looked at.
"""

import sys
import time
from itertools import cycle

from interlock.cli.agent import command

_time_ns = time.time_ns


def skew(hours: str) -> None:
    """Let the process's wall clock be wrong; the monotonic one is not touched."""
    offsets = cycle((1.0, -1.0) if hours == "steps" else (float(hours),))
    time.time_ns = lambda: _time_ns() + round(next(offsets) * 3600e9)
    time.time = lambda: time.time_ns() / 1e9


if __name__ == "__main__":
    skew(sys.argv[1])
    command(sys.argv[2:])
