"""`./scripts/chaos`: break it, and see whether it kept its promises."""

import argparse
import asyncio
import secrets
import signal
import sys
import tempfile
import time
from pathlib import Path

import msgspec

from chaos_rig.checker import Promises, check
from chaos_rig.errors import RigFailed
from chaos_rig.final import load, save
from chaos_rig.history import Began, History, read
from chaos_rig.modes import MODES
from chaos_rig.planted import BUGS
from chaos_rig.rig import SETTLE_SECONDS, Plan, Rig
from chaos_rig.summary import document, sentences, table
from engines.processes import EngineFailed, EngineMissing

FAULTS_EACH_SECOND = 50 / 60
HISTORY, FINAL, PROMISES = "history.jsonl", "final.json", "promises.json"


def main() -> int:
    """The exit code: 0 all promises kept, 1 not, 2 when the rig could not do its work, 130 when interrupted."""
    options = _options()
    for order in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(order, signal.default_int_handler)
    try:
        if options.check is not None:
            return _judge(options, options.check)
        with tempfile.TemporaryDirectory(prefix="interlock-chaos-") as spare:
            folder = _empty(options.keep if options.keep is not None else Path(spare))
            asyncio.run(_play(options, folder))
            return _judge(options, folder)
    except (RigFailed, EngineFailed, EngineMissing) as failure:
        _say(f"chaos: {failure}")
        return 2
    except KeyboardInterrupt:
        _say("chaos: interrupted; everything that it started has been ended")
        return 130


def _empty(folder: Path) -> Path:
    folder = folder.absolute()
    folder.mkdir(parents=True, exist_ok=True)
    if any(folder.iterdir()):
        raise RigFailed(f"{folder} is not empty")
    return folder


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="chaos", description="Real servers under load, broken on purpose, and judged."
    )
    parser.add_argument("--seconds", type=float, default=60.0, help="how long things are broken [default: 60]")
    parser.add_argument("--faults", type=int, help="go on until so many kills and pauses [default: 50 a minute]")
    parser.add_argument("--seed", type=int, help="of all choices; timing still differs [default: a new one]")
    parser.add_argument("--mode", choices=sorted(MODES), default="embedded", help="what is broken [default: embedded]")
    parser.add_argument("--mutant", choices=sorted(BUGS), default="", help="plant this bug: the run must fail")
    parser.add_argument(
        "--only-pauses", type=float, metavar="SECONDS", help="stop a server for up to so long, and break nothing else"
    )
    parser.add_argument(
        "--patience",
        type=float,
        default=SETTLE_SECONDS,
        metavar="SECONDS",
        help=f"for all work to end when nothing is broken any more [default: {SETTLE_SECONDS:g}]",
    )
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="keep logs, history and final rows there")
    parser.add_argument("--check", type=Path, metavar="FOLDER", help="judge again what was kept there")
    parser.add_argument("-o", "--output", choices=("table", "json"), default="table")
    options = parser.parse_args()
    if options.seconds <= 0:
        parser.error("--seconds: more than 0 is needed")
    return options


async def _play(options: argparse.Namespace, folder: Path) -> None:
    """One run; what it leaves in `folder` can be judged at any time."""
    plan = Plan(
        seconds=options.seconds,
        faults=round(options.seconds * FAULTS_EACH_SECOND) if options.faults is None else options.faults,
        seed=secrets.randbelow(2**31) if options.seed is None else options.seed,
        mode=options.mode,
        mutant=options.mutant,
        only_pauses=options.only_pauses,
        patience=options.patience,
    )
    _say(f"chaos: {plan.mode}, seed {plan.seed}, {plan.seconds:g} s" + (f", with {plan.mutant}" if plan.mutant else ""))
    history = History(folder / HISTORY)
    try:
        async with MODES[plan.mode](folder, history) as topology:
            final = await Rig(plan, topology, folder, history).run(_Progress())
            (folder / PROMISES).write_bytes(msgspec.json.encode(topology.promises))
    finally:
        history.close()
    save(final, folder / FINAL)


def _judge(options: argparse.Namespace, folder: Path) -> int:
    """Read what was left there, and print the verdict."""
    try:
        entries = read([folder / HISTORY, *sorted(folder.glob("*/diary.jsonl"))])
        final = load(folder / FINAL)
        promises = msgspec.json.decode((folder / PROMISES).read_bytes(), type=Promises)
    except (OSError, msgspec.MsgspecError) as error:
        raise RigFailed(f"{folder} cannot be judged: {error}") from error
    violations = check(entries, final, promises)
    began = next(entry for entry in entries if isinstance(entry, Began))
    figures = document(entries, final, violations)
    told = sentences(violations, began.at)
    if options.output == "json":
        print(msgspec.json.format(msgspec.json.encode(figures | {"told": told})).decode())
    else:
        print("\n".join(["", table(figures), *(["", *told] if told else [])]))
        verdict = "kept all its promises" if not violations else f"broke {len(violations)} promises"
        print(f"\nInterlock {verdict}: {began.mode}, seed {began.seed}{began.mutant and ', with ' + began.mutant}.")
    return 1 if violations else 0


class _Progress:
    """A line a second that overwrites itself on a terminal, and one every ten seconds elsewhere."""

    def __init__(self) -> None:
        self._calls = 0

    def __call__(self, rig: Rig) -> None:
        counts, faults = rig.history.counts, rig.nemesis.counts
        line = (
            f"{time.monotonic() - rig.began:4.0f} s  {rig.phase:<9}  {counts['Accepted']} jobs accepted, "
            f"{counts['Started']} runs begun, {faults['kill']} kills, {faults['pause']} pauses, "
            f"{faults['outage']} outages"
        )
        if sys.stderr.isatty():
            print(f"\r{line}", end="", file=sys.stderr, flush=True)
        elif self._calls % 10 == 0:
            _say(line)
        self._calls += 1


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
