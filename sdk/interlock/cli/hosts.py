"""`interlock hosts`: list, show, queue, create, enrol, pause, drain, resume, delete."""

import time

import click
import msgspec
from msgspec import UNSET

from interlock.cli.exits import Exit
from interlock.cli.fleet_tables import enrolments_table, host_tables, hosts_table, line_tables, state_of
from interlock.cli.output import Format, say, show_all, show_one
from interlock.cli.payload import read_labels
from interlock.cli.session import Session, with_session
from interlock.fleet import CreateEnrolment, CreateHost, DrainHost, MoveInLine, PatchHost

LOOK_SECONDS = 1.0  # between two looks at a host that drains

_LABEL = click.option("--label", "labels", metavar="KEY=VALUE", multiple=True, help="A label; repeatable.")


@click.group(epilog="Example: interlock hosts list")
def command() -> None:
    """See hosts and their lines; pause, drain and enrol them."""


@command.command("list", epilog="Example: interlock hosts list --presence offline")
@click.option("--presence", metavar="STATE", help="Only these: online, offline, unreachable or never_connected.")
@click.option("--label", "labels", metavar="KEY=VALUE", multiple=True, help="Only hosts that carry it; repeatable.")
@with_session
def list_(session: Session, presence: str | None, labels: tuple[str, ...]) -> None:
    """List hosts, oldest first."""
    wanted = read_labels(labels) or {}
    found = session.client.hosts.list(session.org)
    shown = (host for host in found if presence in {None, host.presence} and wanted.items() <= host.labels.items())
    show_all(shown, session.output, hosts_table, "no hosts. `interlock hosts enrol` tells how to add one.")


@command.command(epilog="Example: interlock hosts show eu-3")
@click.argument("host")
@with_session
def show(session: Session, host: str) -> None:
    """Show a host."""
    show_one(session.client.hosts.get(session.org, session.host(host)), session.output, host_tables)


@command.command(epilog="Example: interlock hosts queue eu-3 --front JOB_ID")
@click.argument("host")
@click.option("--front", metavar="JOB", help="Put a waiting job ahead of all others.")
@click.option("--hold", metavar="JOB", help="Keep a waiting job back; others overtake it.")
@click.option("--release", metavar="JOB", help="Let a held job go again.")
@click.option("--drop", metavar="JOB", help="Cancel a waiting job.")
@with_session
def queue(
    session: Session, host: str, front: str | None, hold: str | None, release: str | None, drop: str | None
) -> None:
    """Show a host's line in its order, or move one job in it."""
    moves = {"front": front, "hold": hold, "release": release, "drop": drop}
    asked = {op: job for op, job in moves.items() if job is not None}
    if len(asked) > 1:
        raise click.UsageError("One move at a time: pass one of --front, --hold, --release and --drop.")
    host_id = session.host(host)
    if asked:
        ((op, job),) = asked.items()
        move = msgspec.convert({"op": op, "jobId": session.job(job)}, MoveInLine)
        line = session.client.hosts.move_in_line(session.org, host_id, move)
    else:
        line = session.client.hosts.queue(session.org, host_id)
    if session.output is Format.TABLE and not (line.current or line.pending or line.backoff):
        say("nothing runs and nothing waits.")
        return
    show_one(line, session.output, line_tables)


@command.command(epilog="Example: interlock hosts create eu-3 --label zone=eu")
@click.argument("name")
@click.option("--kind", type=click.Choice(["machine", "device"]), default="machine", show_default=True)
@_LABEL
@with_session
def create(session: Session, name: str, kind: str, labels: tuple[str, ...]) -> None:
    """Make a host and its agent's key, which is shown only here."""
    wanted = CreateHost(name=name, kind=kind, labels=read_labels(labels))
    made = session.client.hosts.create(session.org, wanted)
    show_one(made, session.output, host_tables)
    if session.output is Format.TABLE:
        click.echo(f"\nINTERLOCK_AGENT_KEY={made.agent_key}")
    say(f"the key is not shown again. On the host: INTERLOCK_URL={_url(session)} INTERLOCK_AGENT_KEY=… interlock agent")


