"""The user routes as methods: structs of `interlock.wire` go in and come out, refusals are `interlock.errors`."""

import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Self, TypeVar
from urllib.parse import quote, urlencode

import msgspec

from interlock.client.problems import BadAnswer, Problem, item_error, problem_error
from interlock.client.repeat import DEFAULT_REPEAT, RepeatPolicy
from interlock.client.transport import Answer, Transport
from interlock.clock import Clock, SystemClock
from interlock.errors import InterlockError, InvalidRequest, TryLater
from interlock.ids import Ids, JobId, OrgId, UuidIds
from interlock.wire import CancelJob, CreateJob, Job, JobPage, LogPage

T = TypeVar("T")
Query = Mapping[str, str | int]

_REDIRECT, _REFUSAL, _NOT_MODIFIED = 300, 400, 304


class JobFilter(msgspec.Struct, frozen=True, rename="camel", kw_only=True):
    """Which jobs a list shows; None leaves a field out. `since` is RFC 3339, `q` searches."""

    status: str | None = None
    type: str | None = None
    host_id: str | None = None
    created_by: str | None = None
    since: str | None = None
    q: str | None = None


EVERY_JOB = JobFilter()


class _BatchItem(msgspec.Struct):
    job: Job | None = None
    error: Problem | None = None


class _BatchAnswer(msgspec.Struct):
    results: list[_BatchItem]


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

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection; a later call opens another."""
        self._transport.close()

    # ---- jobs ----------------------------------------------------------------------------------------------

    def create_job(self, org_id: OrgId, job: CreateJob, *, idempotency_key: str | None = None) -> Job:
        """The created job, durable by the time this returns.

        The key makes repeats harmless for 24 h: the same key and body give the first job again. A fresh one is
        made when none is given.
        """
        headers = {"Idempotency-Key": idempotency_key or self._ids.new()}
        return _read(self.request("POST", _jobs(org_id), body=_without_nones(job), headers=headers), Job)

    def create_jobs(
        self, org_id: OrgId, jobs: list[CreateJob], *, idempotency_key: str | None = None
    ) -> list[Job | InterlockError]:
        """One job or refusal for each of up to 1000, in order; one bad item does not sink the rest.

        The key, fresh unless given, counts for each item at its place, so that a repeat adds only what is missing.
        """
        body = {"jobs": [_without_nones(job) for job in jobs]}
        headers = {"Idempotency-Key": idempotency_key or self._ids.new()}
        answer = _read(self.request("POST", _jobs(org_id, "batch"), body=body, headers=headers), _BatchAnswer)
        return [item.job or item_error(item.error or Problem()) for item in answer.results]

    def jobs(self, org_id: OrgId, shown: JobFilter = EVERY_JOB, *, page_size: int = 50) -> Iterator[Job]:
        """All jobs that `shown` lets through, newest first, read page by page (1–200 jobs each) as they are used."""
        cursor: str | None = None
        while True:
            page = self.job_page(org_id, shown, limit=page_size, cursor=cursor)
            yield from page.items
            if page.next_cursor is None:
                return
            if page.next_cursor == cursor:
                raise BadAnswer("The server's next page is the same page again")
            cursor = page.next_cursor

    def job_page(
        self,
        org_id: OrgId,
        shown: JobFilter = EVERY_JOB,
        *,
        limit: int = 50,
        cursor: str | None = None,
    ) -> JobPage:
        """One page of the list; its `next_cursor` leads to the next."""
        query = _without_nones(shown) | {"limit": limit} | ({"cursor": cursor} if cursor else {})
        return _read(self.request("GET", _jobs(org_id), query=query), JobPage)

    def job(self, org_id: OrgId, job_id: JobId) -> Job:
        """One job with all its runs."""
        return _read(self.request("GET", _jobs(org_id, job_id)), Job)

    def cancel_job(self, org_id: OrgId, job_id: JobId, *, reason: str | None = None, force: bool = False) -> Job:
        """The job, CANCELLED, or still RUNNING with `cancel_requested` while its agent is being asked.

        `force` does not wait for the agent. A job that has ended otherwise is a `Conflict`.
        """
        body = _without_nones(CancelJob(reason=reason, force=force))
        return _read(self.request("POST", _jobs(org_id, job_id, "cancel"), body=body), Job)

    def retry_job(self, org_id: OrgId, job_id: JobId) -> Job:
        """A FAILED or CANCELLED job with a new run, its attempts counted afresh; any other is a `Conflict`."""
        return _read(self.request("POST", _jobs(org_id, job_id, "retry")), Job)

    def resolve_job(self, org_id: OrgId, job_id: JobId) -> Job:
        """A job whose run waits for its user (`needs_user_action`): its agent is told that this is done and to go on. One
        that waits for nobody is a `Conflict`.
        """
        return _read(self.request("POST", _jobs(org_id, job_id, "resolve")), Job)

    def logs(
        self, org_id: OrgId, job_id: JobId, *, after: str | None = None, limit: int | None = None, follow: bool = False
    ) -> LogPage:
        """A page of a job's log after the cursor `after`; `follow` waits for lines when there are none yet."""
        query: dict[str, str | int] = {}
        if after is not None:
            query["after"] = after
        if limit is not None:
            query["limit"] = limit
        if follow:
            query["follow"] = 1
        return _read(self.request("GET", _jobs(org_id, job_id, "logs"), query=query), LogPage)

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
    if answer.status >= _REDIRECT and answer.status != _NOT_MODIFIED:
        raise BadAnswer(f"The server points elsewhere: {answer.headers.get('Location', 'it does not say where')}")
    return answer


def _read(answer: Answer, kind: type[T]) -> T:
    try:
        return msgspec.json.decode(answer.body, type=kind)
    except (msgspec.DecodeError, RecursionError) as error:
        raise BadAnswer(f"The answer is not one that Interlock gives ({error}): is this its URL?") from error


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


def _jobs(org_id: OrgId, *rest: str) -> str:
    """The path of an organization's jobs; each part is quoted so that no id can climb out of its place."""
    return "/".join(("/api/orgs", *(_part(part) for part in (org_id, "jobs", *rest))))


def _part(text: str) -> str:
    if text in {"", ".", ".."}:
        raise InvalidRequest.at("id", f"expected an id, not {text!r}")
    return quote(text, safe="", errors="replace")


def _without_nones(struct: msgspec.Struct) -> dict[str, Any]:
    """The struct's fields by their wire names, without those that say nothing."""
    names = zip(struct.__struct_encode_fields__, struct.__struct_fields__, strict=True)
    fields = {wire_name: getattr(struct, name) for wire_name, name in names}
    return {name: field for name, field in fields.items() if field is not None}
