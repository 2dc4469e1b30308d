"""`interlock jobs`: create, list, show, wait, logs, cancel, retry, resolve."""

import itertools
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

import click
import msgspec

from interlock.cli import names
from interlock.cli.exits import Exit
from interlock.cli.job_logs import logs
from interlock.cli.output import say, show_job, show_jobs
from interlock.cli.payload import read_labels, read_payload
from interlock.cli.session import Session, with_session
from interlock.client import JobFilter
from interlock.errors import InterlockError, InvalidRequest, PayloadSchema, TryLater
from interlock.ids import JobId, UuidIds
from interlock.job_sort import JobSort
from interlock.states import JobStatus
from interlock.wire import CreateJob, Job

_LARGEST_PAGE = 200
_OPTIONS = {  # by the field of the request that they give
    "serverInstanceId": "--instance",
    "hostId": "--host",
    "labels": "--label",
    "payload": "--payload",
    "runAt": "--run-at",
    "startBefore": "--start-before",
    "timeoutSeconds": "--timeout-seconds",
    "maxAttempts": "--max-attempts",
    "priority": "--priority",
}
_MOST_NAMED = 20  # jobs in a command that is printed to be typed again


@click.group(epilog="Example: interlock jobs create SERVER_START --instance ID --wait")
def command() -> None:
    """Create jobs and see what becomes of them.

    A job goes by its id, or by the first or the last eight characters of it.
    """


command.add_command(logs)


@command.command(epilog="""Example: interlock jobs create SERVER_START --instance ID --payload '{"map": "de_dust2"}'""")
@click.argument("type_", metavar="TYPE", required=False)
@click.option("--instance", metavar="NAME|ID", help="Run it on this server instance's host.")
@click.option("--host", metavar="NAME|ID", help="Run it on this host.")
@click.option(
    "--label", "labels", metavar="KEY=VALUE", multiple=True, help="Run it on a host with this label; repeatable."
)
@click.option("--payload", metavar="JSON|@FILE|-", help="A JSON object, a file of it, or stdin.")
@click.option("--run-at", metavar="TIME", help="Not before this RFC 3339 time.")
@click.option("--start-before", metavar="TIME", help="Give it up if it has not begun by this RFC 3339 time.")
@click.option("--timeout-seconds", type=float, metavar="S", help="Stop an attempt after this long.")
@click.option("--max-attempts", type=int, metavar="N", help="Give up after this many attempts.")
@click.option("--priority", type=int, default=0, show_default=True, help="Higher goes first on its host.")
@click.option("--idempotency-key", metavar="KEY", help="The same key and command again create nothing new.")
@click.option("--from", "source", metavar="FILE|-", help="Create one job for each line of a file: a JSON object each.")
@click.option(
    "--state",
    type=click.Path(dir_okay=False, path_type=Path),
    help="With --from: where to keep what was created. Default: FILE.state.",
)
@click.option("--wait", "wait_", is_flag=True, help="Follow it to its end and exit with its outcome.")
@click.option("--timeout", type=click.FloatRange(min=0), metavar="S", help="With --wait: stop waiting after this long.")
@with_session
def create(
    session: Session, /, source: str | None, state: Path | None, wait_: bool, timeout: float | None, **given: Any
) -> None:
    """Create a job, or with --from as many as a file has lines.

    With --from, TYPE and the other options count for lines that do not say it themselves.
    """
    _check(source, state, wait_, timeout, given)
    key = given.pop("idempotency_key")
    job = _wanted(session, **given)
    if source is not None:
        from interlock.cli.bulk_create import create_from  # noqa: PLC0415 - a single job does without

        fields = msgspec.to_builtins(job)
        made, code = create_from(session, source, state, {name: fields[name] for name in fields if _says(fields[name])})
        if wait_ and made and code is Exit.OK:
            _follow(session, made, timeout)
        click.get_current_context().exit(code)
    created = _create(session, job, key or UuidIds().new())
    if wait_:
        _follow(session, [created.id], timeout)
    show_job(created, session.output)


def _check(source: str | None, state: Path | None, wait_: bool, timeout: float | None, given: dict[str, Any]) -> None:
    """Usage errors for options that do not go together."""
    if source is None and given["type_"] is None:
        raise click.UsageError("Missing argument 'TYPE': `interlock types list` shows which there are.")
    if source is None and state is not None:
        raise click.UsageError("--state goes with --from.")
    if source is not None and given["idempotency_key"]:
        raise click.UsageError("--from makes keys of its own; its --state is what makes a repeat harmless.")
    if given["instance"] and given["host"]:
        raise click.UsageError("Pass --instance or --host, not both: an instance already names its host.")
    if given["labels"] and (given["instance"] or given["host"]):
        raise click.UsageError("--label is for jobs that any host may take: pass it without --instance and --host.")
    if timeout is not None and not wait_:
        raise click.UsageError("--timeout ends the waiting of --wait; a job's own limit is --timeout-seconds.")


def _wanted(
    session: Session, type_: str | None, payload: str | None, labels: tuple[str, ...], **given: Any
) -> CreateJob:
    read = None if payload is None else read_payload(payload)
    chosen = read_labels(labels)
    instance, host = given.pop("instance"), given.pop("host")
    return CreateJob(
        type=type_ or "",
        server_instance_id=None if instance is None else names.instance_id(session.client, session.org, instance),
        host_id=None if host is None else session.host(host),
        labels=chosen,
        payload=read,
        **given,
    )


def _says(value: object) -> bool:
    """Whether an option of the command was used, so that it counts for the lines of a file."""
    return value not in (None, "", 0)


