"""`interlock agent install --systemd`: write a unit and the file of its key; starting it is left to a person."""

import os
import pwd
import re
import shutil
import sys
from pathlib import Path

import click
from click.core import ParameterSource

from interlock.agent import AgentError, load_config
from interlock.agent.agent import check_url
from interlock.agent.key import host_id_of
from interlock.cli.systemd import Plan, key_text, unit_text

SYSTEM_UNITS = Path("/etc/systemd/system")
SYSTEM_KEYS = Path("/etc/interlock")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}")


@click.command("install")
@click.option("--systemd", is_flag=True, required=True, help="As a systemd service, which is the only kind there is.")
@click.option("--url", envvar="INTERLOCK_URL", required=True, show_envvar=True, help="The control plane's address.")
@click.option(
    "--key", envvar="INTERLOCK_AGENT_KEY", required=True, show_envvar=True, help="The agent key, kept in a file."
)
@click.option(
    "--config",
    "config_file",
    type=click.Path(dir_okay=False, path_type=Path),
    default="agent.toml",
    show_default=True,
    help="The agent's configuration, which stays where it is.",
)
@click.option("--name", default="interlock-agent", show_default=True, help="Of the unit and its state directory.")
@click.option("--user", "own", is_flag=True, help="For your own service manager instead of the machine's.")
@click.option("--run-as", default="interlock", show_default=True, help="The account that it runs as; not with --user.")
@click.option(
    "--writable",
    multiple=True,
    type=click.Path(path_type=Path),
    help="A folder outside its state directory that jobs may write to; may be given again.",
)
@click.option("--print", "only_print", is_flag=True, help="Print the unit and write nothing.")
@click.option("--force", is_flag=True, help="Overwrite files that are there already.")
def install(
    url: str,
    key: str,
    config_file: Path,
    name: str,
    run_as: str,
    writable: tuple[Path, ...],
    *,
    systemd: bool,
    own: bool,
    only_print: bool,
    force: bool,
) -> None:
    """Write a hardened systemd unit for an agent.

    Its key goes into a file that only its owner can read. Nothing is overwritten without --force, and nothing is
    started: the commands for that are printed.
    """
    del systemd
    if own and click.get_current_context().get_parameter_source("run_as") is ParameterSource.COMMANDLINE:
        raise click.UsageError("--run-as is for the machine's service manager: with --user it runs as yourself.")
    if not _NAME.fullmatch(name):
        raise click.BadParameter("up to 100 letters, digits and any of _ . -", param_hint="--name")
    try:
        check_url(url)
        host_id_of(key)
        settings = load_config(config_file).settings
    except AgentError as error:
        click.echo(f"interlock agent: {error}", err=True)
        sys.exit(error.exit_code)
    units, keys = _folders(own=own)
    plan = Plan(
        name=name,
        program=_program(),
        url=url,
        config=config_file.absolute(),
        key_file=keys / f"{name}.env",
        settings=settings,
        run_as=None if own else run_as,
        writable=tuple(path.absolute() for path in writable),
    )
    if only_print:
        click.echo(unit_text(plan), nl=False)
        return
    unit_file = units / f"{name}.service"
    _write(plan, key, unit_file, force=force)
    _say_what_is_next(plan, unit_file)


def _write(plan: Plan, key: str, unit_file: Path, *, force: bool) -> None:
    """Both files, or neither when one of them is there already."""
    if plan.run_as is not None and not _exists(plan.run_as):
        raise click.ClickException(
            f"there is no account {plan.run_as}; make one with"
            f" `useradd --system --shell /usr/sbin/nologin {plan.run_as}`, or name another by --run-as"
        )
    there = [path for path in (unit_file, plan.key_file) if path.exists()]
    if there and not force:
        raise click.ClickException(f"{' and '.join(map(str, there))} would be overwritten; --force does that")
    try:
        for path, text, mode in ((plan.key_file, key_text(key), 0o600), (unit_file, unit_text(plan), 0o644)):
            path.parent.mkdir(parents=True, exist_ok=True)
            _replace(path, text, mode)
    except OSError as error:
        raise click.ClickException(f"{error.filename or unit_file} cannot be written: {error.strerror}") from error


def _replace(path: Path, text: str, mode: int) -> None:
    """Put a file in its place whole, never readable by more than `mode` says."""
    aside = path.with_name(f".{path.name}.new")
    aside.unlink(missing_ok=True)
    descriptor = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
    with open(descriptor, "w", encoding="utf-8") as file:  # noqa: PTH123 - of a descriptor
        os.fchmod(descriptor, mode)
        file.write(text)
    aside.replace(path)


def _folders(*, own: bool) -> tuple[Path, Path]:
    """Where units and keys are."""
    if not own:
        return SYSTEM_UNITS, SYSTEM_KEYS
    config = Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config")
    return config / "systemd" / "user", config / "interlock"


def _program() -> Path:
    """The `interlock` that is running now, or the one beside this Python."""
    found = shutil.which(sys.argv[0]) if Path(sys.argv[0]).name == "interlock" else None
    return Path(found).absolute() if found else Path(sys.executable).with_name("interlock")


def _exists(account: str) -> bool:
    try:
        pwd.getpwnam(account)
    except KeyError:
        return False
    return True


def _say_what_is_next(plan: Plan, unit_file: Path) -> None:
    manager = "systemctl" if plan.run_as is not None else "systemctl --user"
    click.echo(f"{unit_file} and {plan.key_file} are written. To start it, now and at every boot:")
    click.echo(f"  {manager} daemon-reload")
    click.echo(f"  {manager} enable --now {plan.name}")
    if plan.run_as is None:
        click.echo("  loginctl enable-linger   # it would end with your session otherwise")
