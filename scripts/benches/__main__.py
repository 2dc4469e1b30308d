"""`./scripts/bench`: one subcommand for each set of figures."""

import argparse
import signal
import sys
import tempfile
from pathlib import Path
from typing import Any

import msgspec

from benches.figures import document, loads, table
from benches.fleet import QUIET_CORES, Fleet
from benches.fleet_rows import rows
from benches.machine import facts
from benches.plan import BenchFailed
from benches.sizes import QUICK, Sizes


def main() -> int:
    """The exit code: 0 when all figures could be taken, whatever they are; 1 when not; 130 when interrupted."""
    options = _options()
    for order in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(order, signal.default_int_handler)  # whatever ends the bench, it ends what it started
    try:
        with tempfile.TemporaryDirectory(prefix="interlock-bench-", dir=options.work_dir) as folder:
            _fleet(options, Path(folder))
    except BenchFailed as failure:
        _say(f"bench: {failure}")
        return 1
    except KeyboardInterrupt:
        _say("bench: interrupted; everything that it started has been ended")
        return 130
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="bench", description="Figures beside a yardstick measured in the same run.")
    commands = parser.add_subparsers(dest="command", required=True, metavar="fleet")
    fleet = commands.add_parser("fleet", help="throughput, latency, depth and memory of one server with its agents")
    fleet.add_argument("--quick", action="store_true", help="one small round: shows that all works, proves no figure")
    fleet.add_argument("--rounds", type=int, choices=range(1, 100), metavar="N", help="how many; the median counts")
    fleet.add_argument(
        "--patience",
        type=float,
        metavar="SECONDS",
        help="how long to wait for a quiet machine before each step; 0: take figures once, as they come [default: 10]",
    )
    fleet.add_argument("-o", "--output", choices=("table", "json"), default="table")
    fleet.add_argument("--work-dir", type=Path, help="where data directories are made [default: the system's]")
    return parser.parse_args()


def _fleet(options: argparse.Namespace, folder: Path) -> None:
    sizes = QUICK if options.quick else Sizes()
    if options.rounds is not None:
        sizes = msgspec.structs.replace(sizes, rounds=options.rounds)
    if options.patience is not None:
        tries = Sizes().tries if options.patience > 0 else 1
        sizes = msgspec.structs.replace(sizes, patience_seconds=options.patience, tries=tries)
    fleet = Fleet(sizes, folder, _say)
    fleet.prepare()
    known = facts(folder, fleet.loop)
    for number in range(1, sizes.rounds + 1):
        _say(f"round {number} of {sizes.rounds}")
        fleet.round()
    if options.output == "json":
        print(msgspec.json.format(msgspec.json.encode(_document(options.command, known, fleet))).decode())
    else:
        print(_page(known, fleet))


def _document(command: str, known: dict[str, str], fleet: Fleet) -> dict[str, Any]:
    found = rows(fleet.sizes, fleet.values)
    return {
        "bench": command,
        "sizes": fleet.sizes,
        "machine": known,
        "rows": [document(row) for row in found],
        "missed": [row.name for row in found if row.passed is False],
        "cores": {load: [times._asdict() for times in each] for load, each in fleet.cores.items()},
        "steps": fleet.steps,
        "disturbed": fleet.disturbed,
    }


def _page(known: dict[str, str], fleet: Fleet) -> str:
    found = rows(fleet.sizes, fleet.values)
    head = "\n".join(f"{name + ':':<12}{fact}" for name, fact in known.items())
    floors = [row.passed for row in found if row.passed is not None]
    busy = f"Cores kept busy (medians):\n\n{loads(fleet.cores)}"
    trust = (
        f"{fleet.disturbed} of {fleet.steps} steps were disturbed: others used more than {QUIET_CORES:g} cores. The echo "
        "needs two cores and suffers more than a server with agents does, so ratios of disturbed steps flatter."
    )
    reached = f"{sum(floors)} of {len(floors)} floors are reached."
    return f"\n{head}\n\n{table(found)}\n\n{busy}\n\n{trust if fleet.disturbed else ''}\n{reached}"


def _say(text: str) -> None:
    """How it goes; the figures alone go to stdout."""
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
