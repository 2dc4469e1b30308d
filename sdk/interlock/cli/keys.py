"""`interlock keys`: list, create, revoke."""

import click

from interlock.cli.fleet_tables import keys_table
from interlock.cli.output import Format, say, show_all, show_one
from interlock.cli.rest import call, delete, path
from interlock.cli.session import Session, with_session
from interlock.fleet import KeyPage, NewKey


@click.group(epilog="Example: interlock keys list --host eu-3")
def command() -> None:
    """Agent keys of a host: list, create and revoke them."""


_HOST = click.option("--host", required=True, metavar="NAME|ID", help="Whose keys.")


@command.command("list", epilog="Example: interlock keys list --host eu-3")
@_HOST
@with_session
def list_(session: Session, host: str) -> None:
    """List a host's keys, oldest first.

    The keys themselves are shown once, when they are made.
    """
    found = call(session.client, KeyPage, "GET", _where(session, host))
    show_all(found.items, session.output, keys_table, "no keys.")


@command.command(epilog="Example: interlock keys create --host eu-3")
@_HOST
@with_session
def create(session: Session, host: str) -> None:
    """Make a second key while the first still holds."""
    made = call(session.client, NewKey, "POST", _where(session, host))
    show_one(made, session.output, lambda key: keys_table([key]))
    if session.output is Format.TABLE:
        click.echo(f"\nINTERLOCK_AGENT_KEY={made.agent_key}")
    say("the key is not shown again. Once the agent uses it, revoke the older one with `interlock keys revoke`.")


@command.command(epilog="Example: interlock keys revoke KEY --host eu-3")
@click.argument("key")
@_HOST
@with_session
def revoke(session: Session, key: str, host: str) -> None:
    """Revoke a key: its sockets and polls end at once."""
    delete(session.client, path("orgs", session.org, "hosts", session.host(host), "keys", key))
    say("revoked.")


def _where(session: Session, host: str) -> str:
    return path("orgs", session.org, "hosts", session.host(host), "keys")
