"""What every command about an organization shares: where the server is, who asks, and how answers are shown."""

import functools
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Concatenate, ParamSpec

import click

from interlock.cli import names
from interlock.cli.connection import Door
from interlock.cli.output import Format
from interlock.cli.profiles import Profile, load_profiles
from interlock.client import Client
from interlock.errors import NotFound, Unauthenticated
from interlock.ids import HostId, JobId, OrgId

P = ParamSpec("P")

_WHERE = (
    click.option(
        "--url",
        envvar="INTERLOCK_URL",
        show_envvar=True,
        help="The server. Default: the profile's, else http://127.0.0.1:8080.",
    ),
    click.option("--token", envvar="INTERLOCK_TOKEN", show_envvar=True, help="A user's token; best given by variable."),
    click.option(
        "--org",
        envvar="INTERLOCK_ORG",
        show_envvar=True,
        metavar="NAME|ID",
        help="The organization. Default: the profile's, else your only one.",
    ),
    click.option(
        "--profile",
        "profile_name",
        envvar="INTERLOCK_PROFILE",
        show_envvar=True,
        metavar="NAME",
        help="What `interlock login` has stored under that name.",
    ),
    click.option(
        "--request-timeout",
        type=click.FloatRange(min=0.1, max=3600),
        default=10.0,
        show_default=True,
        metavar="SECONDS",
        help="The longest silence within one request.",
    ),
)
_SHAPE = click.option(
    "-o",
    "--output",
    type=click.Choice([each.value for each in Format]),
    help="Default: table on a terminal, json otherwise.",
)


@dataclass(frozen=True, slots=True)
class Session:
    """One command's connection and the shape of its output. `door` opens others; None where tests have but a client."""

    client: Client
    org: OrgId
    output: Format
    door: Door | None = field(default=None, repr=False)
    request_seconds: float = 10.0

    def patient(self, read_seconds: float) -> Client:
        """A client of its own for requests that the server may hold for `read_seconds`; to be closed by the caller."""
        if self.door is None:
            return self.client
        return self.door.client(self.request_seconds + read_seconds)

    def host(self, text: str) -> HostId:
        """The id of the host that `text` names."""
        return names.host_id(self.client, self.org, text)

    def job(self, text: str) -> JobId:
        """The id of the job whose id is, begins or ends like `text`."""
        return names.job_id(self.client, self.org, text)

    def again(self, *job_ids: JobId) -> str:
        """The command that follows jobs, as this one was called; the token is never repeated."""
        context = click.get_current_context()
        typed = [("url", "url"), ("org", "org"), ("profile", "profile_name")]
        given = [f" --{name} {context.params[key]}" for name, key in typed if _was_typed(context, key)]
        token = " --token …" if _was_typed(context, "token") else ""
        return f"interlock jobs wait {' '.join(job_ids)}{''.join(given)}{token}"


def with_session(command: Callable[Concatenate[Session, P], None]) -> Callable[..., None]:
    """`command` with the shared options, called with the `Session` that they describe."""

    @functools.wraps(command)
    def run(
        *args: Any,
        url: str | None,
        token: str | None,
        org: str | None,
        profile_name: str | None,
        request_timeout: float,
        output: str | None,
        **rest: Any,
    ) -> None:
        profile = find_profile(profile_name)
        door = Door.choose(url, token, profile)
        shape = Format(output) if output else Format.TABLE if sys.stdout.isatty() else Format.JSON
        with door.client(request_timeout) as client:
            wanted = org or (door.profile.org if door.profile else None)
            session = Session(client, names.org_id(client, wanted), shape, door, request_timeout)
            try:
                command(session, *args, **rest)
            except Unauthenticated as error:
                if door.token is None:
                    error.add_note("sign in again with `interlock login`")
                raise

    for option in reversed((*_WHERE, _SHAPE)):
        run = option(run)
    return run


def find_profile(name: str | None) -> Profile | None:
    """The stored profile of that name; `NotFound` when one is named that is not there."""
    profiles = load_profiles()
    found = profiles.find(name)
    if name is not None and found is None:
        raise NotFound(f"There is no profile {name!r}{names.nearest(name, profiles.profiles)}")
    return found


def _was_typed(context: click.Context, name: str) -> bool:
    return context.get_parameter_source(name) is click.core.ParameterSource.COMMANDLINE
