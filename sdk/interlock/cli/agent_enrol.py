"""`interlock agent enrol`: this machine makes itself a host, and keeps the key where `interlock agent` looks for it."""

import os
import shlex
import socket
from pathlib import Path

import click

from interlock.cli.output import say
from interlock.cli.payload import read_labels
from interlock.client import Client
from interlock.errors import Conflict
from interlock.fleet import Register

CONNECT_SECONDS, READ_SECONDS = 5.0, 30.0


def default_key_file() -> Path:
    """Where `enrol` keeps the key unless it is told otherwise."""
    base = os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config"
    return Path(base) / "interlock" / "agent.env"


def read_key_file(file: Path) -> dict[str, str]:
    """The `NAME=value` lines of a key file; nothing when there is none."""
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError) as error:
        raise click.ClickException(f"{file} cannot be read: {error}") from error
    pairs = (line.partition("=") for line in lines if "=" in line and not line.startswith("#"))
    return {name.strip(): value.strip() for name, _, value in pairs}


@click.command("enrol", epilog="Example: interlock agent enrol --url https://interlock.example.com --token ile_…")
@click.option("--url", envvar="INTERLOCK_URL", required=True, show_envvar=True, help="The control plane's address.")
@click.option(
    "--token",
    envvar="INTERLOCK_ENROLMENT",
    required=True,
    show_envvar=True,
    help="Of the enrolment, as `interlock hosts enrol` prints it.",
)
@click.option("--name", default=socket.gethostname, show_default="this machine's", help="What the host is called.")
@click.option("--label", "labels", metavar="KEY=VALUE", multiple=True, help="A label; repeatable.")
@click.option("--kind", type=click.Choice(["machine", "device"]), default="machine", show_default=True)
@click.option(
    "--key-file",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Where the address and the key are kept. [default: ~/.config/interlock/agent.env]",
)
@click.option("--force", is_flag=True, help="Overwrite a key that is there already.")
def enrol(
    url: str, token: str, name: str, labels: tuple[str, ...], kind: str, key_file: Path | None, *, force: bool
) -> None:
    """Make this machine a host, and keep its key.

    The key goes into a file of mode 0600, where `interlock agent` finds it.
    """
    file = key_file or default_key_file()
    if file.exists() and not force:
        raise Conflict(f"{file} holds a key already; --force replaces it, --key-file names another")
    given = read_labels(labels)
    descriptor = _open(file)  # before the token is used up: what cannot be kept is not asked for
    try:
        with Client(url, token, connect_seconds=CONNECT_SECONDS, read_seconds=READ_SECONDS) as client:
            wanted = Register(token=token, name=name, labels=given, kind=kind)
            made = client.enrolments.register(wanted)
        with open(descriptor, "w", encoding="utf-8", closefd=False) as kept:
            kept.write(f"INTERLOCK_URL={url}\nINTERLOCK_AGENT_KEY={made.agent_key}\n")
        _aside(file).replace(file)
    finally:
        os.close(descriptor)
        _aside(file).unlink(missing_ok=True)
    click.echo(made.host_id)
    start = "interlock agent" if key_file is None else f"interlock agent --key-file {shlex.quote(str(file))}"
    say(
        f"{name} is a host now; its key is in {file}. Write an agent.toml, which says what does which job,"
        f" and start its agent beside it with `{start}`."
    )


def _open(file: Path) -> int:
    """A new file beside the one that is wanted, for its owner alone."""
    try:
        file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        _aside(file).unlink(missing_ok=True)
        return os.open(_aside(file), os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise click.ClickException(f"{file} cannot be written: {error.strerror}") from error


def _aside(file: Path) -> Path:
    return file.with_name(f".{file.name}.new")
