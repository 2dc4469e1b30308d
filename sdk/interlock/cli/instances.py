"""`interlock instances`: list and create."""

import click

from interlock.cli.fleet_tables import instances_table
from interlock.cli.output import show_all, show_one
from interlock.cli.payload import read_payload
from interlock.cli.session import Session, with_session
from interlock.fleet import CreateInstance


@click.group(epilog="Example: interlock instances list")
def command() -> None:
    """Server instances: what lives on a host and jobs are about."""


@command.command("list", epilog="Example: interlock instances list --host eu-3")
@click.option("--host", metavar="NAME|ID", help="Only those that live there.")
@with_session
def list_(session: Session, host: str | None) -> None:
    """List server instances, oldest first."""
    host_id = None if host is None else session.host(host)
    found = session.client.instances.list(session.org, host_id=host_id)
    show_all(found, session.output, instances_table, "no server instances.")


@command.command(epilog="""Example: interlock instances create dust --host eu-3 --config '{"slots": 12}'""")
@click.argument("name")
@click.option("--host", required=True, metavar="NAME|ID", help="Where it lives.")
@click.option("--config", metavar="JSON|@FILE|-", help="A JSON object that is kept with it.")
@with_session
def create(session: Session, name: str, host: str, config: str | None) -> None:
    """Make a server instance on a host."""
    given = None if config is None else read_payload(config, "--config")
    wanted = CreateInstance(name=name, host_id=session.host(host), config=given)
    made = session.client.instances.create(session.org, wanted)
    show_one(made, session.output, lambda each: instances_table([each]))
