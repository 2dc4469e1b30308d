"""`./scripts/bench`: one subcommand for each set of figures."""

import argparse
import signal
import sys
import tempfile
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TypeVar

import msgspec

from benches.dashboard import Dashboard
from benches.dashboard_rows import dashboard_rows
from benches.dashboard_sizes import QUICK_DASHBOARD, DashboardSizes
from benches.figures import Row
from benches.fleet import Fleet
from benches.fleet_rows import rows
from benches.guards import QUICK_GUARDS, Guards, GuardSizes, guards_rows
from benches.lists import QUICK_LISTS, Lists, ListSizes, lists_rows
from benches.machine import facts
from benches.overload import QUICK_OVERLOAD, Overload, OverloadSizes, overload_rows
from benches.pages import as_document, as_page
from benches.plan import BenchFailed
from benches.production import Production
from benches.production_rows import production_rows
from benches.production_sizes import QUICK_PRODUCTION, ProductionSizes
from benches.sizes import QUICK, Sizes
from benches.sockets import Sockets
from benches.sockets_rows import sockets_rows
from benches.sockets_sizes import QUICK_SOCKETS, SocketSizes
from benches.steps import Effort, Steps
from engines.processes import EngineFailed, EngineMissing


def main() -> int:
    """The exit code: 0 when all figures could be taken, whatever they are; 1 when not; 130 when interrupted."""
    options = _options()
    for order in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(order, signal.default_int_handler)  # whatever ends the bench, it ends what it started
    try:
        with tempfile.TemporaryDirectory(prefix="interlock-bench-", dir=options.work_dir) as folder:
            _BENCHES[options.command](options, Path(folder))
    except (BenchFailed, EngineFailed, EngineMissing) as failure:
        _say(f"bench: {failure}")
        return 1
    except KeyboardInterrupt:
        _say("bench: interrupted; everything that it started has been ended")
        return 130
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="bench", description="Figures beside a yardstick measured in the same run.")
    commands = parser.add_subparsers(dest="command", required=True, metavar="bench")
    fleet = commands.add_parser("fleet", help="throughput, latency, depth and memory of one server with its agents")
    _add_rounds(fleet)
    production = commands.add_parser(
        "production", help="PostgreSQL and Redis, a million waiting jobs, fence and events, an owner killed"
    )
    _add_rounds(production)
    overload = commands.add_parser("overload", help="what is still done when three times as much is asked for")
    _add_rounds(overload)
    sockets = commands.add_parser(
        "sockets", help="agents on WebSockets: throughput, memory, a storm, cancels, dashboards"
    )
    _add_rounds(sockets)
    lists = commands.add_parser("lists", help="pages of jobs among a million, on SQLite and PostgreSQL")
    _add_rounds(lists)
    guards = commands.add_parser("guards", help="what credentials, roles and validation cost a job")
    _add_rounds(guards)
    dashboard = commands.add_parser(
        "dashboard", help="pages in Chromium: first paint, transfer, long tasks and memory under 200 events a second"
    )
    _add_rounds(dashboard)
    dashboard.add_argument("--minutes", type=float, help="of looking at memory [default: 10, or 1 with --quick]")
    return parser.parse_args()


def _add_rounds(bench: argparse.ArgumentParser) -> None:
    """What benches have in common that take figures in rounds."""
    bench.add_argument("--quick", action="store_true", help="one small round: shows that all works, proves no figure")
    bench.add_argument("--rounds", type=int, choices=range(1, 100), metavar="N", help="how many; the median counts")
    bench.add_argument(
        "--patience",
        type=float,
        metavar="SECONDS",
        help="how long to wait for a quiet machine before each step; 0: take figures once, as they come [default: 10]",
    )
    bench.add_argument("-o", "--output", choices=("table", "json"), default="table")
    bench.add_argument("--work-dir", type=Path, help="where data directories are made [default: the system's]")


def _fleet(options: argparse.Namespace, folder: Path) -> None:
    sizes = _asked(options, QUICK if options.quick else Sizes())
    fleet = Fleet(sizes, folder, _say)
    _take(options, sizes, folder, fleet, lambda: rows(sizes, fleet.values))


def _production(options: argparse.Namespace, folder: Path) -> None:
    sizes = _asked(options, QUICK_PRODUCTION if options.quick else ProductionSizes())
    with ExitStack() as engines:
        production = Production(sizes, folder, _say, engines)
        _take(options, sizes, folder, production, lambda: production_rows(sizes, production.values))


def _overload(options: argparse.Namespace, folder: Path) -> None:
    sizes = _asked(options, QUICK_OVERLOAD if options.quick else OverloadSizes())
    overload = Overload(sizes, folder, _say)
    _take(options, sizes, folder, overload, lambda: overload_rows(overload.values))


def _sockets(options: argparse.Namespace, folder: Path) -> None:
    sizes = _asked(options, QUICK_SOCKETS if options.quick else SocketSizes())
    sockets = Sockets(sizes, folder, _say)
    _take(options, sizes, folder, sockets, lambda: sockets_rows(sizes, sockets.values))


def _lists(options: argparse.Namespace, folder: Path) -> None:
    sizes = _asked(options, QUICK_LISTS if options.quick else ListSizes())
    with ExitStack() as engines:
        lists = Lists(sizes, folder, _say, engines)
        _take(options, sizes, folder, lists, lambda: lists_rows(sizes, lists.values))


def _guards(options: argparse.Namespace, folder: Path) -> None:
    sizes = _asked(options, QUICK_GUARDS if options.quick else GuardSizes())
    guards = Guards(sizes, folder, _say)
    _take(options, sizes, folder, guards, lambda: guards_rows(guards.values))


def _dashboard(options: argparse.Namespace, folder: Path) -> None:
    sizes = _asked(options, QUICK_DASHBOARD if options.quick else DashboardSizes())
    if options.minutes is not None:
        sizes = msgspec.structs.replace(sizes, minutes=options.minutes)
    dashboard = Dashboard(sizes, folder, _say)
    _take(options, sizes, folder, dashboard, lambda: dashboard_rows(sizes, dashboard.values))


Asked = TypeVar("Asked", bound=Effort)


def _asked(options: argparse.Namespace, sizes: Asked) -> Asked:
    """The sizes, as far as the command line does not want other ones."""
    if options.rounds is not None:
        sizes = msgspec.structs.replace(sizes, rounds=options.rounds)
    if options.patience is not None:
        tries = Effort().tries if options.patience > 0 else 1
        sizes = msgspec.structs.replace(sizes, patience_seconds=options.patience, tries=tries)
    return sizes


def _take(
    options: argparse.Namespace, sizes: Effort, folder: Path, steps: Steps, rows_of_it: Callable[[], Sequence[Row]]
) -> None:
    """Prepare, take all rounds, and print what they came to."""
    steps.prepare()
    known = facts(folder, steps.loop, steps.engines)
    for number in range(1, sizes.rounds + 1):
        _say(f"round {number} of {sizes.rounds}")
        steps.round()
    found = rows_of_it()
    if options.output == "json":
        print(as_document(options.command, sizes, known, steps, found))
    else:
        print(as_page(known, steps, found))


_BENCHES: dict[str, Callable[[argparse.Namespace, Path], None]] = {
    "fleet": _fleet,
    "production": _production,
    "overload": _overload,
    "sockets": _sockets,
    "lists": _lists,
    "guards": _guards,
    "dashboard": _dashboard,
}


def _say(text: str) -> None:
    """How it goes; the figures alone go to stdout."""
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
