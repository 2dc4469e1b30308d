"""What was promised to users: nothing accepted is lost, nothing is made or done twice, every job ends in one way."""

from collections import defaultdict
from collections.abc import Iterator

from chaos_rig.checker.ledger import Ledger, Violation
from chaos_rig.final import FinalJob
from chaos_rig.history import Accepted, CancelAnswered, Settled
from chaos_rig.work import ONCE
from interlock.states import TERMINAL, JobStatus, RunStatus

_ENDS = {
    JobStatus.COMPLETED: {RunStatus.SUCCESS},
    JobStatus.CANCELLED: {RunStatus.CANCELLED},
    JobStatus.FAILED: TERMINAL - {RunStatus.SUCCESS, RunStatus.CANCELLED},
}
_UNHEARD = {RunStatus.LOST, RunStatus.TIMED_OUT}
_OK, _ASKING = 200, 202


def lost(ledger: Ledger) -> Iterator[Violation]:
    """Every 201 is a job that exists and has ended."""
    for job_id, entry in ledger.accepted.items():
        job = ledger.jobs.get(job_id)
        if job is None:
            yield Violation("lost", f"job {job_id} ({entry.tag}) was accepted and does not exist", entry.at)
        elif job.status not in _ENDS:
            yield Violation("lost", f"job {job_id} ({entry.tag}) has not ended: {_story(job)}", entry.at)
    for settled in ledger.each(Settled):
        if settled.left:
            yield Violation("lost", f"{settled.left} jobs had not ended when patience was over", settled.at)


def created_once(ledger: Ledger) -> Iterator[Violation]:
    """However often a create is repeated under its key, it makes one job, and always names the same."""
    named: dict[str, str] = {}
    for entry in ledger.each(Accepted):
        if named.setdefault(entry.tag, entry.job) != entry.job:
            said = f"{entry.tag} was answered with job {entry.job}, and before with {named[entry.tag]}"
            yield Violation("doubled", said, entry.at)
    made: dict[str, list[str]] = defaultdict(list)
    for job in ledger.final.jobs:
        made[job.tag].append(job.id)
    for tag, ids in made.items():
        if len(ids) > 1:
            yield Violation("doubled", f"{tag} was made {len(ids)} times: {', '.join(ids)}")


def one_outcome(ledger: Ledger) -> Iterator[Violation]:
    """A job's status is that of its last run, all its runs have ended, and there are no more than it may have."""
    for job in ledger.final.jobs:
        if job.status not in _ENDS:
            continue  # told by `lost` if it was accepted; an unanswered create may be anything but this
        why = _mismatch(job, tried_afresh=job.id in ledger.retried)
        if why:
            yield Violation("outcome", f"job {job.id}: {why}: {_story(job)}")


def _mismatch(job: FinalJob, *, tried_afresh: bool) -> str:
    if not job.runs:
        return "it has no run"
    if any(run.status not in TERMINAL for run in job.runs):
        return "it has ended, a run of it has not"
    if job.runs[-1].status not in _ENDS[JobStatus(job.status)]:
        return "it did not end as its last run did"
    if not tried_afresh and [run.attempt for run in job.runs] != list(range(1, len(job.runs) + 1)):
        return "its attempts are not counted one by one"
    if max(run.attempt for run in job.runs) > job.max_attempts:
        return f"it has more than {job.max_attempts} attempts"
    if any(run.finished_at is None for run in job.runs):
        return "a run has ended at no time"
    if job.type == ONCE and not tried_afresh and any(run.status in _UNHEARD for run in job.runs[:-1]):
        return "it was repeated, though nobody knows how a run of it ended"
    return ""


def doubled(ledger: Ledger) -> Iterator[Violation]:
    """No job succeeds twice, neither in the rows nor in what agents were answered."""
    for job in ledger.final.jobs:
        in_rows = {run.id for run in job.runs if run.status == RunStatus.SUCCESS}
        if len(in_rows) > 1:
            yield Violation("doubled", f"job {job.id} succeeded {len(in_rows)} times: {_story(job)}")
        told = {run.id for run in job.runs for answer in ledger.answers[run.id] if answer.status == RunStatus.SUCCESS}
        if len(told | in_rows) > 1 >= len(in_rows):
            yield Violation("doubled", f"job {job.id}: successes of {', '.join(sorted(told))} were acknowledged")


def cancels(ledger: Ledger) -> Iterator[Violation]:
    """200 means CANCELLED for good, 202 that the wish is kept; nothing of the job is begun after either."""
    for entry in ledger.each(CancelAnswered):
        job = ledger.jobs.get(entry.job)
        if job is None or job.id in ledger.retried:
            continue
        if entry.status == _OK and job.status != JobStatus.CANCELLED:
            yield Violation("outcome", f"the cancel of job {job.id} was answered 200: {_story(job)}", entry.at)
        if entry.status == _ASKING and not (job.cancel_requested or job.runs[-1].asked_to_stop):
            yield Violation("outcome", f"the cancel of job {job.id} was forgotten: {_story(job)}", entry.at)
        after = [run.id for run in job.runs if (run.started_at or 0) > ledger.wall_ms(entry.at) + 1]
        if after and entry.status in {_OK, _ASKING}:
            said = f"job {job.id} was begun after its cancel had been answered {entry.status}: {', '.join(after)}"
            yield Violation("outcome", said, entry.at)


def told_as_it_is(ledger: Ledger) -> Iterator[Violation]:
    """The server's lists have every accepted job, with the status that its row has."""
    listed = ledger.final.listed
    if listed is None:
        return
    for job_id, entry in ledger.accepted.items():
        if job_id not in listed:
            yield Violation("lost", f"job {job_id} ({entry.tag}) is in no list", entry.at)
    for job_id, status in listed.items():
        job = ledger.jobs.get(job_id)
        if job is None or job.status != status:
            yield Violation("outcome", f"job {job_id} was listed {status}, its row says {job and job.status}")


def _story(job: FinalJob) -> str:
    runs = ", ".join(f"{run.attempt}: {run.status}" for run in job.runs)
    return f"{job.status} ({runs or 'no runs'})"
