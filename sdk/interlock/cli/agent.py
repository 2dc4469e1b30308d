"""`interlock agent`: run the reference agent in the foreground until SIGTERM or SIGINT."""

import asyncio
import logging
import os
import signal
import sys
from pathlib import Path
from typing import get_args

import click
from msgspec.structs import replace

from interlock.agent import Agent, AgentError, command_handlers, load_config
from interlock.agent.agent import check_url
from interlock.agent.config import AgentConfig
from interlock.agent.key import host_id_of
from interlock.agent.programs import missing_programs
from interlock.agent.settings import Transport
from interlock.cli.agent_enrol import default_key_file, enrol, read_key_file
from interlock.cli.agent_install import install
from interlock.clock import rfc3339

_CONTROL = {code: f"\\x{code:02x}" for code in (*range(0x20), *range(0x7F, 0xA0)) if chr(code) not in "\n\t"}


@click.group("agent", invoke_without_command=True)
@click.option("--url", envvar="INTERLOCK_URL", show_envvar=True, help="The control plane's address.  [required]")
@click.option(
    "--key",
    envvar="INTERLOCK_AGENT_KEY",
    show_envvar=True,
    help="The agent key; best given by variable.  [required]",
)
@click.option(
    "--config",
    "config_file",
    type=click.Path(dir_okay=False, path_type=Path),
    default="agent.toml",
    show_default=True,
    help="Which command does which type of job, and limits.",
)
@click.option(
    "--state-dir",
    envvar="INTERLOCK_STATE_DIR",
    show_envvar=True,
    type=click.Path(path_type=Path),
    help="Where the journal lives, of one agent only. [default: ~/.local/state/interlock/agent/HOST_ID]",
)
@click.option(
    "--transport",
    type=click.Choice(get_args(Transport)),
    help="How to talk to the server, in place of what the configuration says: a socket with polls while there is none"
    " (auto, the default), or only one of the two.",
)
@click.option(
    "--key-file",
    envvar="INTERLOCK_AGENT_KEY_FILE",
    show_envvar=True,
    type=click.Path(dir_okay=False, path_type=Path),
    help="Where the address and the key are, when they are not given. [default: ~/.config/interlock/agent.env]",
)
@click.option("--check", is_flag=True, help="Check the configuration and exit.")
@click.pass_context
def command(
    ctx: click.Context,
    url: str | None,
    key: str | None,
    config_file: Path,
    state_dir: Path | None,
    transport: Transport | None,
    key_file: Path | None,
    *,
    check: bool,
) -> None:
    """Take jobs for this host and run them, one at a time.

    Exit codes: 0 stopped by a signal, 2 wrong usage or configuration, 8 the state directory is in use by another
    agent, 9 the state directory cannot be used.
    """
    _log_to_stderr()
    if ctx.invoked_subcommand is not None:
        return
    kept = {} if key else read_key_file(key_file or default_key_file())
    url, key = url or kept.get("INTERLOCK_URL"), key or kept.get("INTERLOCK_AGENT_KEY")
    if not check:
        _say_where_to_begin(url, key, key_file, config_file)
    try:
        config = load_config(config_file)
        if check:
            _check(config_file, config, url, key)
            return
        settings = config.settings if transport is None else replace(config.settings, transport=transport)
        agent = Agent(
            url or "",
            key or "",
            state_dir=state_dir if state_dir is not None else _default_state_dir(host_id_of(key or "")),
            handlers=command_handlers(config.commands, settings, os.environ),
            settings=settings,
        )
        asyncio.run(_run(agent))
    except AgentError as error:
        click.echo(f"interlock agent: {error}", err=True)
        sys.exit(error.exit_code)


command.add_command(install)
command.add_command(enrol)


def _say_where_to_begin(url: str | None, key: str | None, key_file: Path | None, config_file: Path) -> None:
    """A usage error for whoever has not prepared what an agent needs."""
    missing = [name for name, value in (("--url", url), ("--key", key)) if value is None]
    if missing:
        kept = key_file or default_key_file()
        raise click.UsageError(
            f"Missing {' and '.join(missing)}, which {kept} does not hold either. To begin, `interlock agent enrol` makes"
            " this machine a host and keeps both; then write an agent.toml, which says what does which job."
        )
    if not config_file.exists():
        raise click.UsageError(
            f"{config_file} is not there. Write it, with a command for each type of job, or name another by --config:\n"
            '  [handlers.SERVER_START]\n  command = ["./start.sh"]'
        )


def _check(config_file: Path, config: AgentConfig, url: str | None, key: str | None) -> None:
    """Look at what was given, and say what was found."""
    if url is not None:
        check_url(url)
    if key is not None:
        host_id_of(key)
    for line in missing_programs(config.commands, os.environ):
        click.echo(f"{config_file}: {line}", err=True)
    count = len(config.commands)
    click.echo(f"{config_file}: {count} {'handler' if count == 1 else 'handlers'}, no mistakes")


async def _run(agent: Agent) -> None:
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, agent.stop)
    await agent.run()


def _default_state_dir(host_id: str) -> Path:
    """A directory per host, so that agents of several hosts can share a machine."""
    base = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    return Path(base) / "interlock" / "agent" / host_id


class _Lines(logging.Formatter):
    """`2026-11-22T02:34:06.123Z INFO message`; control characters from outside cannot forge a line."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(message)s")

    def formatTime(self, record: logging.LogRecord, datefmt: str | None = None) -> str:  # noqa: ARG002, N802 - the library's
        """RFC 3339 in UTC, as everywhere else."""
        return rfc3339(round(record.created * 1000))

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - the library's name
        """One line per event."""
        return super().formatMessage(record).translate(_CONTROL).replace("\n", "\\n")


def _log_to_stderr() -> None:
    handler = logging.StreamHandler()
    handler.setFormatter(_Lines())
    root = logging.getLogger("interlock")
    root.setLevel(logging.INFO)
    root.handlers = [handler]
