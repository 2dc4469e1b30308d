"""Following a job to its end: says what changes, and lives through a server's restart."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from interlock.cli.exits import Exit
from interlock.cli.output import say
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


@dataclass(slots=True)
class Waiting:
    """Looks at one job until it ends or `timeout_seconds` have passed (None: for ever)."""

    session: Session
    timeout_seconds: float | None = None
    now: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep
    _said: str = field(default="", init=False)
    _heard_at: float | None = field(default=None, init=False)

    def until_done(self, job_id: JobId) -> tuple[Job | None, Exit]:
        """The job as last seen, and the exit code: its outcome, or `TIMED_OUT`."""
        started_at, job = self.now(), None
        for pause in _pauses():
            job = self._look(job_id) or job
            ended = outcome(job) if job else None
            if ended is not None:
                return job, ended
            if self.timeout_seconds is not None:
                left = started_at + self.timeout_seconds - self.now()
                if left <= 0:
                    break
                pause = min(pause, left)  # noqa: PLW2901 - the last look falls on the deadline
            self.sleep(pause)
        return job, Exit.TIMED_OUT

    def _look(self, job_id: JobId) -> Job | None:
        """The job now; None during an outage that may still pass."""
        try:
            job = self.session.client.job(self.session.org, job_id)
        except TryLater as later:
            if self._heard_at is None or self.now() - self._heard_at > OUTAGE_SECONDS:
                raise
            self._say(f"{later.detail}; still waiting.")
            return None
        self._heard_at = self.now()
        self._say(_stands(job))
        return job

    def _say(self, line: str) -> None:
        if line != self._said:
            say(line)
            self._said = line


def _stands(job: Job) -> str:
    reason = f" ({job.wait.reason})" if job.wait else ""
    attempt = f", attempt {job.attempts} of {job.max_attempts}" if job.attempts else ""
    return f"{job.id} is {job.status}{reason}{attempt}."


def _pauses() -> Iterator[float]:
    pause = FIRST_PAUSE_SECONDS
    while True:
        yield pause
        pause = min(pause * 1.5, LONGEST_PAUSE_SECONDS)
