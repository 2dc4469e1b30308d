"""Examples of every schema, made from it: the same name always has the same value, so that they fit together."""

import hashlib
from collections.abc import Mapping
from typing import Any

from web.openapi.description import Schema
from web.openapi.schemas import REF

_AT = "2026-11-22T09:30:00.000Z"
_LEFT_OUT: dict[str, set[str]] = {  # of what may be absent, since the example reads better without it
    "CreateJob": {"serverInstanceId", "labels", "input", "runAt", "startBefore"},
    "PutSettings": {"version", "updatedAt"},
    "PutJobType": {"version", "type", "builtIn", "createdAt"},
    "SignIn": {"username"},
    "AddMember": {"userId"},
    "Problem": {"errors", "current"},
    "Auth": {"ticket", "orgId", "after"},
    "BulkJobs": {"ids", "cursor"},
    "BulkFilter": {"createdBy", "since", "q"},
    "Refused": {"current", "errors", "retryAfter"},
    "CreateHost": {"kind"},
}
_NULLS: dict[str, set[str]] = {
    "Job": {"completedAt", "errorCode", "errorMessage", "output", "wait", "startBefore"},
    "S2Job": {"completedAt", "errorCode", "errorMessage", "output", "wait", "startBefore"},
    "JobRun": {"finishedAt"},
    "RunResult": {"durationMs", "errorMessage", "errorCode", "output"},
    "Host": {"note", "pausedUntil", "drainUntil"},
    "NewHost": {"note", "pausedUntil", "drainUntil", "lastSeenAt", "currentJobRunId"},
    "NewKey": {"revokedAt"},
    "AgentKey": {"revokedAt"},
    "HostLine": {"unhealthy", "drainUntil"},
    "HostQueue": {"unhealthy", "drainUntil"},
}
_VALUES: dict[tuple[str, str], Any] = {
    ("Job", "status"): "RUNNING",
    ("S2Job", "status"): "RUNNING",
    ("Job", "lateReports"): [],
    ("S2Job", "lateReports"): [],
    ("JobRun", "status"): "running",
    ("JobEvent", "status"): "running",
    ("JobEvent", "jobStatus"): "RUNNING",
    ("RunInLine", "status"): "pending",
    ("LiveRun", "status"): "running",
    ("ReportAnswer", "status"): "success",
    ("ReportAnswer", "jobStatus"): "COMPLETED",
    ("Ended", "status"): "success",
    ("Ended", "jobStatus"): "COMPLETED",
    ("RunState", "status"): "running",
    ("LogAnswer", "status"): "running",
    ("EvidenceAnswer", "status"): "running",
    ("AssetAnswer", "status"): "running",
    ("Noted", "status"): "running",
    ("LogNoted", "status"): "running",
    ("EvidenceNoted", "status"): "running",
    ("Host", "presence"): "online",
    ("Problem", "status"): 404,
    ("Problem", "code"): "not_found",
    ("Connector", "id"): "google_maps",
    ("Connector", "name"): "Google Maps",
    ("Evidence", "type"): "business",
    ("EvidenceItem", "type"): "business",
    ("Mistake", "path"): "$.runAt",
    ("Member", "role"): "operator",
    ("Member", "name"): "Ada",
    ("UserRef", "name"): "Ada",
    ("Self", "name"): "Ada",
    ("SetUp", "name"): "Ada",
    ("Org", "name"): "Acme",
    ("OwnOrg", "name"): "Acme",
    ("CreateOrg", "name"): "Acme",
    ("PatchOrg", "name"): "Acme",
    ("CreateInstance", "name"): "dust",
    ("PatchInstance", "name"): "dust",
    ("ServerInstance", "name"): "dust",
    ("Asset", "name"): "screen.png",
    ("AssetRef", "name"): "screen.png",
    ("PatchMember", "role"): "operator",
    ("AddMember", "role"): "operator",
    ("AuditLine", "actorId"): "01938b3e-0000-7000-8000-0000000000aa",
    ("AuditLine", "detail"): {"note": "new disk"},
    ("Evidence", "title"): "A bakery",
    ("EvidenceItem", "title"): "A bakery",
    ("LateReport", "body"): {"status": "success"},
    ("Wait", "detail"): "1 ahead of it on the same host",
    ("HostLine", "presence"): "online",
    ("HostQueue", "presence"): "online",
    ("LiveHost", "presence"): "online",
    ("HostLine", "current"): None,
    ("CancelJob", "reason"): "The map has changed",
    ("BulkJobs", "reason"): "The map has changed",
    ("BulkResult", "op"): "cancel",
    ("Reject", "reason"): "No room on the disk",
    ("Refused", "code"): "already_taken",
    ("Refused", "message"): "Another agent has taken this job",
    ("Refused", "event"): "job:ack",
    ("ChangePassword", "current"): "an old password",
    ("EventFrame", "seq"): 1795339800000001,
    ("Mistake", "message"): "expected an RFC 3339 time",
    ("AuditLine", "targetId"): "eu-1",
    ("LiveActors", "hosts"): 1,
    ("LiveActors", "failures"): [],
    ("LiveHost", "pending"): 1,
    ("LiveHost", "backoff"): 0,
    ("SocketFrame", "event"): "heartbeat",
    ("EventFrame", "event"): "job.created",
    ("Auth", "running"): [],
    ("Heartbeat", "running"): [],
    ("RunVerdict", "verdict"): "continue",
    ("JobType", "schema"): {"type": "object", "properties": {"map": {"type": "string"}}},
    ("PutJobType", "schema"): {"type": "object", "properties": {"map": {"type": "string"}}},
    ("Report", "output"): {"port": 27015},
    ("Done", "output"): {"port": 27015},
}
_OWN_IDS: dict[str, str] = {  # as which others name the `id` of these
    **dict.fromkeys(("Job", "S2Job"), "jobId"),
    **dict.fromkeys(("JobRun", "RunInLine"), "jobRunId"),
    **dict.fromkeys(("Host", "NewHost"), "hostId"),
    **dict.fromkeys(("Org", "OwnOrg"), "orgId"),
    **dict.fromkeys(("UserRef", "Self"), "userId"),
    "ServerInstance": "serverInstanceId",
}
_ALIASES = {"createdById": "userId", "tenantId": "orgId", "assignedAgentId": "hostId", "currentJobRunId": "jobRunId"}
_TEXTS: dict[str, Any] = {
    "type": "SERVER_START",
    "name": "eu-1",
    "orgName": "Acme",
    "email": "ada@example.com",
    "payload": {"map": "de_dust2"},
    "input": {"map": "de_dust2"},
    "config": {"slots": 12},
    "labels": {"zone": "eu"},
    "platform": {"platformUrl": "https://example.com", "apiUrl": None, "searchMethod": None},
    "agentKey": "eyJhbGciOiJIUzI1NiJ9.…",
    "token": "gZ9…",
    "ticket": "ilt_gZ9…",
    "userCode": "BCDF-GHJK",
    "deviceCode": "ild_p3X…",
    "csrfToken": "0bX…",
    "password": "correct horse battery staple",
    "nextCursor": "01938b3e-0000-7000-8000-0000000000aa",
    "message": "Starting",
    "level": "info",
    "title": "Not found",
    "detail": "No such job",
    "requestId": "01938b3e-0000-7000-8000-0000000000bb",
    "instanceId": "eu-1-4711",
    "hash": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
    "sha256": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
    "contentType": "image/png",
    "url": "https://example.com/",
    "source": "google_maps",
    "snippet": "Open until 22:00",
    "address": "192.0.2.7",
    "userAgent": "Mozilla/5.0",
    "action": "host.update",
    "actorKind": "user",
    "targetKind": "host",
    "note": "new disk",
    "reason": "behind",
    "timeoutSeconds": 600,
    "maxAttempts": 3,
    "attempts": 1,
    "attempt": 1,
    "progress": 40,
    "priority": 0,
    "position": 2,
    "durationMs": 1200,
    "sizeBytes": 1024,
    "maxUses": 10,
    "uses": 1,
    "expiresInSeconds": 3600,
    "deadlineSeconds": 300,
    "graceSeconds": 10,
    "heartbeatSeconds": 15,
    "leaseSeconds": 60,
    "pollWaitSeconds": 25,
    "baseSeconds": 2,
    "factor": 2,
    "capSeconds": 300,
    "jitter": 0.1,
    "errorCode": "failed",
    "errorMessage": "The port is taken",
    "error": "The port is taken",
    "code": "not_found",
    "needsUserAction": False,
    "retryable": True,
    "enabled": True,
    "force": False,
}


