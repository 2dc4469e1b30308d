"""Why is a pool job not running? From its org's hosts, counted by their labels."""

from collections.abc import Sequence

from interlock.states import RunStatus
from interlock.wire import Wait, when
from store.labels import ANY_HOST, carries, pairs_of
from store.pool import HostsAlike
from store.rows import JobRow, RunRow


def wait_in_pool(
    job: JobRow, run: RunRow, hosts: Sequence[HostsAlike], idle: Sequence[str], position: int | None
) -> Wait | None:
    """The reason, its place among those that want the same labels if that is known, and until when.

    `idle` are the labels of hosts that this process knows to wait for work: their rows may not say so yet.
    """
    if run.status is RunStatus.SCHEDULED and run.attempt > 1:
        return Wait("backoff", None, f"Attempt {run.attempt} of {job.max_attempts} waits", when(run.available_at))
    if run.status is RunStatus.SCHEDULED:
        return Wait("scheduled", None, "Not due yet", when(run.available_at))
    if run.status is not RunStatus.PENDING:
        return None
    labels = job.labels or ANY_HOST
    fitting = [alike for alike in hosts if carries(alike.labels, labels)]
    total = sum(alike.hosts for alike in fitting)
    if not total:
        return Wait("no_matching_host", position, _nobody(labels))
    waiting = sum(carries(each, labels) for each in idle)
    connected = max(sum(alike.connected for alike in fitting), waiting)
    busy, barred = sum(alike.busy for alike in fitting), sum(alike.barred for alike in fitting)
    if not connected:
        return Wait("host_offline", position, f"{_of(total)} connected")
    if not waiting and busy + barred >= connected:
        also = f", and {barred} may not take anything now" if barred else ""
        return Wait("host_busy", position, f"{busy} of {connected} connected hosts that could take it are busy{also}")
    return Wait("behind", position, "It waits for one of the idle hosts to take it")


def _nobody(labels: str) -> str:
    if labels == ANY_HOST:
        return "The organization has no host yet"
    named = ", ".join(f"{name}={value}" for name, value in sorted(pairs_of(labels)))
    return f"No host of the organization carries the labels {named}"


def _of(total: int) -> str:
    return (
        "The only host that could take it is not" if total == 1 else f"None of the {total} hosts that could take it is"
    )
