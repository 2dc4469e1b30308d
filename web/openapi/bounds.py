"""What the wire's types do not say: formats, spellings and limits, by field. The limits come from where they are enforced."""

from interlock.errors import ALL_PROBLEMS
from interlock.states import JobStatus, RunStatus
from store import device_logins as device_rows
from store.accounts import KINDS, MAX_LABEL_KEY, MAX_LABEL_VALUE, MAX_LABELS, ROLES
from web import (
    agent_messages,
    device_logins,
    evidence_items,
    fleet_drains,
    fleet_enrolments,
    fleet_hosts,
    fleet_job_types,
    new_jobs,
    settings,
)
from web.edge import RequestTimeout
from web.job_types import MAX_NAME as MAX_TYPE_NAME
from web.openapi.description import ASCII, ID, UUID, Schema, name, printable, text, whole
from web.passwords import LONGEST
from web.services import WebLimits
from web.sign_in import MAX_EMAIL

Field = tuple[str, str]  # of a component, by the names in the document

TIME: Schema = {"format": "date-time"}
_IDS = {"format": "uuid"}
_TIMES = {"at", "until", "runAt", "startBefore", "pausedUntil", "drainUntil", "serverTime", "since"}
_NO_IDS = {"instanceId", "requestId", "targetId", "actorId", "agentId"}
_ALIKE: dict[str, Schema] = {  # whichever component they are in
    "jobStatus": {"enum": [str(status) for status in JobStatus]},
    "presence": {"enum": ["never_connected", "online", "unreachable", "offline"]},
    "health": {"enum": ["ok", "unhealthy"]},
    "role": {"enum": list(ROLES)},
    "kid": _IDS,
}
_NO_ID_IN = {"Connector", "OrgEvent", "SocketFrame", "Refused"}
_RUN = {"enum": [str(status) for status in RunStatus]}
_JOB = {"enum": [str(status) for status in JobStatus]}
_NAME = name()
_LABELS = {
    "maxProperties": MAX_LABELS,
    "propertyNames": printable(MAX_LABEL_KEY) | {"minLength": 1},
    "additionalProperties": printable(MAX_LABEL_VALUE),
}
_TIMEOUT = {"minimum": new_jobs.MIN_TIMEOUT_SECONDS, "maximum": new_jobs.MAX_TIMEOUT_SECONDS}
_ATTEMPTS = {"minimum": 1, "maximum": new_jobs.MAX_ATTEMPTS}
_DURATION = {"minimum": 0, "maximum": agent_messages.MAX_DURATION_MS}
_RUNNING = {"maxItems": agent_messages.MAX_RUNNING, "items": UUID}
_PERCENT = {"minimum": 0, "maximum": 100}
_INSTANCE = text(agent_messages.MAX_INSTANCE) | {"pattern": ASCII}
_EMAIL = text(MAX_EMAIL)
_KIND = {"enum": list(KINDS)}
_CODE = {
    "pattern": rf"^\s*([{device_logins.LETTERS}{device_logins.LETTERS.lower()}][\s-]*){{{device_logins.LENGTH}}}$",
    "maxLength": device_logins.MAX_TYPED,
}
_DELAY = {"minimum": 0, "maximum": fleet_job_types.MAX_DELAY_SECONDS}
_REASONS = {
    "enum": [
        "behind",
        "host_busy",
        "host_offline",
        "host_paused",
        "host_unhealthy",
        "host_draining",
        "awaiting_idle",
        "scheduled",
        "backoff",
        "held",
        "no_matching_host",
        "offered",
    ]
}

