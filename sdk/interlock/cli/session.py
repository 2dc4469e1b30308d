"""What every `interlock jobs` command shares: where the server is, who asks, and how answers are shown."""

import functools
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Concatenate, ParamSpec

import click

from interlock.cli.output import Format
from interlock.client import Client
from interlock.errors import NotFound, Unauthenticated
from interlock.ids import JobId, OrgId, is_id

P = ParamSpec("P")

_OPTIONS = (
    click.option(
        "--url",
        envvar="INTERLOCK_URL",
        default="http://127.0.0.1:8080",
        show_default=True,
        show_envvar=True,
        help="The server.",
    ),
    click.option("--token", envvar="INTERLOCK_TOKEN", show_envvar=True, help="A user's token; best given by variable."),
    click.option(
        "--org", envvar="INTERLOCK_ORG", show_envvar=True, required=True, metavar="ID", help="The organization."
    ),
    click.option(
        "--request-timeout",
        type=click.FloatRange(min=0.1, max=3600),
        default=10.0,
        show_default=True,
        metavar="SECONDS",
        help="The longest silence within one request.",
    ),
    click.option(
        "-o",
        "--output",
        type=click.Choice([each.value for each in Format]),
        help="Default: table on a terminal, json otherwise.",
    ),
)


@dataclass(frozen=True, slots=True)
class Session:
    """One command's connection and the shape of its output."""

    client: Client
    org: OrgId
    output: Format

    def again(self, job_id: JobId) -> str:
        """The command that follows a job, as this one was called; the token is never repeated."""
        context = click.get_current_context()
        given = [f" --{name} {context.params[name]}" for name in ("url", "org") if _was_typed(context, name)]
        token = " --token …" if _was_typed(context, "token") else ""
        return f"interlock jobs wait {job_id}{''.join(given)}{token}"


def with_session(command: Callable[Concatenate[Session, P], None]) -> Callable[..., None]:
    """`command` with the shared options, called with the `Session` that they describe."""

    @functools.wraps(command)
    def run(*args: Any, url: str, token: str | None, request_timeout: float, output: str | None, **rest: Any) -> None:
        org = rest.pop("org")
        if not (token or "").strip():
            raise Unauthenticated(
                "No token: set INTERLOCK_TOKEN, or pass --token. "
                "On the server's machine `interlock admin token --email YOU` prints one"
            )
        shape = Format(output) if output else Format.TABLE if sys.stdout.isatty() else Format.JSON
        with Client(
            url, (token or "").strip(), connect_seconds=min(5.0, request_timeout), read_seconds=request_timeout
        ) as client:
            try:
                command(Session(client, org, shape), *args, **rest)
            except NotFound as error:
                if not is_id(org):
                    error.add_note("--org takes the organization's id, not its name")
                raise

    for option in reversed(_OPTIONS):
        run = option(run)
    return run


def _was_typed(context: click.Context, name: str) -> bool:
    return context.get_parameter_source(name) is click.core.ParameterSource.COMMANDLINE