class Examples:
    """Made once for each schema."""

    def __init__(self, schemas: Mapping[str, Schema]) -> None:
        self._schemas = schemas
        self._made: dict[str, Any] = {}

    def of(self, name: str) -> Any:
        """An example of the schema of that name."""
        if name not in self._made:
            self._made[name] = self._object(name, self._schemas[name])
        return self._made[name]

    def _object(self, name: str, schema: Schema) -> dict[str, Any]:
        left_out = _LEFT_OUT.get(name, set())
        fields = schema.get("properties", {}).items()
        return {field: self._field(name, field, found) for field, found in fields if field not in left_out}

    def _field(self, name: str, field: str, schema: Schema) -> Any:
        if field in _NULLS.get(name, set()):
            return None
        if (name, field) in _VALUES:
            return _VALUES[name, field]
        named = _OWN_IDS.get(name, f"{name}.id") if field == "id" else _ALIASES.get(field, field)
        return self._value(named, schema)

    def _value(self, field: str, schema: Schema) -> Any:  # one line for each kind
        if "$ref" in schema:
            return self.of(schema["$ref"].removeprefix(REF))
        for several in ("anyOf", "oneOf"):
            if several in schema:
                return self._value(field, next(each for each in schema[several] if each.get("type") != "null"))
        if "enum" in schema:
            known = _TEXTS.get(field)
            return known if known in schema["enum"] else schema["enum"][0]
        if "const" in schema:
            return schema["const"]
        kind = schema.get("type")
        if kind == "array":
            return [self._value(field, schema.get("items", {}))]
        if schema.get("format") == "uuid":
            return _id(field)
        if schema.get("format") == "date-time":
            return _AT
        if field in _TEXTS:
            return _TEXTS[field]
        return {"string": "text", "integer": 1, "number": 1.5, "boolean": False}.get(kind or "", {})


def _id(field: str) -> str:
    """The same for the same name."""
    made = hashlib.sha256(field.encode()).hexdigest()
    return f"01938b3e-{made[:4]}-7{made[4:7]}-8{made[7:10]}-{made[10:22]}"
