"""Tables and indexes, nothing else. Every time is a BIGINT of ms since 1970, every JSON value is text: so both
databases keep them to the letter and sort them alike. The models carry no database: each query is given one.
"""

from functools import reduce
from operator import or_
from typing import Any

from peewee import SQL, BigIntegerField, BooleanField, CharField, IntegerField, Model, TextField

from interlock.states import LIVE, RunStatus


def _id(**options: Any) -> Any:
    return CharField(max_length=36, **options)


def _at(**options: Any) -> Any:
    return BigIntegerField(**options)


def _one_of(statuses: frozenset[RunStatus]) -> str:
    """A condition as SQL text, in a stable order: a partial index is only used by a query that repeats its condition in
    literals. An OR of them, since for `IN` SQLite builds a table of the list at each row that is written: 5 to 10 µs.
    """
    return " OR ".join(f"status = '{status}'" for status in sorted(statuses))


class Organization(Model):
    """A tenant."""

    id = _id(primary_key=True)
    name = CharField(max_length=200)
    created_at = _at()

    class Meta:
        table_name = "organization"


class User(Model):
    """A person; what they may do in an org is in `Membership`."""

    id = _id(primary_key=True)
    email = CharField(max_length=320, unique=True)
    name = CharField(max_length=200)
    platform_admin = BooleanField(default=False)
    created_at = _at()
    password_hash = CharField(max_length=200, null=True)  # of argon2; without one nobody signs in with a password

    class Meta:
        table_name = "app_user"  # "user" is a reserved word in PostgreSQL


class Membership(Model):
    """A user's role in an org: viewer, operator, admin or owner."""

    id = _id(primary_key=True)
    org_id = _id()
    user_id = _id(index=True)
    role = CharField(max_length=20)
    created_at = _at()

    class Meta:
        table_name = "membership"
        indexes = ((("org_id", "user_id"), True),)


class BrowserSession(Model):
    """A person who is signed in at a browser. Of the cookie only the SHA-256 of its secret half is here."""

    id = _id(primary_key=True)
    user_id = _id(index=True)
    secret_hash = CharField(max_length=64)
    created_at = _at()
    last_seen_at = _at()  # give or take a minute
    expires_at = _at()  # however busy it is
    address = CharField(max_length=100, null=True)
    user_agent = CharField(max_length=300, null=True)

    class Meta:
        table_name = "browser_session"


class SocketTicket(Model):
    """What a browser shows at a socket, once: the SHA-256 of it."""

    ticket_hash = CharField(max_length=64, primary_key=True)
    session_id = _id()
    expires_at = _at(index=True)

    class Meta:
        table_name = "socket_ticket"


class DeviceLogin(Model):
    """A command line that asks to be let in: the SHA-256 of what it holds, and of what a person types."""

    id = _id(primary_key=True)
    device_hash = CharField(max_length=64, unique=True)
    user_code_hash = CharField(max_length=64, unique=True)
    name = CharField(max_length=100)  # as the command line calls itself
    address = CharField(max_length=100, null=True)
    status = CharField(max_length=10)  # waiting, allowed or denied
    user_id = _id(null=True)  # who has answered
    created_at = _at()
    expires_at = _at(index=True)

    class Meta:
        table_name = "device_login"


class SetupToken(Model):
    """The door of the first set-up: the SHA-256 of what opens it. One row at most; none once an account exists."""

    token_hash = CharField(max_length=64, primary_key=True)
    expires_at = _at()

    class Meta:
        table_name = "setup_token"


class Node(Model):
    """A server process of a cluster, for as long as it renews this row; its id is never used again."""

    id = CharField(max_length=100, primary_key=True)
    url = CharField(max_length=300)  # where other nodes reach it
    started_at = _at()
    expires_at = _at(index=True)  # on the database's clock

    class Meta:
        table_name = "node"


class SharedSecret(Model):
    """What all nodes of a cluster must know alike, such as the key that signs credentials."""

    name = CharField(max_length=50, primary_key=True)
    secret = CharField(max_length=200)

    class Meta:
        table_name = "shared_secret"


class Host(Model):
    """A machine or device that runs one job at a time; the fence is on this row."""

    id = _id(primary_key=True)
    org_id = _id(index=True)
    name = CharField(max_length=200)
    kind = CharField(max_length=20)
    labels = TextField()
    created_at = _at()
    owner = CharField(max_length=100, null=True)
    epoch = BigIntegerField()
    next_seq = BigIntegerField()
    rev = BigIntegerField()
    paused = BooleanField()
    paused_by = _id(null=True)
    note = TextField(null=True)
    paused_until = _at(null=True)
    draining = BooleanField()
    drain_until = _at(null=True)
    run_no = BigIntegerField()
    instance_id = CharField(max_length=200, null=True)
    declares = BooleanField()
    awaiting_idle = BooleanField()
    unhealthy = CharField(max_length=200, null=True)
    last_seen_at = _at(null=True)
    delivered_at = _at(null=True)

    class Meta:
        table_name = "host"


