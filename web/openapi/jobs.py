"""The routes about jobs, under an organization and as S2 has them."""

from interlock.bulk import BulkJobs, BulkResult
from interlock.errors import InvalidState, NotFound, PayloadSchema, PayloadTooLarge, QuotaExceeded
from interlock.job_sort import JobSort
from interlock.states import JobStatus
from interlock.wire import AssetPage, CancelJob, CreateJob, EvidencePage, Job, JobPage, LogPage, Nothing
from web import assets, evidence, logs, pages
from web.openapi.common import (
    CURSOR,
    IDEMPOTENCY_KEY,
    IF_NONE_MATCH,
    KEYED,
    ORG,
    PREFER_END,
    TIME,
    TRACE,
    UNCHANGED,
    made,
    ok,
    page,
)
from web.openapi.description import FLAG, ID, Answer, Body, Operation, Param, Shape, printable, whole
from web.openapi.shapes import BatchAnswer, CreateJobs, S2Job, S2JobPage

_TAG, _S2 = "Jobs", "Jobs as S2 has them"
_SORTED = f"^-?[a-zA-Z]+_[A-Z]*_([0-9]{{1,15}}_)?{ID[1:]}"  # a cursor of a list that is not read newest first
_NARROW = (
    Param("status", {"enum": [str(status) for status in JobStatus]}, "Only jobs of that status."),
    Param("type", printable(100), "Only jobs of that type."),
    Param("hostId", printable(100), "Only jobs of that host."),
    Param("createdBy", printable(100), "Only jobs that this account has created."),
    Param("since", TIME, "Only jobs that were created then or later."),
    Param("q", printable(200), "The job of this id, or else jobs of which type or payload contain this text."),
    Param("limit", whole(1, pages.MOST, pages.PAGE), "How many items at most."),
    Param(
        "sort",
        {"enum": [str(sort) for sort in JobSort], "default": str(JobSort.NEWEST)},
        "In which order; `-` turns it round. By `completedAt`, jobs that have not ended come last either way; by `status`, it"
        " is PENDING, RUNNING, COMPLETED, FAILED, CANCELLED, and of each the newest first either way.",
    ),
    Param(
        "cursor",
        {"type": "string", "pattern": f"{CURSOR.schema['pattern']}|{_SORTED}"},
        "`nextCursor` of the page before, which was sorted alike.",
    ),
)
_TARGET = (NotFound, PayloadTooLarge, PayloadSchema, QuotaExceeded)
_WAITING = (NotFound, InvalidState)


def _create(name: str, tag: str, shape: Shape) -> Operation:
    return Operation(
        name,
        tag,
        "Create a job",
        (made(shape, "It is on disk.", "Idempotency-Replayed", "Preference-Applied"),),
        body=Body(CreateJob),
        params=(IDEMPOTENCY_KEY, PREFER_END, *TRACE),
        problems=(*_TARGET, *KEYED),
        detail="Its target is at most one of `serverInstanceId`, `hostId` and `labels`; without one any host of the"
        " organization may take it. `SERVER_…` types need a target, `SCHEDULE_POST` needs `runAt`. What the type's schema"
        ' marks `writeOnly` goes to the agent alone: here and everywhere else it is shown as `"***"`.',
    )


def _list(name: str, tag: str, shape: Shape) -> Operation:
    told = (
        "With several filters, or a text, a page looks at a bounded number of jobs: it may be short, even empty, and still "
        "have a `nextCursor`, which leads on."
    )
    answer = page(shape, "Newest first unless sorted otherwise, each with its latest run.")
    return Operation(name, tag, "List jobs", (answer,), params=_NARROW, detail=told)


def _show(name: str, tag: str, shape: Shape) -> Operation:
    told = "The job with all its runs, and why it waits."
    answers = (ok(shape, told, "ETag", "Preference-Applied"), UNCHANGED)
    return Operation(name, tag, "Show a job", answers, params=(IF_NONE_MATCH, PREFER_END), problems=(NotFound,))


def _cancel(name: str, tag: str, shape: Shape) -> Operation:
    answers = (
        ok(shape, "The job is CANCELLED, now or already.", "ETag"),
        Answer(202, "Its agent is being asked to stop.", shape, ("ETag",)),
    )
    return Operation(name, tag, "Cancel a job", answers, body=Body(CancelJob, required=False), problems=_WAITING)


