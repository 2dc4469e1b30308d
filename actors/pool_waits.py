"""Why is a pool job not running? From its org's hosts, counted by their labels."""

from collections.abc import Collection, Sequence
from typing import NamedTuple

from interlock.states import RunStatus
from interlock.wire import Wait, when
from store.labels import ANY_HOST, carries, pairs_of
from store.pool import HostsAlike
from store.rows import JobRow, RunRow


class Candidates(NamedTuple):
    """The hosts that carry certain labels."""

    hosts: int
    connected: int
    busy: int  # of those connected
    barred: int  # of those connected, from taking anything now


NO_HOST = Candidates(0, 0, 0, 0)


class Census:
    """An org's hosts as they were counted at one moment. What it has said of some labels it remembers: of 10,000 hosts no
    two may carry the same, and the jobs of a batch, or of a page, all ask.

    `idle` are the labels of hosts that this process knows to wait for work: their rows may not say so yet.
    """

    def __init__(self, hosts: Sequence[HostsAlike] = (), idle: Collection[str] = ()) -> None:
        self._hosts = hosts
        self._idle = idle
        self._candidates: dict[str, Candidates] = {}
        self._is_awaited: dict[str, bool] = {}

    def idle_are(self, idle: Collection[str]) -> None:
        """Those that are idle now; the same object as before says that nothing has changed."""
        if idle is not self._idle:
            self._idle = idle
            self._is_awaited.clear()

    def candidates(self, labels: str) -> Candidates:
        """Who could take a job that wants these labels."""
        found = self._candidates.get(labels)
        if found is None:
            fitting = [alike[1:] for alike in self._hosts if carries(alike.labels, labels)]
            found = self._candidates[labels] = Candidates(*map(sum, zip(*fitting, strict=True))) if fitting else NO_HOST
        return found

    def is_awaited(self, labels: str) -> bool:
        """Whether an idle host could take it."""
        found = self._is_awaited.get(labels)
        if found is None:
            found = self._is_awaited[labels] = any(carries(each, labels) for each in self._idle)
        return found


def wait_in_pool(
    job: JobRow, run: RunRow, census: Census, position: int | None, *, turned_down: bool = False
) -> Wait | None:
    """The reason, its place among those that want the same labels if that is known, and until when. `turned_down`: each
    idle host that could take it has refused it.
    """
    if run.status is RunStatus.SCHEDULED and run.attempt > 1:
        return Wait("backoff", None, f"Attempt {run.attempt} of {job.max_attempts} waits", when(run.available_at))
    if run.status is RunStatus.SCHEDULED:
        return Wait("scheduled", None, "Not due yet", when(run.available_at))
    if run.status is not RunStatus.PENDING:
        return None
    labels = job.labels or ANY_HOST
    total, connected, busy, barred = census.candidates(labels)
    if not total:
        return Wait("no_matching_host", position, _nobody(labels))
    awaited = census.is_awaited(labels)
    if not awaited and not connected:
        return Wait("host_offline", position, f"{_of(total)} connected")
    if not awaited and busy + barred >= connected:
        also = f", and {barred} may not take anything now" if barred else ""
        return Wait("host_busy", position, f"{busy} of {connected} connected hosts that could take it are busy{also}")
    if turned_down:
        return Wait("behind", position, "The idle hosts that could take it have all refused it: it waits for another")
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
