"""`interlock jobs`: create, list, show, wait, cancel, retry, resolve."""

import itertools
from typing import NoReturn

import click

from interlock.cli.exits import Exit
from interlock.cli.output import say, show_job, show_jobs
from interlock.cli.payload import read_labels, read_payload
from interlock.cli.session import Session, with_session
from interlock.cli.waiting import Waiting
from interlock.client import JobFilter
from interlock.errors import TryLater
from interlock.ids import JobId, UuidIds
from interlock.states import JobStatus
from interlock.wire import CreateJob, Job

_LARGEST_PAGE = 200


@click.group(epilog="Example: interlock jobs create SERVER_START --instance ID --wait")
def command() -> None:
    """Create jobs and see what becomes of them."""


@command.command(epilog="""Example: interlock jobs create SERVER_START --instance ID --payload '{"map": "de_dust2"}'""")
@click.argument("type_", metavar="TYPE")
@click.option("--instance", metavar="ID", help="Run it on this server instance's host.")
@click.option("--host", metavar="ID", help="Run it on this host.")
@click.option(
    "--label", "labels", metavar="KEY=VALUE", multiple=True, help="Run it on a host with this label; repeatable."
)
@click.option("--payload", metavar="JSON|@FILE|-", help="A JSON object, a file of it, or stdin.")
@click.option("--run-at", metavar="TIME", help="Not before this RFC 3339 time.")
@click.option("--timeout-seconds", type=float, metavar="S", help="Stop an attempt after this long.")
@click.option("--max-attempts", type=int, metavar="N", help="Give up after this many attempts.")
@click.option("--priority", type=int, default=0, show_default=True, help="Higher goes first on its host.")
@click.option("--idempotency-key", metavar="KEY", help="The same key and command again create nothing new.")
@click.option("--wait", "wait_", is_flag=True, help="Follow it to its end and exit with its outcome.")
@click.option("--timeout", type=click.FloatRange(min=0), metavar="S", help="With --wait: stop waiting after this long.")
@with_session
def create(
    session: Session,
    type_: str,
    instance: str | None,
    host: str | None,
    labels: tuple[str, ...],
    payload: str | None,
    run_at: str | None,
    timeout_seconds: float | None,
    max_attempts: int | None,
    priority: int,
    idempotency_key: str | None,
    wait_: bool,
    timeout: float | None,
) -> None:
    """Create a job."""
    if instance and host:
        raise click.UsageError("Pass --instance or --host, not both: an instance already names its host.")
    if labels and (instance or host):
        raise click.UsageError("--label is for jobs that any host may take: pass it without --instance and --host.")
    if timeout is not None and not wait_:
        raise click.UsageError("--timeout ends the waiting of --wait; a job's own limit is --timeout-seconds.")
    job = CreateJob(
        type=type_,
        server_instance_id=instance,
        host_id=host,
        labels=read_labels(labels),
        payload=None if payload is None else read_payload(payload),
        run_at=run_at,
        timeout_seconds=timeout_seconds,
        max_attempts=max_attempts,
        priority=priority,
    )
    created = _create(session, job, idempotency_key or UuidIds().new())
    if wait_:
        _follow(session, created.id, timeout)
    show_job(created, session.output)


def _create(session: Session, job: CreateJob, key: str) -> Job:
    again = f"whether the job was created is not known; --idempotency-key {key} makes a repeat harmless."
    try:
        return session.client.create_job(session.org, job, idempotency_key=key)
    except TryLater:
        say(again)
        raise
    except KeyboardInterrupt:
        say(f"interrupted: {again}")
        click.get_current_context().exit(Exit.INTERRUPTED)


@command.command("list", epilog="Example: interlock jobs list --status FAILED --limit 10")
@click.option("--status", type=click.Choice([each.value for each in JobStatus], case_sensitive=False))
@click.option("--type", "type_", metavar="TYPE")
@click.option("--host", metavar="ID")
@click.option("--created-by", metavar="ID", help="Of this user.")
@click.option("--since", metavar="TIME", help="Created at or after this RFC 3339 time.")
@click.option("--search", metavar="TEXT")
@click.option("--limit", type=click.IntRange(min=1), default=50, show_default=True, help="At most this many.")
@click.option("--all", "all_", is_flag=True, help="Without that limit.")
@with_session
def list_(
    session: Session,
    status: str | None,
    type_: str | None,
    host: str | None,
    created_by: str | None,
    since: str | None,
    search: str | None,
    limit: int,
    all_: bool,
) -> None:
    """List jobs, newest first."""
    shown = JobFilter(status=status, type=type_, host_id=host, created_by=created_by, since=since, q=search)
    page_size = _LARGEST_PAGE if all_ else min(limit, _LARGEST_PAGE)
    jobs = session.client.jobs(session.org, shown, page_size=page_size)
    show_jobs(jobs if all_ else itertools.islice(jobs, limit), session.output)


@command.command(epilog="Example: interlock jobs show JOB_ID -o json")
@click.argument("job_id")
@with_session
def show(session: Session, job_id: JobId) -> None:
    """Show a job and all its runs."""
    show_job(session.client.job(session.org, job_id), session.output)


@command.command(epilog="Example: interlock jobs wait JOB_ID --timeout 60")
@click.argument("job_id")
@click.option("--timeout", type=click.FloatRange(min=0), metavar="S", help="Stop waiting after this many seconds.")
@with_session
def wait(session: Session, job_id: JobId, timeout: float | None) -> None:
    """Wait for a job to end and exit with its outcome."""
    _follow(session, job_id, timeout)


def _follow(session: Session, job_id: JobId, timeout_seconds: float | None) -> NoReturn:
    context = click.get_current_context()
    try:
        job, code = Waiting(session, timeout_seconds).until_done(job_id)
    except KeyboardInterrupt:
        say(f"stopped waiting; the job goes on. Follow it again with:\n  {session.again(job_id)}")
        context.exit(Exit.INTERRUPTED)
    if job is not None:
        show_job(job, session.output)
    if code is Exit.TIMED_OUT:
        say(f"timed out after {timeout_seconds:g} s; the job goes on. Follow it again with:\n  {session.again(job_id)}")
    context.exit(code)


@command.command(epilog="Example: interlock jobs cancel JOB_ID --reason 'wrong map'")
@click.argument("job_id")
@click.option("--reason", metavar="TEXT", help="Kept with the job.")
@click.option("--force", is_flag=True, help="Do not wait for the agent to stop it.")
@with_session
def cancel(session: Session, job_id: JobId, reason: str | None, force: bool) -> None:
    """Cancel a job."""
    job = session.client.cancel_job(session.org, job_id, reason=reason, force=force)
    if job.status == JobStatus.CANCELLED:
        say("cancelled.")
    else:
        say("its agent has been asked to stop it.")
    show_job(job, session.output)


@command.command(epilog="Example: interlock jobs retry JOB_ID")
@click.argument("job_id")
@with_session
def retry(session: Session, job_id: JobId) -> None:
    """Run a failed or cancelled job again."""
    show_job(session.client.retry_job(session.org, job_id), session.output)


@command.command(epilog="Example: interlock jobs resolve JOB_ID")
@click.argument("job_id")
@with_session
def resolve(session: Session, job_id: JobId) -> None:
    """Tell a job that its user has done what it waits for."""
    show_job(session.client.resolve_job(session.org, job_id), session.output)
