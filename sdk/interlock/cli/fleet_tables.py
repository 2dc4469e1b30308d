"""Hosts and what belongs to them, for a person."""

from collections.abc import Sequence

from interlock.cli.tables import Table, age, in_json, labels
from interlock.clock import SystemClock
from interlock.fleet import AgentKey, AuditLine, Enrolment, Host, JobType, ServerInstance
from interlock.operating import HostLine, RunInLine


def hosts_table(hosts: Sequence[Host]) -> list[Table]:
    """A line for each host."""
    now = SystemClock().now()
    headers = ("NAME", "PRESENCE", "STATE", "WAITING", "RUNNING", "SEEN", "ID", "LABELS")
    rows = [
        (
            host.name,
            host.presence,
            state_of(host),
            str(host.pending_count),
            "yes" if host.current_job_run_id else "",
            age(host.last_seen_at, now) if host.last_seen_at else "never",
            host.id,
            labels(host.labels),
        )
        for host in hosts
    ]
    return [Table(headers, rows, spare=("SEEN", "RUNNING"))]


def host_tables(host: Host) -> list[Table]:
    """A host's fields that say something."""
    fields = [
        ("host", host.id),
        ("name", host.name),
        ("kind", host.kind),
        ("labels", labels(host.labels)),
        ("presence", host.presence),
        ("health", host.health),
        ("state", state_of(host)),
        ("note", host.note or ""),
        ("paused until", host.paused_until or ""),
        ("drains until", host.drain_until or ""),
        ("seen", host.last_seen_at or "never"),
        ("waiting", str(host.pending_count)),
        ("runs now", host.current_job_run_id or ""),
        ("created", host.created_at),
    ]
    return [Table(("FIELD", "VALUE"), [field for field in fields if field[1]], whole=True)]


def state_of(host: Host) -> str:
    """What keeps a host from taking jobs, if anything does."""
    words = ["unhealthy"] if host.health != "ok" else []
    words += ["paused"] if host.paused else []
    words += ["draining"] if host.draining else []
    return ", ".join(words) or "ready"


def line_tables(line: HostLine) -> list[Table]:
    """What runs, what waits in its order, and what waits for its time."""
    now = SystemClock().now()
    rows = [("now", *_run(run, now)) for run in ([line.current] if line.current else [])]
    rows += [(str(place), *_run(run, now)) for place, run in enumerate(line.pending, 1)]
    rows += [("later", *_run(run, now)) for run in line.backoff]
    return [Table(("PLACE", "JOB", "TYPE", "STATUS", "TRY", "AGE", "NOTE"), rows)]


def keys_table(keys: Sequence[AgentKey]) -> list[Table]:
    """A line for each key."""
    rows = [(key.kid, "revoked" if key.revoked_at else "holds", key.created_at, key.revoked_at or "") for key in keys]
    return [Table(("KEY", "STATE", "CREATED", "REVOKED"), rows)]


def instances_table(instances: Sequence[ServerInstance]) -> list[Table]:
    """A line for each server instance."""
    rows = [(each.name, each.id, each.host_id, in_json(each.config)) for each in instances]
    return [Table(("NAME", "ID", "HOST", "CONFIG"), rows)]


def types_table(types: Sequence[JobType]) -> list[Table]:
    """A line for each job type."""
    headers = ("TYPE", "TIMEOUT", "ATTEMPTS", "BACKING OFF", "ON LOST", "VERSION", "KIND")
    rows = [
        (
            each.type,
            f"{each.timeout_seconds:g}s",
            str(each.max_attempts),
            each.while_backing_off,
            each.on_lost,
            str(each.version),
            "built in" if each.built_in else "own",
        )
        for each in types
    ]
    return [Table(headers, rows)]


def type_tables(each: JobType) -> list[Table]:
    """A job type in full."""
    wait = each.backoff
    fields = [
        ("type", each.type),
        ("kind", "built in" if each.built_in else "own"),
        ("version", str(each.version)),
        ("timeout", f"{each.timeout_seconds:g} s"),
        ("attempts", str(each.max_attempts)),
        ("backoff", f"{wait.base_seconds:g} s, times {wait.factor:g} each time, up to {wait.cap_seconds:g} s"),
        ("backing off", f"other jobs {'overtake it' if each.while_backing_off == 'overtake' else 'wait behind it'}"),
        ("on lost", each.on_lost),
        ("schema", in_json(each.schema)),
    ]
    return [Table(("FIELD", "VALUE"), fields, whole=True)]


def enrolments_table(enrolments: Sequence[Enrolment]) -> list[Table]:
    """A line for each enrolment."""
    rows = [(each.id, f"{each.uses}/{each.max_uses}", each.expires_at, labels(each.labels)) for each in enrolments]
    return [Table(("ENROLMENT", "USED", "EXPIRES", "LABELS"), rows)]


def audit_table(lines: Sequence[AuditLine]) -> list[Table]:
    """A line for each entry of the audit trail."""
    rows = [
        (
            line.at,
            f"{line.actor_kind} {line.actor_id or ''}".rstrip(),
            line.action,
            f"{line.target_kind} {line.target_id or ''}".rstrip(),
            in_json(line.detail),
        )
        for line in lines
    ]
    return [Table(("AT", "WHO", "ACTION", "TARGET", "DETAIL"), rows)]


def _run(run: RunInLine, now: int) -> tuple[str, ...]:
    words = ["held"] if run.held else []
    words += ["moved to the front"] if run.front else []
    words += [f"priority {run.priority}"] if run.priority else []
    words += [f"not before {run.available_at}"] if run.available_at and run.status == "scheduled" else []
    return (run.job_id, run.type, run.status, str(run.attempt), age(run.created_at, now), ", ".join(words))
