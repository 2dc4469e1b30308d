"""`interlock types`: list, show, set."""

import click
import msgspec

from interlock.cli import names
from interlock.cli.fleet_tables import type_tables, types_table
from interlock.cli.output import show_all, show_one
from interlock.cli.payload import read_payload
from interlock.cli.session import Session, with_session
from interlock.errors import NotFound
from interlock.fleet import PutJobType


@click.group(epilog="Example: interlock types list")
def command() -> None:
    """Job types: what payloads look like, how runs are tried again."""


@command.command("list", epilog="Example: interlock types list")
@with_session
def list_(session: Session) -> None:
    """List job types by name."""
    show_all(session.client.job_types.list(session.org), session.output, types_table, "no job types.")


@command.command(epilog="Example: interlock types show SERVER_START -o json")
@click.argument("type_", metavar="TYPE")
@with_session
def show(session: Session, type_: str) -> None:
    """Show a job type with its schema."""
    try:
        found = session.client.job_types.get(session.org, type_)
    except NotFound as error:
        known = [each.type for each in session.client.job_types.list(session.org)]
        raise NotFound(f"There is no job type {type_!r}{names.nearest(type_, known)}") from error
    show_one(found, session.output, type_tables)


@command.command("set", epilog="Example: interlock types set crawl --schema @crawl.json --timeout 120 --attempts 5")
@click.argument("type_", metavar="TYPE")
@click.option("--schema", metavar="JSON|@FILE|-", help="JSON Schema of its payload.")
@click.option("--timeout", type=float, metavar="S", help="Stop an attempt after so many seconds.")
@click.option("--attempts", type=int, metavar="N", help="Give up after so many attempts.")
@click.option("--while-backing-off", type=click.Choice(["overtake", "hold"]), help="What other jobs of the host do.")
@click.option("--on-lost", type=click.Choice(["retry", "fail"]), help="What becomes of a run with an unknown outcome.")
@click.option("--from", "document", metavar="JSON|@FILE|-", help="The whole type, as `types show -o json` prints it.")
@with_session
def set_(
    session: Session,
    type_: str,
    schema: str | None,
    timeout: float | None,
    attempts: int | None,
    while_backing_off: str | None,
    on_lost: str | None,
    document: str | None,
) -> None:
    """Make a job type, or change one: what is not given stays as it is."""
    given = {
        "schema": None if schema is None else read_payload(schema, "--schema"),
        "timeoutSeconds": timeout,
        "maxAttempts": attempts,
        "whileBackingOff": while_backing_off,
        "onLost": on_lost,
    }
    changed = {name: value for name, value in given.items() if value is not None}
    base = _now(session, type_) if document is None else read_payload(document, "--from")
    try:
        wanted = msgspec.convert(base | changed, PutJobType)
    except msgspec.ValidationError as error:
        raise click.BadParameter(f"this is no job type ({error})", param_hint="--from") from error
    show_one(session.client.job_types.put(session.org, type_, wanted), session.output, type_tables)


def _now(session: Session, type_: str) -> dict[str, object]:
    """The type as it stands, its version included, so that nobody else's change is lost; empty for a new one."""
    try:
        known = session.client.job_types.get(session.org, type_)
    except NotFound:
        return {}
    document: dict[str, object] = msgspec.to_builtins(known)
    return {name: document[name] for name in document if name in PutJobType.__struct_encode_fields__}
