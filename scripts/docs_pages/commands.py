"""docs/reference/commands.md: every command with its options, from the commands themselves."""

from collections.abc import Iterator

import click

from interlock.cli import main
from interlock.cli.commands import ADDED, OURS, SECTIONS
from interlock.cli.exits import Exit

HEAD = """# Commands

Every command of `interlock`, as `--help` tells it. How they behave together (profiles, output, waiting, exit codes) is in
[cli.md](../cli.md). This page is written from the commands by `./scripts/docs`.
"""
SHARED = ("url", "token", "org", "profile_name", "request_timeout", "output")
EXIT_HEAD = """## Exit codes

| code | name |
| --- | --- |
"""


def commands_page() -> str:
    """The whole page."""
    context = click.Context(main, info_name="interlock")
    parts = [HEAD, _shared(context)]
    for title, names in SECTIONS:
        parts.append(f"## {title}\n")
        for name in names:
            command = main.get_command(context, name) if name in OURS or _is_there(context, name) else None
            if command is not None:
                parts += _pages(command, click.Context(command, parent=context, info_name=name))
    rows = [f"| {code.value} | {code.name.lower().replace('_', ' ')} |" for code in Exit]
    return "\n".join([*parts, EXIT_HEAD + "\n".join(rows) + "\n"])


def _is_there(context: click.Context, name: str) -> bool:
    return name in ADDED and name in main.list_commands(context)


def _pages(command: click.Command, context: click.Context) -> Iterator[str]:
    """A command, and those below it."""
    yield _command(command, context)
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            found = command.get_command(context, name)
            if found is not None:
                yield from _pages(found, click.Context(found, parent=context, info_name=name))


def _command(command: click.Command, context: click.Context) -> str:
    lines = [f"### {context.command_path}", "", " ".join((command.help or "").split()), ""]
    if command.epilog:
        lines += ["```sh", command.epilog.removeprefix("Example: "), "```", ""]
    named = [each for each in command.params if each.name not in SHARED or not _has_shared(command)]
    rows = [row for each in named for row in _row(each, context)]
    if _has_shared(command):
        lines += ["Takes the [shared options](#shared-options) too.", ""]
    if rows:
        lines += ["| argument | meaning |", "| --- | --- |", *rows, ""]
    return "\n".join(lines)


def _has_shared(command: click.Command) -> bool:
    return {"org", "request_timeout", "output"} <= {each.name for each in command.params}


def _shared(context: click.Context) -> str:
    """The options of every command that works in an organization."""
    jobs = main.get_command(context, "jobs")
    listing = jobs.get_command(context, "list") if isinstance(jobs, click.Group) else None
    rows = [row for each in (listing.params if listing else []) if each.name in SHARED for row in _row(each, context)]
    return "\n".join(["## Shared options", "", "| option | meaning |", "| --- | --- |", *rows, ""])


def _row(parameter: click.Parameter, context: click.Context) -> Iterator[str]:
    if isinstance(parameter, click.Argument):
        optional = "" if parameter.required else " May be left out."
        yield f"| `{parameter.make_metavar(context)}` | {optional.strip()} |"
        return
    record = parameter.get_help_record(context)
    if record is not None and parameter.name != "help":
        name, meaning = record
        yield f"| `{_cell(name)}` | {_cell(meaning)} |"


def _cell(text: str) -> str:
    """Text that neither ends a cell nor becomes a link."""
    return " ".join(text.split()).replace("|", "\\|")
