"""What agents were promised: an acknowledged report counts, a late one is kept, and nobody makes results up."""

from collections.abc import Iterator

from chaos_rig.cast import COMMAND
from chaos_rig.checker.ledger import Ledger, Violation
from chaos_rig.history import Ended, ReportAnswered, ReportSent, Taken
from interlock.states import RunStatus

_OK, _NOT_FOUND, _CONFLICT = 200, 404, 409
# What agents must have said for a run to stand like this; the other endings are the server's own.
_SAID = {
    RunStatus.SUCCESS: {"success"},
    RunStatus.FAILED: {"failed", "cancelled"},
    RunStatus.REJECTED: {"rejected"},
}


def remembered(ledger: Ledger) -> Iterator[Violation]:
    """A report that was answered 200 stands as it was answered, and its run is never handed out again."""
    for answer in ledger.each(ReportAnswered):
        if answer.answer == _NOT_FOUND:
            yield Violation("report", f"run {answer.run}, which was handed out, is not known any more", answer.at)
        elif answer.answer == _OK:
            why = _forgotten(ledger, answer)
            if why:
                yield Violation("report", f"the report of run {answer.run} was acknowledged, but {why}", answer.at)
    for taken in ledger.each(Taken):
        told = [each.at for each in ledger.answers.get(taken.run, ()) if each.answer == _OK]
        if told and taken.asked_at > min(told) and not taken.late:
            said = f"run {taken.run} was handed out again after its report had been acknowledged"
            yield Violation("report", said, taken.at)


def _forgotten(ledger: Ledger, answer: ReportAnswered) -> str:
    run = ledger.runs.get(answer.run)
    if run is None:
        return "there is no such run"
    if run.status != answer.status:
        return f"it was answered {answer.status} and is {run.status}"
    job = ledger.job_of[run.id]
    if job.id in ledger.retried:
        return ""
    last = job.runs[-1].id == run.id
    if answer.will_retry == last and not answer.replayed:
        return f"willRetry was {answer.will_retry}, and the job has {len(job.runs)} runs"
    if not answer.will_retry and job.status != answer.job_status:
        return f"its job was answered {answer.job_status} and is {job.status}"
    if run.status == RunStatus.SUCCESS and run.output is not None and run.id not in run.output:
        return "its output is another run's"
    return ""


def kept_when_late(ledger: Ledger) -> Iterator[Violation]:
    """A report about a run that had ended otherwise is refused, and kept."""
    for answer in ledger.each(ReportAnswered):
        if answer.answer == _CONFLICT and answer.ended and answer.run not in ledger.final.late_reports:
            yield Violation("report", f"the late report of run {answer.run} was not kept", answer.at)


def not_invented(ledger: Ledger) -> Iterator[Violation]:
    """A run that ended by a report is one whose agent sent it; of a real agent the machine's diary tells."""
    sent: dict[str, set[str]] = {}
    for entry in ledger.each(ReportSent):
        sent.setdefault(entry.run, set()).add(entry.status)
    done = {ended.run for ended in ledger.each(Ended) if ended.how == RunStatus.SUCCESS}
    for job in ledger.final.jobs:
        for run in job.runs:
            wanted = _SAID.get(RunStatus(run.status))
            if wanted is None:
                continue
            if ledger.final.kinds.get(job.host) != COMMAND:
                known = bool(wanted & sent.get(run.id, set()))
            else:
                known = run.id in done or run.status != RunStatus.SUCCESS  # why a command failed is its agent's to say
            if not known:
                yield Violation("report", f"run {run.id} is {run.status}, but nobody reported that")
