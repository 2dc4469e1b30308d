"""`interlock audit`: the organization's audit trail."""

from itertools import islice

import click

from interlock.cli.fleet_tables import audit_table
from interlock.cli.output import show_all
from interlock.cli.session import Session, with_session
from interlock.client.calls import every
from interlock.client.fleet import PAGE
from interlock.fleet import AuditPage


@click.command(epilog="Example: interlock audit --action host.update --limit 20")
@click.option("--action", metavar="NAME", help="Only this action, such as host.update.")
@click.option("--actor", metavar="ID", help="Only what this user or agent did.")
@click.option("--target", metavar="ID", help="Only what was done to this.")
@click.option("--limit", type=click.IntRange(min=1), default=50, show_default=True, help="At most this many.")
@click.option("--all", "all_", is_flag=True, help="Without that limit.")
@with_session
def command(
    session: Session, action: str | None, actor: str | None, target: str | None, limit: int, all_: bool
) -> None:
    """Who did what, newest first."""
    size = PAGE if all_ else min(limit, PAGE)

    def page(cursor: str | None) -> AuditPage:
        return session.client.orgs.audit_page(
            session.org, action=action, actor_id=actor, target_id=target, limit=size, cursor=cursor
        )

    found = every(page)
    show_all(found if all_ else islice(found, limit), session.output, audit_table, "nothing.")