@command.command(epilog="Example: interlock hosts enrol --uses 20 --label zone=eu")
@click.option("--uses", type=click.IntRange(1, 10_000), default=1, show_default=True, help="For so many machines.")
@click.option("--expires-in", type=float, default=3600.0, show_default=True, metavar="S", help="Holds so many seconds.")
@click.option("--list", "list_them", is_flag=True, help="List the enrolments there are, and make none.")
@_LABEL
@with_session
def enrol(session: Session, uses: int, expires_in: float, list_them: bool, labels: tuple[str, ...]) -> None:
    """Make a token with which machines add themselves.

    Prints what to type there.
    """
    if list_them:
        found = session.client.enrolments.list(session.org)
        show_all(found, session.output, enrolments_table, "no enrolments.")
        return
    wanted = CreateEnrolment(expires_in_seconds=expires_in, max_uses=uses, labels=read_labels(labels))
    made = session.client.enrolments.create(session.org, wanted)
    order = f"interlock agent enrol --url {_url(session)} --token {made.token}"
    if session.output is Format.TABLE:
        say(f"on each machine, until {made.expires_at}:")
        click.echo(order)
    else:
        show_one(made, session.output, lambda _: [])
        say(f"on each machine: {order}")


@command.command(epilog="Example: interlock hosts pause eu-3 --note 'new disk'")
@click.argument("host")
@click.option("--note", metavar="TEXT", help="Why; shown with every job that waits for it.")
@click.option("--until", metavar="TIME", help="Until this RFC 3339 time. Default: until `hosts resume`.")
@with_session
def pause(session: Session, host: str, note: str | None, until: str | None) -> None:
    """Let a host take nothing new; what runs, runs on."""
    change = PatchHost(
        paused=True, note=UNSET if note is None else note, paused_until=UNSET if until is None else until
    )
    show_one(session.client.hosts.patch(session.org, session.host(host), change), session.output, host_tables)


@command.command(epilog="Example: interlock hosts drain eu-3 --deadline 3600 --wait")
@click.argument("host")
@click.option("--deadline", type=float, metavar="S", help="Stop what still runs after so many seconds. Default: never.")
@click.option("--wait", "wait_", is_flag=True, help="Return once nothing runs there any more.")
@with_session
def drain(session: Session, host: str, deadline: float | None, wait_: bool) -> None:
    """Let a host end what it runs and take nothing new."""
    host_id = session.host(host)
    hosts = session.client.hosts
    shown = hosts.drain(session.org, host_id, DrainHost(deadline_seconds=deadline))
    try:
        while wait_ and shown.current_job_run_id:
            time.sleep(LOOK_SECONDS)
            shown = hosts.get(session.org, host_id)
    except KeyboardInterrupt:
        say(f"stopped waiting; the host goes on draining. `interlock hosts resume {host_id}` ends that.")
        click.get_current_context().exit(Exit.INTERRUPTED)
    show_one(shown, session.output, host_tables)


@command.command(epilog="Example: interlock hosts resume eu-3")
@click.argument("host")
@with_session
def resume(session: Session, host: str) -> None:
    """Let a paused or draining host take jobs again."""
    hosts, host_id = session.client.hosts, session.host(host)
    shown = hosts.get(session.org, host_id)
    if shown.draining:
        hosts.end_drain(session.org, host_id)
    if shown.paused or not shown.draining:
        hosts.patch(session.org, host_id, PatchHost(paused=False))
    now = hosts.get(session.org, host_id)
    say(f"{now.name} is {state_of(now)}.")
    show_one(now, session.output, host_tables)


@command.command(epilog="Example: interlock hosts delete eu-3")
@click.argument("host")
@click.option("--force", is_flag=True, help="Also while a job runs on it: that is ended.")
@with_session
def delete(session: Session, host: str, force: bool) -> None:
    """Remove a host, its keys and instances.

    What waits on it is cancelled; while a job runs on it, it takes --force.
    """
    session.client.hosts.delete(session.org, session.host(host), force=force)
    say("deleted.")


def _url(session: Session) -> str:
    return session.door.url if session.door else "…"
