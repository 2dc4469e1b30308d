"""Following jobs to their end: says what changes, and lives through a server's restart."""

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from interlock.cli.exits import Exit
from interlock.cli.progress import Display, Lines
from interlock.cli.session import Session
from interlock.errors import TryLater
from interlock.ids import JobId
from interlock.wire import Job

_OUTCOMES = {"COMPLETED": Exit.OK, "FAILED": Exit.FAILED, "CANCELLED": Exit.CANCELLED}

OUTAGE_SECONDS = 60.0  # a server that answered before may stay silent this long before we give up
FIRST_PAUSE_SECONDS = 0.1  # between the first two looks; grows by half each time …
LONGEST_PAUSE_SECONDS = 2.0  # … up to this


def outcome(job: Job) -> Exit | None:
    """The exit code that a job's end stands for; None while it has not ended."""
    return _OUTCOMES.get(job.status)


def worst(jobs: Iterable[Job]) -> Exit:
    """The exit code of several jobs: `FAILED` when any failed, else `CANCELLED` when any was, `TIMED_OUT` while any goes on."""
    codes = {outcome(job) for job in jobs}
    order = ((None, Exit.TIMED_OUT), (Exit.FAILED, Exit.FAILED), (Exit.CANCELLED, Exit.CANCELLED))
    return next((code for found, code in order if found in codes), Exit.OK)


@dataclass(slots=True)
class Outage:
    """How long a server has been silent that answered before."""

    now: Callable[[], float] = time.monotonic
    _heard_at: float | None = field(default=None, init=False)

    def heard(self) -> None:
        """It has answered."""
        self._heard_at = self.now()

    def bear(self, later: TryLater) -> None:
        """Return when it may come back; raise `later` when it never answered, or has been silent for too long."""
        if self._heard_at is None or self.now() - self._heard_at > OUTAGE_SECONDS:
            raise later


@dataclass(slots=True)
class Waiting:
    """Looks at jobs until all have ended or `timeout_seconds` have passed (None: for ever)."""

    session: Session
    timeout_seconds: float | None = None
    now: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep
    display: Display = field(default_factory=Lines)

    def until_done(self, job_ids: Sequence[JobId]) -> tuple[list[Job], Exit]:
        """The jobs as last seen, in their order, and the exit code: the worst outcome, or `TIMED_OUT`."""
        seen: dict[JobId, Job] = {}
        outage, started_at = Outage(self.now), self.now()
        for pause in pauses():
            going = [each for each in job_ids if each not in seen or outcome(seen[each]) is None]
            for job_id in going:
                self._look(job_id, seen, outage)
            if len(seen) == len(set(job_ids)) and all(outcome(job) is not None for job in seen.values()):
                break
            if self.timeout_seconds is not None:
                left = started_at + self.timeout_seconds - self.now()
                if left <= 0:
                    return _ordered(seen, job_ids), Exit.TIMED_OUT
                pause = min(pause, left)  # noqa: PLW2901 - the last look falls on the deadline
            self.sleep(pause)
        jobs = _ordered(seen, job_ids)
        return jobs, worst(jobs)

    def _look(self, job_id: JobId, seen: dict[JobId, Job], outage: Outage) -> None:
        """The job as it is now; nothing new during an outage that may still pass."""
        try:
            seen[job_id] = self.session.client.jobs.get(self.session.org, job_id)
        except TryLater as later:
            outage.bear(later)
            self.display.note(f"{later.detail}; still waiting.")
            return
        outage.heard()
        self.display.saw(seen[job_id])


def pauses() -> Iterator[float]:
    """Seconds between two looks: short ones first."""
    pause = FIRST_PAUSE_SECONDS
    while True:
        yield pause
        pause = min(pause * 1.5, LONGEST_PAUSE_SECONDS)


def _ordered(seen: dict[JobId, Job], job_ids: Sequence[JobId]) -> list[Job]:
    return [seen[each] for each in dict.fromkeys(job_ids) if each in seen]