class AgentKey(Model):
    """An agent's credential; the JWT itself is never stored, only its `kid`."""

    kid = _id(primary_key=True)
    org_id = _id()
    host_id = _id(index=True)
    created_at = _at()
    revoked_at = _at(null=True)

    class Meta:
        table_name = "agent_key"


class Enrolment(Model):
    """A token with which machines make themselves hosts, up to `max_uses` of them; only its SHA-256 (hex) is stored."""

    id = _id(primary_key=True)
    org_id = _id()
    token_hash = CharField(max_length=64, unique=True)
    labels = TextField()
    max_uses = IntegerField()
    uses = IntegerField()
    expires_at = _at()
    created_at = _at()
    created_by_id = _id(null=True)

    class Meta:
        table_name = "enrolment"
        indexes = ((("org_id", "id"), False),)


class ServerInstance(Model):
    """What lives on a host and jobs are about, such as one game server."""

    id = _id(primary_key=True)
    org_id = _id(index=True)
    host_id = _id(index=True)
    name = CharField(max_length=200)
    config = TextField()
    created_at = _at()

    class Meta:
        table_name = "server_instance"


class JobType(Model):
    """An org's own job type, or its own settings of a built-in one. JSON text in `definition`."""

    id = _id(primary_key=True)
    org_id = _id()
    name = CharField(max_length=100)
    version = IntegerField()
    definition = TextField()
    created_at = _at()

    class Meta:
        table_name = "job_type"
        indexes = ((("org_id", "name"), True),)


class Job(Model):
    """What a user asked for. `status` is derived from the runs and kept for lists."""

    id = _id(primary_key=True)
    org_id = _id()
    host_id = _id(null=True)
    server_instance_id = _id(null=True)
    type = CharField(max_length=100)
    created_by_id = _id(null=True)
    created_at = _at()
    payload = TextField()
    policy = TextField(null=True)
    timeout_ms = BigIntegerField()
    priority = IntegerField()
    run_at = _at(null=True)
    start_before = _at(null=True)
    seq = BigIntegerField()
    labels = TextField(null=True)
    payload_shown = TextField(null=True)
    trace = TextField(null=True)
    max_attempts = IntegerField()
    status = CharField(max_length=20)
    attempts = IntegerField()
    progress = IntegerField()
    log_seq = BigIntegerField()
    output = TextField(null=True)
    error_code = CharField(max_length=200, null=True)
    error_message = TextField(null=True)
    needs_user_action = BooleanField()
    cancel_requested = BooleanField()
    assigned_agent_id = _id(null=True)
    started_at = _at(null=True)
    completed_at = _at(null=True)
    rank = IntegerField(null=True)

    class Meta:
        table_name = "job"
        indexes = (
            (("org_id", "status", "id"), False),
            (("org_id", "host_id", "id"), False),
            (("org_id", "id", "type", "created_by_id"), False),
        )


Job.add_index(Job.start_before, where=SQL("start_before IS NOT NULL AND status = 'PENDING'"), name="job_expiring")
Job.add_index(Job.org_id, Job.status, Job.completed_at, Job.id, where=SQL("completed_at IS NOT NULL"), name="job_ended")


class JobRun(Model):
    """One attempt. Live runs hold the host: the unique partial index is the belt under the actor's braces."""

    id = _id(primary_key=True)
    job_id = _id(index=True)
    org_id = _id()
    host_id = _id(null=True)
    attempt = IntegerField()
    created_at = _at()
    status = CharField(max_length=20)
    available_at = _at(null=True)
    offered_at = _at(null=True)
    started_at = _at(null=True)
    finished_at = _at(null=True)
    run_no = BigIntegerField(null=True)
    instance_id = CharField(max_length=200, null=True)
    taken_after = _id(null=True)
    stop_reason = CharField(max_length=20)
    timeout_at = _at(null=True)
    timeout_left_ms = BigIntegerField(null=True)
    stop_by = _at(null=True)
    leased = BooleanField()
    unreachable_at = _at(null=True)
    offered_until = _at(null=True)
    offers = IntegerField()
    duration_ms = BigIntegerField(null=True)
    error_code = CharField(max_length=200, null=True)
    error_message = TextField(null=True)
    output = TextField(null=True)
    report_hash = CharField(max_length=64, null=True)
    asked_to_stop = CharField(max_length=10, null=True)
    pool_labels = TextField(null=True)
    pool_priority = IntegerField(null=True)

    class Meta:
        table_name = "job_run"


Host.add_index(Host.owner, where=SQL("owner IS NOT NULL"), name="host_owned")
JobRun.add_index(JobRun.host_id, unique=True, where=SQL(_one_of(LIVE)), name="job_run_one_live")
JobRun.add_index(JobRun.host_id, JobRun.created_at, where=SQL("finished_at IS NULL"), name="job_run_open")
JobRun.add_index(JobRun.available_at, where=SQL("status = 'scheduled'"), name="job_run_due")

