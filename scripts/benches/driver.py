"""The driver: a process of its own that reads a plan on stdin, puts the load on the server, and prints the outcome."""

import asyncio
import sys

import msgspec

from benches.dashboard_events import DASHBOARD_LOADS
from benches.loads import LOADS
from benches.plan import BenchFailed, Outcome, Plan
from benches.socket_dashboards import dashboards, slow_dashboard
from benches.socket_loads import SOCKET_LOADS
from benches.socket_storm import socket_storm
from benches.takeover import takeover

ALL = (
    LOADS
    | SOCKET_LOADS
    | DASHBOARD_LOADS
    | {
        "takeover": takeover,
        "socket_storm": socket_storm,
        "dashboards": dashboards,
        "slow_dashboard": slow_dashboard,
    }
)


async def _drive(plan: Plan) -> Outcome:
    async with asyncio.timeout(plan.seconds):
        return await ALL[plan.load](plan)


def main() -> int:
    """The exit code: 0 with an outcome on stdout, 1 with a sentence on stderr."""
    plan = msgspec.json.decode(sys.stdin.buffer.read(), type=Plan)
    try:
        outcome = asyncio.run(_drive(plan))
    except (BenchFailed, OSError) as failure:  # a TimeoutError is an OSError
        why = f"not over within {plan.seconds:g} s" if isinstance(failure, TimeoutError) else str(failure)
        print(f"The load {plan.load!r}: {why}", file=sys.stderr)
        return 1
    sys.stdout.buffer.write(msgspec.json.encode(outcome))
    return 0


if __name__ == "__main__":
    sys.exit(main())
