"""`client.jobs`: an organization's jobs, and what belongs to them."""

from collections.abc import Iterator, Sequence

import msgspec

from interlock.bulk import BulkJobs, BulkResult
from interlock.client.calls import NOT_MODIFIED, Calls, Sender, Tagged, every, in_org, operation, without_nones
from interlock.client.problems import Problem, item_error
from interlock.errors import InterlockError
from interlock.ids import Ids, JobId, OrgId
from interlock.job_sort import JobSort
from interlock.wire import (
    Asset,
    AssetPage,
    CancelJob,
    CreateJob,
    Evidence,
    EvidencePage,
    Job,
    JobPage,
    LogLine,
    LogPage,
)


class JobFilter(msgspec.Struct, frozen=True, rename="camel", kw_only=True):
    """Which jobs a list shows, and in which order; None leaves a field out. `since` is RFC 3339, `q` searches."""

    status: str | None = None
    type: str | None = None
    host_id: str | None = None
    created_by: str | None = None
    since: str | None = None
    q: str | None = None
    sort: JobSort | None = None  # newest first


EVERY_JOB = JobFilter()


Made = list[Job | InterlockError]


class _BatchItem(msgspec.Struct):
    job: Job | None = None
    error: Problem | None = None


class _BatchAnswer(msgspec.Struct):
    results: list[_BatchItem]