JobRun.add_index(
    JobRun.org_id,
    JobRun.pool_labels,
    JobRun.pool_priority.desc(),
    JobRun.job_id,
    where=SQL("host_id IS NULL AND status = 'pending'"),
    name="job_run_pool",
)


OPEN_RUNS = JobRun.finished_at.is_null()
LIVE_RUNS = reduce(or_, (JobRun.status == SQL(f"'{status}'") for status in sorted(LIVE)))
SCHEDULED_RUNS = JobRun.status == SQL("'scheduled'")
IN_POOL = JobRun.host_id.is_null() & (JobRun.status == SQL("'pending'"))
WAITING_JOBS_THAT_EXPIRE = Job.start_before.is_null(False) & (Job.status == SQL("'PENDING'"))


class JobLog(Model):
    """One line of a job's log. `seq` counts them per job; `line_no` is the agent's own number within the run, which
    makes sending a line again harmless.
    """

    id = _id(primary_key=True)
    org_id = _id()
    job_id = _id()
    job_run_id = _id()
    seq = BigIntegerField()
    line_no = BigIntegerField(null=True)
    level = CharField(max_length=20)
    message = TextField()
    progress = IntegerField(null=True)
    created_at = _at()

    class Meta:
        table_name = "job_log"
        indexes = ((("job_id", "seq"), True), (("job_run_id", "line_no"), True))


class LateReport(Model):
    """A report that came after its run had ended, kept as it came."""

    id = _id(primary_key=True)
    org_id = _id()
    job_id = _id(index=True)
    job_run_id = _id()
    received_at = _at()
    body = TextField()
    body_hash = CharField(max_length=64)

    class Meta:
        table_name = "late_report"
        indexes = ((("job_run_id", "body_hash"), True),)


class Evidence(Model):
    """What an agent has found for a job. `hash` is the SHA-256 of its canonical content, made here: the same content is
    kept once per job.
    """

    id = _id(primary_key=True)
    org_id = _id()
    job_id = _id()
    job_run_id = _id()
    hash = CharField(max_length=64)
    size_bytes = BigIntegerField()
    created_at = _at()
    collected_at = _at()
    type = CharField(max_length=100)
    confidence = CharField(max_length=10)
    source = TextField()
    title = TextField()
    url = TextField(null=True)
    snippet = TextField()

    class Meta:
        table_name = "evidence"
        indexes = ((("job_id", "hash"), True), (("job_id", "id"), False))


class Asset(Model):
    """A file that an agent has kept of a run. Its bytes are not in the database: they are found by their SHA-256."""

    id = _id(primary_key=True)
    org_id = _id()
    job_id = _id()
    job_run_id = _id()
    name = CharField(max_length=255)
    content_type = CharField(max_length=200)
    size_bytes = BigIntegerField()
    sha256 = CharField(max_length=64, index=True)
    created_at = _at()

    class Meta:
        table_name = "asset"
        indexes = (
            (("job_run_id", "name", "sha256"), True),
            (("job_id", "id"), False),
            (("org_id", "size_bytes"), False),
        )


class AuditEvent(Model):
    """Who did what to what, and from where. Only ever inserted."""

    id = _id(primary_key=True)
    org_id = _id(null=True)
    at = _at()
    actor_kind = CharField(max_length=20)
    actor_id = CharField(max_length=100, null=True)
    action = CharField(max_length=100)
    target_kind = CharField(max_length=50)
    target_id = CharField(max_length=100, null=True)
    detail = TextField()
    request_id = CharField(max_length=100, null=True)
    address = CharField(max_length=100, null=True)

    class Meta:
        table_name = "audit_event"
        indexes = ((("org_id", "id"), False),)


class IdempotencyKey(Model):
    """The first answer to a request that carried a key, for 24 hours."""

    id = _id(primary_key=True)
    org_id = _id()
    user_id = _id()
    key = CharField(max_length=255)
    fingerprint = CharField(max_length=64)
    response = TextField()
    created_at = _at(index=True)

    class Meta:
        table_name = "idempotency_key"
        indexes = ((("org_id", "user_id", "key"), True),)


class OrgSetting(Model):
    """What an org's agents get as config, as JSON text. `version` rises by one with each change."""

    org_id = _id(primary_key=True)
    version = IntegerField()
    document = TextField()
    updated_at = _at()
    updated_by = _id(null=True)

    class Meta:
        table_name = "org_setting"


ALL_MODELS: tuple[type[Model], ...] = (
    Node,
    SharedSecret,
    Organization,
    User,
    Membership,
    BrowserSession,
    SocketTicket,
    DeviceLogin,
    SetupToken,
    Host,
    AgentKey,
    Enrolment,
    ServerInstance,
    JobType,
    Job,
    JobRun,
    JobLog,
    LateReport,
    Evidence,
    Asset,
    AuditEvent,
    IdempotencyKey,
    OrgSetting,
)