_ANSWERED: dict[Field, Schema] = {
    **{(name, "status"): _JOB for name in ("Job", "S2Job")},
    **{
        (name, "status"): _RUN
        for name in (
            "JobRun",
            "RunInLine",
            "LiveRun",
            "RunState",
            "LogAnswer",
            "EvidenceAnswer",
            "AssetAnswer",
            "ReportAnswer",
            "JobEvent",
            "Noted",
            "LogNoted",
            "EvidenceNoted",
            "Ended",
        )
    },
    **{(name, "kind"): _KIND for name in ("Host", "NewHost")},
    ("Wait", "reason"): _REASONS,
    ("Evidence", "confidence"): {"enum": ["high", "medium", "low"]},
    ("Problem", "code"): {"enum": [*(kind.code for kind in ALL_PROBLEMS), RequestTimeout.code]},
    ("BatchAnswer", "results"): {
        "items": {"oneOf": [{"$ref": "#/components/schemas/Created"}, {"$ref": "#/components/schemas/NotCreated"}]}
    },
    ("JobType", "whileBackingOff"): {"enum": ["overtake", "hold"]},
    ("JobType", "onLost"): {"enum": ["retry", "fail"]},
}
_ASKED: dict[Field, Schema] = {
    ("CreateJob", "type"): text(MAX_TYPE_NAME, 1),
    ("CreateJob", "labels"): _LABELS,
    ("CreateJob", "timeoutSeconds"): _TIMEOUT,
    ("CreateJob", "maxAttempts"): _ATTEMPTS,
    ("CreateJob", "priority"): {"minimum": new_jobs.PRIORITIES[0], "maximum": new_jobs.PRIORITIES[-1]},
    ("CreateHost", "name"): _NAME,
    ("CreateHost", "kind"): _KIND,
    ("CreateHost", "labels"): _LABELS,
    ("PatchHost", "name"): _NAME,
    ("PatchHost", "labels"): _LABELS,
    ("PatchHost", "note"): text(fleet_hosts.MAX_NOTE),
    ("DrainHost", "deadlineSeconds"): {"minimum": 0, "maximum": fleet_drains.MAX_DEADLINE_SECONDS},
    ("CreateInstance", "name"): _NAME,
    ("PatchInstance", "name"): _NAME,
    ("PutJobType", "timeoutSeconds"): _TIMEOUT,
    ("PutJobType", "maxAttempts"): _ATTEMPTS,
    ("Backoff", "baseSeconds"): _DELAY,
    ("Backoff", "capSeconds"): _DELAY,
    ("Backoff", "factor"): {"minimum": 1, "maximum": fleet_job_types.MAX_FACTOR},
    ("Backoff", "jitter"): {"minimum": 0, "maximum": 1},
    ("PutSettings", "platform"): {"maxProperties": settings.MAX_KEYS},
    ("PutSettings", "connectors"): {"maxItems": settings.MAX_CONNECTORS},
    ("Connector", "id"): name(settings.MAX_NAME),
    ("Connector", "name"): name(settings.MAX_TITLE),
    ("CreateOrg", "name"): _NAME,
    ("PatchOrg", "name"): _NAME,
    ("CreateEnrolment", "expiresInSeconds"): {"minimum": 1, "maximum": fleet_enrolments.MAX_SECONDS},
    ("CreateEnrolment", "maxUses"): whole(1, fleet_enrolments.MAX_USES),
    ("CreateEnrolment", "labels"): _LABELS,
    ("Register", "name"): _NAME,
    ("Register", "kind"): _KIND,
    ("Register", "labels"): _LABELS,
    ("AddMember", "email"): _EMAIL,
    ("BulkJobs", "cursor"): {"pattern": ID},
    ("BulkFilter", "status"): _JOB,
    ("BulkFilter", "type"): printable(100),
    ("BulkFilter", "hostId"): printable(100),
    ("BulkFilter", "createdBy"): printable(100),
    ("BulkFilter", "q"): printable(200),
    ("ChangePassword", "current"): text(LONGEST),
    ("ChangePassword", "password"): text(LONGEST),
    ("SetUp", "email"): {**text(MAX_EMAIL, 3), "pattern": "^.+@.+$"},
    ("SetUp", "name"): _NAME,
    ("SetUp", "orgName"): _NAME,
    ("SetUp", "password"): text(LONGEST),
    ("SignIn", "email"): _EMAIL,
    ("SignIn", "username"): _EMAIL,
    ("SignIn", "password"): text(LONGEST),
    ("AskToSignIn", "name"): name(device_logins.MAX_NAME),
    ("DeviceToken", "status"): {"enum": [device_rows.WAITING, device_rows.ALLOWED]},
    ("LookAtDevice", "userCode"): _CODE,
    ("AnswerDevice", "userCode"): _CODE,
    ("OrgEvent", "what"): {"enum": ["type", "settings", "member", "instance", "host", "key", "enrolment", "org"]},
    ("Report", "durationMs"): _DURATION,
    ("Done", "durationMs"): _DURATION,
    ("Failed", "durationMs"): _DURATION,
    ("Cancelled", "durationMs"): _DURATION,
    ("Progress", "progress"): _PERCENT,
    ("SocketProgress", "progress"): _PERCENT,
    ("Logs", "lines"): {"maxItems": agent_messages.MAX_LINES},
    ("SocketLogs", "lines"): {"maxItems": agent_messages.MAX_LINES},
    ("LogLineIn", "seq"): whole(0, 2**53 - 1),
    ("CancelRun", "jobId"): {"anyOf": [UUID, {"const": ""}]},  # of a run that was never this host's
    ("Heartbeat", "instanceId"): _INSTANCE,
    ("Heartbeat", "running"): _RUNNING,
    ("Auth", "instanceId"): _INSTANCE,
    ("Auth", "running"): _RUNNING,
    ("EvidenceItem", "type"): text(evidence_items.MAX_TYPE, 1),
    ("EvidenceItem", "source"): text(evidence_items.MAX_SOURCE, 1),
    ("EvidenceItem", "title"): text(evidence_items.MAX_TITLE),
    ("EvidenceItem", "url"): text(evidence_items.MAX_URL) | {"pattern": "^https?://"},
}


def _given(name: str) -> Schema:
    return {"required": [name], "properties": {name: {"not": {"type": "null"}}}}


def _exclusive(*names: str) -> Schema:
    pairs = [(one, other) for place, one in enumerate(names) for other in names[place + 1 :]]
    return {"not": {"anyOf": [{"allOf": [_given(one), _given(other)]} for one, other in pairs]}}


TOGETHER: dict[str, Schema] = {  # what holds of several fields of a component
    "CreateJob": {"allOf": [_exclusive("serverInstanceId", "hostId", "labels"), _exclusive("payload", "input")]},
    "BulkJobs": {"oneOf": [_given("ids"), _given("filter")]},
    "AddMember": {"oneOf": [_given("email"), _given("userId")]},
    "SignIn": {"anyOf": [_given("email"), _given("username")]},
}


def bounds(limits: WebLimits) -> dict[Field, Schema]:
    """What is to be said of fields of these components, with the settings that count here."""
    items = {"maxItems": limits.max_evidence_items, "items": {"$ref": "#/components/schemas/EvidenceItem"}}
    return {
        **_ANSWERED,
        **_ASKED,
        ("BulkJobs", "ids"): {"maxItems": limits.max_batch_jobs},
        ("CreateJobs", "jobs"): {"maxItems": limits.max_batch_jobs},
        ("EvidenceIn", "evidence"): items,
        ("SocketEvidence", "evidence"): items,
    }


def by_name(component: str, field: str) -> Schema:
    """What the name of a field alone says of it."""
    if field in _ALIKE:
        return _ALIKE[field]
    if field in _TIMES or field.endswith("At"):
        return TIME
    is_id = field == "id" or field.endswith("Id")
    return _IDS if is_id and field not in _NO_IDS and component not in _NO_ID_IN else {}