def _retry(name: str, tag: str, shape: Shape) -> Operation:
    answers = (ok(shape, "It has a new run; attempts are counted afresh.", "ETag"),)
    return Operation(
        name,
        tag,
        "Try a FAILED or CANCELLED job again",
        answers,
        body=Body(Nothing, required=False),
        problems=(*_WAITING, QuotaExceeded),
    )


def _resolve(name: str, tag: str, shape: Shape) -> Operation:
    return Operation(
        name,
        tag,
        "Say that the user has done what the run waited for",
        (ok(shape, "`needsUserAction` is cleared, and the agent told to go on.", "ETag"),),
        body=Body(Nothing, required=False),
        problems=_WAITING,
    )


def _logs(name: str, tag: str) -> Operation:
    params = (
        Param("after", whole(0, 2**53, 0), "`nextCursor` of the page before: the number of its last line."),
        Param("limit", whole(1, logs.PAGE, logs.PAGE), "How many lines at most."),
        Param("follow", FLAG, f"`1`: wait up to {logs.FOLLOW_SECONDS:g} s for a line, or for the job's end."),
    )
    return Operation(
        name, tag, "Read a job's log", (ok(LogPage, "Lines in order."),), params=params, problems=(NotFound,)
    )


def _evidence(name: str, tag: str) -> Operation:
    params = (Param("limit", whole(1, evidence.MOST, evidence.PAGE), "How many items at most."), CURSOR)
    answers = (page(EvidencePage, "Oldest first."),)
    return Operation(name, tag, "List what agents have found", answers, params=params, problems=(NotFound,))


_JOBS, _JOB = f"{ORG}/jobs", f"{ORG}/jobs/{{job_id}}"

OPERATIONS: dict[str, Operation] = {
    f"POST {_JOBS}": _create("createJob", _TAG, Job),
    f"POST {_JOBS}/batch": Operation(
        "createJobs",
        _TAG,
        "Create many jobs",
        (ok(BatchAnswer, "A result for each item, in their order.", "Idempotency-Replayed"),),
        body=Body(CreateJobs, most="max_batch_bytes"),
        params=(IDEMPOTENCY_KEY, *TRACE),
        problems=KEYED,
        detail="One item that is refused does not sink the rest: its result carries the problem.",
    ),
    f"POST {_JOBS}/bulk": Operation(
        "bulkJobs",
        _TAG,
        "Cancel or retry many jobs",
        (ok(BulkResult, "What it came to. With `nextCursor` there are more: send it as `cursor`."),),
        body=Body(BulkJobs),
        detail="Either `ids` or a `filter` says which. Each job is decided for itself, as if it had been asked for alone.",
    ),
    f"GET {_JOBS}": _list("listJobs", _TAG, JobPage),
    f"GET {_JOB}": _show("showJob", _TAG, Job),
    f"POST {_JOB}/cancel": _cancel("cancelJob", _TAG, Job),
    f"POST {_JOB}/retry": _retry("retryJob", _TAG, Job),
    f"POST {_JOB}/resolve": _resolve("resolveJob", _TAG, Job),
    f"GET {_JOB}/logs": _logs("readLog", _TAG),
    f"GET {_JOB}/evidence": _evidence("listEvidence", _TAG),
    f"GET {_JOB}/assets": Operation(
        "listAssets",
        _TAG,
        "List the files of a job",
        (page(AssetPage, "Oldest first."),),
        params=(Param("limit", whole(1, assets.MOST, assets.PAGE), "How many items at most."), CURSOR),
        problems=(NotFound,),
    ),
    f"GET {_JOB}/assets/{{asset_id}}": Operation(
        "downloadAsset",
        _TAG,
        "Download a file of a job",
        (
            Answer(200, "The file, always to be saved.", None, ("ETag", "Content-Disposition"), "*/*"),
            UNCHANGED,
        ),
        params=(IF_NONE_MATCH,),
        problems=(NotFound,),
    ),
    "POST /jobs": _create("createJobS2", _S2, S2Job),
    "GET /jobs": _list("listJobsS2", _S2, S2JobPage),
    "GET /jobs/{job_id}": _show("showJobS2", _S2, S2Job),
    "POST /jobs/{job_id}/cancel": _cancel("cancelJobS2", _S2, S2Job),
    "POST /jobs/{job_id}/resolve": _resolve("resolveJobS2", _S2, S2Job),
    "GET /jobs/{job_id}/logs": _logs("readLogS2", _S2),
    "GET /jobs/{job_id}/evidence": _evidence("listEvidenceS2", _S2),
}
