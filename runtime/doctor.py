"""`interlock doctor`: looks at all that a server needs, changes nothing, and says what to do. No server need be running."""

import os
from collections.abc import Iterator
from pathlib import Path

import click
import msgspec

from interlock.clock import Clock, SystemClock
from interlock.errors import InterlockError
from runtime.check_database import check_database
from runtime.check_machine import check_machine
from runtime.check_others import check_redis, check_server, check_settings
from runtime.findings import Finding, Verdict, fail
from runtime.log_text import plain
from runtime.settings import BadSettings, Settings, load_settings

_COLOURS = {Verdict.OK: "green", Verdict.WARN: "yellow", Verdict.FAIL: "red"}


@click.command()
@click.option("--data-dir", help="The server's data folder.")
@click.option("--database-url", help="The server's database, when it is not in the data folder.")
@click.option("--redis-url", help="The server's Redis, if it has one.")
@click.option("--config", type=click.Path(dir_okay=False), help="The server's TOML file.")
@click.option("--host", help="The address that it listens on.")
@click.option("--port", type=int, help="The port that it listens on.")
@click.option("--url", help="A running server, to be asked whether it is ready.")
@click.option("-o", "--output", type=click.Choice(["text", "json"]), default="text", show_default=True)
def doctor(config: str | None, url: str | None, output: str, **given: str | int | None) -> None:
    """Check all that the server needs and say what to do; give it the server's own settings.

    The exit code is 1 when something fails. Example: interlock doctor --url http://127.0.0.1:8080.
    """
    try:
        settings = load_settings(given, os.environ, Path(config) if config else None)
    except BadSettings as error:
        found = [fail("settings", line, "See docs/settings.md.") for line in error.detail.splitlines()]
    else:
        found = list(look(settings, url, SystemClock()))
    healthy = all(each.verdict is not Verdict.FAIL for each in found)
    if output == "json":
        checks = [each._asdict() for each in found]
        click.echo(msgspec.json.encode({"ok": healthy, "checks": checks}))
    else:
        for each in found:
            _tell(each)
    raise SystemExit(0 if healthy else 1)


def look(settings: Settings, url: str | None, clock: Clock) -> Iterator[Finding]:
    """All findings, in the order in which they are worth reading."""
    try:
        yield from check_settings(settings)
        yield from check_machine(settings)
        yield from check_database(settings, clock)
        yield from check_redis(settings)
        if url is not None:
            yield from check_server(url, clock)
    except (InterlockError, OSError) as error:
        yield fail("doctor", f"the look ended early: {error}", "Mend this, and look again.")


def _tell(found: Finding) -> None:
    verdict = click.style(f"{found.verdict:<4}", fg=_COLOURS[found.verdict])
    click.echo(f"{verdict}  {found.check:<13}  {plain(found.text)}")
    if found.advice:
        click.echo(f"{'':<21}{plain(found.advice)}")