class Jobs(Calls):
    """Jobs of any organization that the token may see."""

    def __init__(self, sender: Sender, ids: Ids) -> None:
        super().__init__(sender)
        self._ids = ids

    def __call__(self, org_id: OrgId, shown: JobFilter = EVERY_JOB, *, page_size: int = 50) -> Iterator[Job]:
        """All jobs that `shown` lets through, in its order, read page by page (1–200 jobs each) as they are used."""
        return every(lambda cursor: self.page(org_id, shown, limit=page_size, cursor=cursor))

    def list(self, org_id: OrgId, shown: JobFilter = EVERY_JOB, *, page_size: int = 50) -> Iterator[Job]:
        """The same."""
        return self(org_id, shown, page_size=page_size)

    @operation("listJobs")
    def page(
        self, org_id: OrgId, shown: JobFilter = EVERY_JOB, *, limit: int = 50, cursor: str | None = None
    ) -> JobPage:
        """One page of the list; its `next_cursor` leads to the next. A page with several filters or a text may be short,
        even empty, and still lead on.
        """
        query = without_nones(shown) | {"limit": limit, "cursor": cursor}
        return self._call(JobPage, "GET", in_org(org_id, "jobs"), query=query)

    @operation("createJob")
    def create(
        self,
        org_id: OrgId,
        job: CreateJob,
        *,
        idempotency_key: str | None = None,
        prefer: str | None = None,
        traceparent: str | None = None,
        tracestate: str | None = None,
    ) -> Job:
        """The created job, durable by the time this returns.

        The key makes repeats harmless for 24 h: the same key and body give the first job again. A fresh one is made when
        none is given. `prefer="wait=20"` waits up to 20 s for the job's end; mind the client's `read_seconds`.
        """
        headers = self._keyed(idempotency_key, traceparent, tracestate) | {"Prefer": prefer}
        return self._call(Job, "POST", in_org(org_id, "jobs"), without_nones(job), headers=headers)

    @operation("createJobs")
    def create_many(
        self,
        org_id: OrgId,
        jobs: Sequence[CreateJob],
        *,
        idempotency_key: str | None = None,
        traceparent: str | None = None,
        tracestate: str | None = None,
    ) -> Made:
        """One job or refusal for each of up to 1000, in order; one bad item does not sink the rest.

        The key, fresh unless given, counts for each item at its place, so that a repeat adds only what is missing.
        """
        headers = self._keyed(idempotency_key, traceparent, tracestate)
        body = {"jobs": [without_nones(job) for job in jobs]}
        answer = self._call(_BatchAnswer, "POST", in_org(org_id, "jobs", "batch"), body, headers=headers)
        return [item.job or item_error(item.error or Problem()) for item in answer.results]

    def _keyed(self, key: str | None, traceparent: str | None, tracestate: str | None) -> dict[str, str | None]:
        trace = {"traceparent": traceparent, "tracestate": tracestate}
        return {"Idempotency-Key": key or self._ids.new()} | trace

    @operation("showJob")
    def get(self, org_id: OrgId, job_id: JobId, *, prefer: str | None = None) -> Job:
        """One job with all its runs. `prefer="wait=20"` waits up to 20 s for its end."""
        return self._call(Job, "GET", in_org(org_id, "jobs", job_id), headers={"Prefer": prefer})

    @operation("showJob")
    def changed(self, org_id: OrgId, job_id: JobId, *, if_none_match: str | None = None) -> Tagged[Job] | None:
        """The job and its tag; None while it still has that tag."""
        return self._tagged(Job, in_org(org_id, "jobs", job_id), if_none_match)

    @operation("cancelJob")
    def cancel(self, org_id: OrgId, job_id: JobId, *, reason: str | None = None, force: bool = False) -> Job:
        """The job, CANCELLED, or still RUNNING with `cancel_requested` while its agent is being asked.

        `force` does not wait for the agent. A job that has ended otherwise is a `Conflict`.
        """
        body = without_nones(CancelJob(reason=reason, force=force))
        return self._call(Job, "POST", in_org(org_id, "jobs", job_id, "cancel"), body)

    @operation("retryJob")
    def retry(self, org_id: OrgId, job_id: JobId) -> Job:
        """A FAILED or CANCELLED job with a new run, its attempts counted afresh; any other is a `Conflict`."""
        return self._call(Job, "POST", in_org(org_id, "jobs", job_id, "retry"))

    @operation("resolveJob")
    def resolve(self, org_id: OrgId, job_id: JobId) -> Job:
        """A job whose run waits for its user (`needs_user_action`): its agent is told that this is done and to go on. One
        that waits for nobody is a `Conflict`.
        """
        return self._call(Job, "POST", in_org(org_id, "jobs", job_id, "resolve"))

    @operation("bulkJobs")
    def bulk(self, org_id: OrgId, wanted: BulkJobs) -> BulkResult:
        """One part of a bulk cancel or retry; its `next_cursor` is to be sent with the next."""
        return self._call(BulkResult, "POST", in_org(org_id, "jobs", "bulk"), without_nones(wanted))

    # ---- what belongs to a job -------------------------------------------------------------------------------------

    @operation("readLog")
    def log_page(
        self, org_id: OrgId, job_id: JobId, *, after: str | None = None, limit: int | None = None, follow: bool = False
    ) -> LogPage:
        """A page of a job's log after the cursor `after`; `follow` waits for lines when there are none yet."""
        query = {"after": after, "limit": limit, "follow": 1 if follow else None}
        return self._call(LogPage, "GET", in_org(org_id, "jobs", job_id, "logs"), query=query)

    def log(self, org_id: OrgId, job_id: JobId) -> Iterator[LogLine]:
        """The lines that are there now, oldest first."""
        after: str | None = None
        while True:
            page = self.log_page(org_id, job_id, after=after)
            yield from page.items
            if not page.items or page.next_cursor in {None, after}:
                return
            after = page.next_cursor

    @operation("listEvidence")
    def evidence_page(
        self, org_id: OrgId, job_id: JobId, *, limit: int | None = None, cursor: str | None = None
    ) -> EvidencePage:
        """One page of what agents have found."""
        query = {"limit": limit, "cursor": cursor}
        return self._call(EvidencePage, "GET", in_org(org_id, "jobs", job_id, "evidence"), query=query)

    def evidence(self, org_id: OrgId, job_id: JobId) -> Iterator[Evidence]:
        """All of it, oldest first."""
        return every(lambda cursor: self.evidence_page(org_id, job_id, cursor=cursor))

    @operation("listAssets")
    def assets_page(
        self, org_id: OrgId, job_id: JobId, *, limit: int | None = None, cursor: str | None = None
    ) -> AssetPage:
        """One page of the files that agents have kept."""
        query = {"limit": limit, "cursor": cursor}
        return self._call(AssetPage, "GET", in_org(org_id, "jobs", job_id, "assets"), query=query)

    def assets(self, org_id: OrgId, job_id: JobId) -> Iterator[Asset]:
        """All of them, oldest first."""
        return every(lambda cursor: self.assets_page(org_id, job_id, cursor=cursor))

    @operation("downloadAsset")
    def download(
        self, org_id: OrgId, job_id: JobId, asset_id: str, *, if_none_match: str | None = None
    ) -> bytes | None:
        """A file's bytes, whole in memory; None while its tag is still that one."""
        headers = {"If-None-Match": if_none_match}
        answer = self._send("GET", in_org(org_id, "jobs", job_id, "assets", asset_id), headers=headers)
        return None if answer.status == NOT_MODIFIED else answer.body
