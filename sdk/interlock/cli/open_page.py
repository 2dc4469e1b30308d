"""`interlock open`: a page of the dashboard in the browser."""

import os
import sys
from urllib.parse import quote

import click

from interlock.cli.session import Session, with_session

_LISTS = ("overview", "jobs", "hosts", "instances", "types", "settings", "members", "audit")


@click.command(epilog="Example: interlock open jobs JOB_ID")
@click.argument("page", type=click.Choice(_LISTS), default="overview")
@click.argument("thing", required=False)
@click.option("--print", "only_print", is_flag=True, help="Print the address alone.")
@with_session
def command(session: Session, page: str, thing: str | None, only_print: bool) -> None:
    """Open a page of the dashboard in the browser.

    Its address is printed. THING is a job, a host or a type, for the pages that show one.
    """
    parts = [page]
    if thing is not None:
        parts.append(_known(session, page, thing))
    base = session.door.url.rstrip("/") if session.door else ""
    address = f"{base}/app/orgs/{session.org}/{'/'.join(quote(part, safe='') for part in parts)}"
    click.echo(address)
    if not only_print and has_screen():
        click.launch(address)


def _known(session: Session, page: str, thing: str) -> str:
    if page == "jobs":
        return session.job(thing)
    if page == "hosts":
        return session.host(thing)
    if page == "types":
        return thing
    raise click.UsageError(f"The page {page} takes nothing more.")


def has_screen() -> bool:
    """Whether a browser can be opened here: not over SSH or in a container, where one in text would take the terminal."""
    return sys.platform == "darwin" or bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))
