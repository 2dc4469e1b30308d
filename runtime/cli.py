"""`interlock serve`: the server's command."""

import asyncio
import gc
import os
import signal
from pathlib import Path
from shlex import quote
from typing import Any

import click

from interlock.errors import InterlockError
from runtime.control_plane import ControlPlane
from runtime.heap import give_back_freed_memory
from runtime.log_lines import begin_log
from runtime.set_up import new_link
from runtime.settings import Settings, load_settings
from store.writer import Writer


@click.command()
@click.option("--host", help="Address to listen on. [default: 127.0.0.1]")
@click.option("--port", type=int, help="Port to listen on; 0 for any free one. [default: 8080]")
@click.option("--data-dir", help="Folder for the embedded database, the secret and the lock.")
@click.option("--database-url", help="postgresql://user@host/name instead of the embedded database.")
@click.option("--redis-url", help="redis://host:port/0 for alarms and events between servers.")
@click.option("--config", type=click.Path(dir_okay=False), help="TOML file with any of the settings.")
def serve(config: str | None, **given: Any) -> None:
    """Run the server. Example: interlock serve --port 8080 --data-dir ./data."""
    try:
        settings = load_settings(given, os.environ, Path(config) if config else None)
        begin_log(settings.log_level, settings.log_format)
        give_back_freed_memory(os.environ)
        writer = Writer() if settings.writes_elsewhere else None  # before any thread begins
        try:
            asyncio.run(run(settings, writer, same_database(settings, config, given.get("database_url"))))
        finally:
            if writer is not None:
                writer.close()
    except InterlockError as error:
        raise click.ClickException(
            " ".join(error.detail.split()) if "\n\t" in error.detail else error.detail
        ) from error


def same_database(settings: Settings, config: str | None, typed_url: str | None) -> str:
    """Options that lead `interlock admin` to this server's database; never a password."""
    options = [f"--config {quote(config)}"] if config else []
    if settings.is_embedded:
        options.append(f"--data-dir {quote(settings.data_dir)}")
    elif typed_url and "@" in typed_url:
        options.append("--database-url …")  # there may be a password in it
    elif typed_url:
        options.append(f"--database-url {quote(typed_url)}")
    elif _URL in os.environ:
        options.append(f'--database-url "${_URL}"')
    return " ".join(options)


async def run(settings: Settings, writer: Writer | None = None, options: str = "") -> None:
    """Serve until SIGTERM or SIGINT. What changes is written by `writer`, if there is one; with these options
    `interlock admin` finds the same database.
    """
    plane = ControlPlane(settings, writer)
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    try:
        await plane.start()
        _spare_the_collector()
        link = await new_link(plane.services, settings.public_url or plane.url, settings.setup_seconds)
        if link is not None:
            click.echo(_FIRST_STEPS.format(link=link, options=options), err=True)
        click.echo(f"Interlock listens on {plane.url}", err=True)
        await stop.wait()
    finally:
        await plane.stop()


def _spare_the_collector() -> None:
    """What is loaded stays; waiting jobs are many and long-lived, so look at them seldom. Measured: a quarter of the
    CPU per job went into looking through them again and again.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 50)


_FIRST_STEPS = """No account exists yet. Make the first one here; the link holds once, for a while, and until the next start:
  {link}
or on this machine:
  interlock admin setup --email you@example.com --name You --org acme {options}"""
_URL = "INTERLOCK_DATABASE_URL"
