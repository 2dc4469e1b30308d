"""The user routes as methods, in groups: structs of `interlock.wire` and its neighbours go in and come out, refusals are
`interlock.errors`.
"""

import time
from collections.abc import Callable, Mapping
from typing import Any, Self
from urllib.parse import urlencode

import msgspec

from interlock.client.calls import NOT_MODIFIED, Query
from interlock.client.fleet import Enrolments, Hosts, Instances, Keys, Orgs
from interlock.client.jobs import EVERY_JOB, JobFilter, Jobs
from interlock.client.people import JobTypes, Members, OrgSettings, ServerCalls, Sessions
from interlock.client.problems import BadAnswer, problem_error
from interlock.client.repeat import DEFAULT_REPEAT, RepeatPolicy
from interlock.client.transport import Answer, Transport
from interlock.clock import Clock, SystemClock
from interlock.errors import InterlockError, InvalidRequest, TryLater
from interlock.ids import Ids, JobId, OrgId, UuidIds
from interlock.wire import CreateJob, Job, JobPage, LogPage

_REDIRECT, _REFUSAL = 300, 400


class Client:
    """Calls one server for one user over one connection; use one client per thread.

    GETs, and POSTs that carry an Idempotency-Key, are repeated by `repeat` when the server says "later" or does
    not answer; nothing else is ever sent twice. Every method raises `InterlockError`, `Unreachable` among them.
    """

    def __init__(
        self,
        url: str,
        token: str,
        *,
        connect_seconds: float = 10.0,
        read_seconds: float = 60.0,
        repeat: RepeatPolicy = DEFAULT_REPEAT,
        clock: Clock | None = None,
        ids: Ids | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._transport = Transport(url, connect_seconds=connect_seconds, read_seconds=read_seconds)
        self._headers = {"Authorization": f"Bearer {_header_text('token', token)}", "Accept": "application/json"}
        self._repeat = repeat
        self._clock = clock or SystemClock()
        self._ids = ids or UuidIds()
        self._sleep = sleep
        self.jobs = Jobs(self, self._ids)
        self.orgs = Orgs(self)
        self.hosts = Hosts(self)
        self.keys = Keys(self)
        self.instances = Instances(self)
        self.enrolments = Enrolments(self)
        self.members = Members(self)
        self.job_types = JobTypes(self)
        self.settings = OrgSettings(self)
        self.sessions = Sessions(self)
        self.server = ServerCalls(self)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection; a later call opens another."""
        self._transport.close()

    # ---- jobs, by the names that they had before there were groups ---------------------------------------------

    def create_job(self, org_id: OrgId, job: CreateJob, *, idempotency_key: str | None = None) -> Job:
        """`jobs.create`."""
        return self.jobs.create(org_id, job, idempotency_key=idempotency_key)

    def create_jobs(
        self, org_id: OrgId, jobs: list[CreateJob], *, idempotency_key: str | None = None
    ) -> list[Job | InterlockError]:
        """`jobs.create_many`."""
        return self.jobs.create_many(org_id, jobs, idempotency_key=idempotency_key)

    def job_page(
        self, org_id: OrgId, shown: JobFilter = EVERY_JOB, *, limit: int = 50, cursor: str | None = None
    ) -> JobPage:
        """`jobs.page`."""
        return self.jobs.page(org_id, shown, limit=limit, cursor=cursor)

    def job(self, org_id: OrgId, job_id: JobId) -> Job:
        """`jobs.get`."""
        return self.jobs.get(org_id, job_id)

    def cancel_job(self, org_id: OrgId, job_id: JobId, *, reason: str | None = None, force: bool = False) -> Job:
        """`jobs.cancel`."""
        return self.jobs.cancel(org_id, job_id, reason=reason, force=force)

    def retry_job(self, org_id: OrgId, job_id: JobId) -> Job:
        """`jobs.retry`."""
        return self.jobs.retry(org_id, job_id)

    def resolve_job(self, org_id: OrgId, job_id: JobId) -> Job:
        """`jobs.resolve`."""
        return self.jobs.resolve(org_id, job_id)

    def logs(
        self, org_id: OrgId, job_id: JobId, *, after: str | None = None, limit: int | None = None, follow: bool = False
    ) -> LogPage:
        """`jobs.log_page`."""
        return self.jobs.log_page(org_id, job_id, after=after, limit=limit, follow=follow)

    # ---- any route -----------------------------------------------------------------------------------------

    def request(
        self,
        method: str,
        path: str,
        *,
        body: Any = None,
        query: Query | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """The answer of any route (below 300, or 304); `path` begins with a slash, `body` is sent as JSON."""
        sent_headers = self._headers | {name: _header_text(name, text) for name, text in (headers or {}).items()}
        data = None if body is None else _encode(body)
        if data is not None:
            sent_headers["Content-Type"] = "application/json"
        target = f"{path}?{urlencode(query)}" if query else path
        repeatable = method in {"GET", "HEAD"} or (method == "POST" and "Idempotency-Key" in sent_headers)
        return self._send(method, target, sent_headers, data, repeatable=repeatable)

    def _send(
        self, method: str, target: str, headers: dict[str, str], data: bytes | None, *, repeatable: bool
    ) -> Answer:
        sent = 0
        while True:
            sent += 1
            try:
                return _accepted(self._transport.exchange(method, target, headers, data))
            except TryLater as later:
                pause = self._repeat.pause(sent, later.retry_after, self._clock.chance()) if repeatable else None
                if pause is None:
                    raise
            self._sleep(pause)


def _accepted(answer: Answer) -> Answer:
    if answer.status >= _REFUSAL:
        raise problem_error(answer.status, answer.headers, answer.body)
    if answer.status >= _REDIRECT and answer.status != NOT_MODIFIED:
        raise BadAnswer(f"The server points elsewhere: {answer.headers.get('Location', 'it does not say where')}")
    return answer


def _encode(body: Any) -> bytes:
    try:
        return msgspec.json.encode(body)
    except (TypeError, ValueError, OverflowError, RecursionError) as error:
        raise InvalidRequest.at("$", f"this cannot be written as JSON ({error})") from error


def _header_text(name: str, text: str) -> str:
    """`text`, if it can stand in a header; otherwise it would split the request or fail deep in the library."""
    if not text or not text.isascii() or not text.isprintable():
        raise InvalidRequest.at(name, "expected printable ASCII, and not nothing")
    return text
