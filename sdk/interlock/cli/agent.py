"""`interlock agent`: run the reference agent in the foreground until SIGTERM or SIGINT."""

import asyncio
import logging
import os
import signal
import sys
from pathlib import Path

import click

from interlock.agent import Agent, AgentError, command_handlers, load_config
from interlock.agent.key import host_id_of
from interlock.clock import rfc3339

_CONTROL = {code: f"\\x{code:02x}" for code in (*range(0x20), *range(0x7F, 0xA0)) if chr(code) not in "\n\t"}


@click.command("agent")
@click.option("--url", envvar="INTERLOCK_URL", required=True, show_envvar=True, help="The control plane's address.")
@click.option(
    "--key",
    envvar="INTERLOCK_AGENT_KEY",
    required=True,
    show_envvar=True,
    help="The agent key; best given by variable.",
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
    type=click.Path(file_okay=False, path_type=Path),
    help="Where the journal lives, of one agent only. [default: ~/.local/state/interlock/agent/HOST_ID]",
)
@click.option("--check", is_flag=True, help="Check the configuration and exit.")
def command(url: str, key: str, config_file: Path, state_dir: Path | None, *, check: bool) -> None:
    """Take jobs for this host and run them, one at a time.

    Exit codes: 0 stopped by a signal, 2 wrong usage or configuration, 8 the state directory is in use by another
    agent, 9 the state directory cannot be used.
    """
    _log_to_stderr()
    try:
        config = load_config(config_file)
        agent = Agent(
            url,
            key,
            state_dir=state_dir if state_dir is not None else _default_state_dir(host_id_of(key)),
            handlers=command_handlers(config.commands, config.settings, os.environ),
            settings=config.settings,
        )
        if check:
            click.echo(f"{config_file}: {len(config.commands)} handlers, no mistakes")
            return
        asyncio.run(_run(agent))
    except AgentError as error:
        click.echo(f"interlock agent: {error}", err=True)
        sys.exit(error.exit_code)


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
