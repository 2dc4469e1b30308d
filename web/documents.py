"""A job's rows as its document."""

import msgspec

from actors.documents import job_document
from interlock.clock import rfc3339
from interlock.wire import Counts, Job, LateReport, UserRef, Wait
from store.jobs import FullJob


def document(full: FullJob, wait: Wait | None) -> Job:
    """The job as users see it."""
    creator = None if full.creator is None else UserRef(id=full.creator[0], name=full.creator[1], email=full.creator[2])
    late = [
        LateReport(id=row_id, job_run_id=run_id, received_at=rfc3339(at), body=msgspec.Raw(body.encode()))
        for row_id, run_id, at, body in full.late_reports
    ]
    counts = Counts(logs=full.logs, evidence=full.evidence)
    return job_document(full.job, full.runs, wait=wait, creator=creator, counts=counts, late_reports=late)
