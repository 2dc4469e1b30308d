"""`interlock` itself: finds the sub-command, and turns whatever goes wrong into a sentence and an exit code."""

import contextlib
import errno
import os
import sys
from importlib import import_module
from typing import TYPE_CHECKING, Any

import click

from interlock.cli.commands import ADDED, OURS, SECTIONS
from interlock.cli.exits import Exit, exit_code, printable, sentence
from interlock.errors import InterlockError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from importlib.metadata import EntryPoint

    from click.shell_completion import CompletionItem

_GROUP = "interlock.commands"  # the entry-point group by which the server adds `serve` and `admin`
_DEBUG = "INTERLOCK_DEBUG"  # set to 1 to see tracebacks
_NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO}  # of a file that takes no more


class Root(click.Group):
    """A group whose commands are imported when they are needed: a name of ours never looks at other packages."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Our own names, then those that installed packages add."""
        del ctx
        return [*OURS, *sorted({each.name for each in _added()} - set(OURS))]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of that name, imported now; None when nobody offers it."""
        del ctx
        try:
            found = _load(cmd_name)
        except Exception as error:
            if os.environ.get(_DEBUG):
                raise
            return _unavailable(cmd_name, str(error))
        if found is None or isinstance(found, click.Command):
            return found
        return _unavailable(cmd_name, f"{found!r} is not a command")

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """The command that `args` begins with; a wrong name is answered with those that are written nearly like it."""
        try:
            return super().resolve_command(ctx, args)
        except click.exceptions.NoSuchCommand as error:
            names = self.list_commands(ctx)
            raise click.exceptions.NoSuchCommand(error.command_name, possibilities=names, ctx=ctx) from error

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The commands in sections, from the table where it knows them; only others are imported for their line."""
        names = self.list_commands(ctx)
        known = {name for _, section in SECTIONS for name in section}
        sections = [*SECTIONS, ("Other", tuple(name for name in names if name not in known))]
        widest = max(map(len, names))
        for title, section in sections:
            rows = [(name.ljust(widest), self._line(ctx, name)) for name in section if name in names]
            if rows:
                with formatter.section(title):
                    formatter.write_dl(rows)

    def shell_complete(self, ctx: click.Context, incomplete: str) -> "list[CompletionItem]":
        """Names of commands with their lines, and importing nothing for them."""
        from click.shell_completion import CompletionItem  # noqa: PLC0415 - only completion pays for it

        names = [name for name in self.list_commands(ctx) if name.startswith(incomplete)]
        commands = [CompletionItem(name, help=self._line(ctx, name)) for name in names]
        return commands + click.Command.shell_complete(self, ctx, incomplete)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the sub-command; refusals, Ctrl-C and surprises end in a sentence and an exit code."""
        try:
            return super().invoke(ctx)
        except InterlockError as error:
            click.echo(f"interlock: {sentence(error)}", err=True)
            ctx.exit(exit_code(error))
        except KeyboardInterrupt:
            click.echo("\ninterlock: interrupted.", err=True)
            ctx.exit(Exit.INTERRUPTED)
        except (click.ClickException, click.exceptions.Exit, click.Abort, BrokenPipeError):
            raise
        except Exception as error:
            if isinstance(error, OSError) and error.errno in _NO_ROOM and error.filename is None:
                _give_up_output()
                click.echo(f"interlock: the output cannot be written: {error.strerror}.", err=True)
                ctx.exit(Exit.FAILED)
            if os.environ.get(_DEBUG):
                raise
            what = printable(f"{type(error).__name__}: {error}")
            click.echo(f"interlock: this should not have happened: {what} ({_DEBUG}=1 shows where).", err=True)
            ctx.exit(Exit.FAILED)

    def _line(self, ctx: click.Context, name: str) -> str:
        """A command's line in the help."""
        if name in OURS:
            return OURS[name].help
        if name in ADDED:
            return ADDED[name]
        command = self.get_command(ctx, name)
        return "" if command is None else command.get_short_help_str(limit=100)


def _give_up_output() -> None:
    """What waits to be written would be tried, and complained of, once more at the very end."""
    with contextlib.suppress(OSError):
        sys.stdout.close()


def _added() -> "Iterator[EntryPoint]":
    from importlib.metadata import entry_points  # noqa: PLC0415 - 20 ms that most calls do without

    yield from entry_points(group=_GROUP)


def _load(name: str) -> object:
    if name in OURS:
        return import_module(OURS[name].module).command
    return next((each.load() for each in _added() if each.name == name), None)


def _unavailable(name: str, why: str) -> click.Command:
    """A stand-in that keeps `--help` and the other commands working when one package is broken."""
    reason = printable(why).rstrip(".")

    def refuse() -> None:
        raise click.ClickException(f"`{name}` cannot be loaded: {reason}. Is its package installed whole?")

    settings = {"ignore_unknown_options": True, "allow_extra_args": True}
    return click.Command(name, callback=refuse, context_settings=settings, short_help=f"(cannot be loaded: {reason})")


def _version(ctx: click.Context, _option: click.Parameter, asked: bool) -> None:
    if not asked or ctx.resilient_parsing:
        return
    from importlib.metadata import PackageNotFoundError, version  # noqa: PLC0415 - see _added

    try:
        click.echo(f"interlock {version('interlock')}")
    except PackageNotFoundError:
        click.echo("interlock (run from source, not installed)")
    ctx.exit()


@click.command(
    cls=Root,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Example: interlock jobs list --status FAILED",
)
@click.option(
    "--version", is_flag=True, is_eager=True, expose_value=False, callback=_version, help="Print the version."
)
def main() -> None:
    """Run jobs on a fleet of hosts, one at a time per host."""
