"""`interlock keys`: list, create, revoke."""

import click

from interlock.cli import names
from interlock.cli.fleet_tables import keys_table
from interlock.cli.output import Format, say, show_all, show_one
from interlock.cli.session import Session, with_session
from interlock.ids import is_id


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
    found = session.client.keys.list(session.org, session.host(host))
    show_all(found, session.output, keys_table, "no keys.")


@command.command(epilog="Example: interlock keys create --host eu-3")
@_HOST
@with_session
def create(session: Session, host: str) -> None:
    """Make a second key while the first still holds."""
    made = session.client.keys.create(session.org, session.host(host))
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
    host_id = session.host(host)
    if not is_id(key):
        known = session.client.keys.list(session.org, host_id)
        key = names.pick("key", key, (names.Known(each.kid, "") for each in known))
    session.client.keys.revoke(session.org, host_id, key)
    say("revoked.")