def _create(session: Session, job: CreateJob, key: str) -> Job:
    again = f"whether the job was created is not known; --idempotency-key {key} makes a repeat harmless."
    try:
        return session.client.jobs.create(session.org, job, idempotency_key=key)
    except InvalidRequest as error:
        options = _options_of(error)
        if options:
            error.add_note(f"here {', '.join(options)}")
        if isinstance(error, PayloadSchema):
            _hint(session, job.type, error)
        raise
    except TryLater:
        say(again)
        raise
    except KeyboardInterrupt:
        say(f"interrupted: {again}")
        click.get_current_context().exit(Exit.INTERRUPTED)


def _options_of(error: InvalidRequest) -> list[str]:
    """The options that give the fields which a refusal names by their JSON paths, or in words for the whole request."""
    mistakes = error.errors or [{"path": error.detail.partition(":")[0], "message": error.detail}]
    named: set[str] = set()
    for each in mistakes:
        path = each.get("path", "$")
        named.update(re.findall(r"\w+", each.get("message", "")) if path == "$" else re.findall(r"\w+", path)[:1])
    return [option for field, option in _OPTIONS.items() if field in named]


def _hint(session: Session, type_: str, error: PayloadSchema) -> None:
    """Say which type may have been meant, when there is none of that name."""
    try:
        known = [each.type for each in session.client.job_types.list(session.org)]
    except InterlockError:  # the refusal itself is what counts
        return
    if type_ not in known:
        meant = names.nearest(type_, known).removeprefix(". Did you mean ").rstrip("?")
        error.add_note(f"did you mean {meant}?" if meant else "`interlock types list` shows which there are")


@command.command("list", epilog="Example: interlock jobs list --status FAILED --limit 10")
@click.option(
    "--status", type=click.Choice([each.value for each in JobStatus], case_sensitive=False), help="In this state."
)
@click.option("--type", "type_", metavar="TYPE", help="Of this type.")
@click.option("--host", metavar="NAME|ID", help="On this host.")
@click.option("--created-by", metavar="ID", help="Of this user.")
@click.option("--since", metavar="TIME", help="Created at or after this RFC 3339 time.")
@click.option("--search", metavar="TEXT", help="With this in its type or payload, or this id.")
@click.option(
    "--sort",
    type=click.Choice([each.value for each in JobSort], case_sensitive=False),
    help="By this; `-` turns it round.",
)
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
    sort: str | None,
    limit: int,
    all_: bool,
) -> None:
    """List jobs, newest first unless sorted otherwise."""
    host_id = None if host is None else session.host(host)
    order = None if sort is None else JobSort(sort)
    shown = JobFilter(
        status=status, type=type_, host_id=host_id, created_by=created_by, since=since, q=search, sort=order
    )
    page_size = _LARGEST_PAGE if all_ else min(limit, _LARGEST_PAGE)
    jobs = session.client.jobs.list(session.org, shown, page_size=page_size)
    show_jobs(jobs if all_ else itertools.islice(jobs, limit), session.output)


@command.command(epilog="Example: interlock jobs show JOB_ID -o json")
@click.argument("job_id")
@with_session
def show(session: Session, job_id: JobId) -> None:
    """Show a job and all its runs."""
    show_job(session.client.jobs.get(session.org, session.job(job_id)), session.output)


@command.command(epilog="Example: interlock jobs wait JOB_ID JOB_ID --timeout 60")
@click.argument("job_ids", metavar="JOB_ID...", nargs=-1, required=True)
@click.option("--timeout", type=click.FloatRange(min=0), metavar="S", help="Stop waiting after this many seconds.")
@with_session
def wait(session: Session, job_ids: tuple[str, ...], timeout: float | None) -> None:
    """Wait for jobs to end and exit with the worst outcome."""
    _follow(session, list(dict.fromkeys(session.job(each) for each in job_ids)), timeout)


def _follow(session: Session, job_ids: Sequence[JobId], timeout_seconds: float | None) -> NoReturn:
    from interlock.cli.progress import display  # noqa: PLC0415 - what only waiting needs
    from interlock.cli.waiting import Waiting  # noqa: PLC0415

    context = click.get_current_context()
    go_on = "the job goes on. Follow it" if len(job_ids) == 1 else "the jobs go on. Follow them"
    again = session.again(*job_ids[:_MOST_NAMED]) + (" …" if len(job_ids) > _MOST_NAMED else "")
    try:
        with display(len(job_ids)) as shown:
            jobs, code = Waiting(session, timeout_seconds, display=shown).until_done(job_ids)
    except KeyboardInterrupt:
        say(f"stopped waiting; {go_on} again with:\n  {again}")
        context.exit(Exit.INTERRUPTED)
    if len(job_ids) > 1:
        show_jobs(jobs, session.output)
    elif jobs:
        show_job(jobs[0], session.output)
    if code is Exit.TIMED_OUT:
        say(f"timed out after {timeout_seconds:g} s; {go_on} again with:\n  {again}")
    context.exit(code)


@command.command(epilog="Example: interlock jobs cancel JOB_ID --reason 'wrong map'")
@click.argument("job_id")
@click.option("--reason", metavar="TEXT", help="Kept with the job.")
@click.option("--force", is_flag=True, help="Do not wait for the agent to stop it.")
@with_session
def cancel(session: Session, job_id: JobId, reason: str | None, force: bool) -> None:
    """Cancel a job."""
    job = session.client.jobs.cancel(session.org, session.job(job_id), reason=reason, force=force)
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
    show_job(session.client.jobs.retry(session.org, session.job(job_id)), session.output)


@command.command(epilog="Example: interlock jobs resolve JOB_ID")
@click.argument("job_id")
@with_session
def resolve(session: Session, job_id: JobId) -> None:
    """Tell a job that its user has done what it waits for."""
    show_job(session.client.jobs.resolve(session.org, session.job(job_id)), session.output)
