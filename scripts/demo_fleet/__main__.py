"""`./scripts/demo`: sets the stage, plays the story, and leaves nothing running behind."""

import argparse
import asyncio
import contextlib
import signal
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from demo_fleet.control_plane import INTERLOCK, Account, ControlPlane, control_plane, free_ports
from demo_fleet.fleet import Host, fleet
from demo_fleet.processes import DemoFailed
from demo_fleet.screen import Screen
from demo_fleet.story import CHECKS, Story
from demo_fleet.watch import watch
from interlock.client import Client
from interlock.errors import InterlockError

_OK, _FAILED, _INTERRUPTED = 0, 1, 130
_EXPECTED = (DemoFailed, InterlockError)


def main() -> int:
    """The exit code: 0 when every check passed, 1 when one did not, 130 when interrupted before the end."""
    options = _options()
    with Screen(CHECKS) as screen, _folder(options.data_dir) as folder:
        try:
            asyncio.run(_demo(options, folder, screen))
        except asyncio.CancelledError:
            if screen.made < CHECKS:
                screen.line("Interrupted. Everything that the demo started has been ended.")
                return _INTERRUPTED
            screen.line("Everything that the demo started has been ended.")
        except _EXPECTED as failure:
            screen.give_up(str(failure))
        except BaseExceptionGroup as failures:
            expected, other = failures.split(_EXPECTED)
            if other is not None or expected is None:
                raise
            screen.give_up(_first(expected))
        if options.once or not screen.complete:
            screen.sum_up()
        return _OK if screen.complete else _FAILED


async def _demo(options: argparse.Namespace, folder: Path, screen: Screen) -> None:
    _stop_on_signals()
    screen.scene("Start the control plane, three agents for hosts and two for jobs of no host in particular")
    async with control_plane(folder, options.port or free_ports(1)[0]) as plane:
        screen.line(f"  Interlock is running at {plane.url}, its data in {folder}")
        account = await plane.open_account()
        with Client(plane.url, account.token) as client:
            await _play(options, folder, screen, plane, account, client)


async def _play(
    options: argparse.Namespace, folder: Path, screen: Screen, plane: ControlPlane, account: Account, client: Client
) -> None:
    async with (
        fleet(plane, client, account.org, folder) as agents,
        watch(plane, account, agents, screen) as heard,
    ):
        await Story(client, account, agents, heard, screen).play()
        if not options.once:
            screen.sum_up()
            _invite(screen, plane, account, agents.hosts)
            await asyncio.Event().wait()


def _first(failures: BaseExceptionGroup[BaseException]) -> str:
    """The message of the first failure, however deep in groups it lies."""
    failure = failures.exceptions[0]
    return _first(failure) if isinstance(failure, BaseExceptionGroup) else str(failure)


def _stop_on_signals() -> None:
    """Let the first Ctrl-C (or SIGTERM, or a closed terminal) end the demo in order; more of them hurry nothing."""
    demo, loop = asyncio.current_task(), asyncio.get_running_loop()
    heard: set[int] = set()

    def stop(number: int) -> None:
        if demo is not None and not heard:
            demo.cancel()
        heard.add(number)

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, stop, number)


def _invite(screen: Screen, plane: ControlPlane, account: Account, hosts: list[Host]) -> None:
    screen.line()
    screen.line(f"Interlock keeps running at {plane.url}, with its agents, until Ctrl-C. In another terminal:")
    screen.line()
    screen.line(f"  export INTERLOCK_URL={plane.url} INTERLOCK_ORG={account.org}")
    screen.line(f"  export INTERLOCK_TOKEN={account.token}")
    screen.line(f"  {INTERLOCK} jobs list")
    screen.line(f"  {INTERLOCK} jobs create SERVER_START --instance {hosts[0].instance} --wait")
    screen.line()


@contextlib.contextmanager
def _folder(chosen: Path | None) -> Iterator[Path]:
    """The chosen folder, which stays, or a temporary one."""
    if chosen is None:
        with tempfile.TemporaryDirectory(prefix="interlock-demo-") as temporary:
            yield Path(temporary)
    else:
        yield chosen.resolve()


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="./scripts/demo", description="See Interlock run real servers on three hosts."
    )
    parser.add_argument("--once", action="store_true", help="end after the last scene; exit code 0 if all is well")
    parser.add_argument("--port", type=int, help="loopback port of the control plane (default: a free one)")
    parser.add_argument("--data-dir", type=Path, help="keep the data here (default: a temporary folder)")
    options = parser.parse_args()
    if options.data_dir is not None:
        try:
            options.data_dir.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            parser.error(f"--data-dir {options.data_dir} cannot be made: {error.strerror}")
    return options


if __name__ == "__main__":
    sys.exit(main())
