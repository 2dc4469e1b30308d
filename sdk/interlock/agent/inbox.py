"""What the server has pushed and the agent has yet to look at: offers of work, and cancels of runs not begun here.

Pushes may come twice, late, or while a run is at work. Memory is bounded: the server repeats what still waits once
the host is idle again.
"""

import asyncio
from typing import NamedTuple

from interlock.ids import JobId, JobRunId
from interlock.wire import TakenJob

MAX_OFFERS = 200  # the server hints at no more than half as many at a time


class Offer(NamedTuple):
    """A job that may be taken by an ack. `job` is known for the host's own, a hint only names a pool job."""

    job_id: JobId
    type: str
    job: TakenJob | None


class Inbox:
    """In order of arrival, but cancels before offers and the host's own jobs before hints."""

    def __init__(self) -> None:
        self.filled = asyncio.Event()
        self._own: dict[JobId, Offer] = {}
        self._hints: dict[JobId, Offer] = {}
        self._cancels: dict[JobRunId, None] = {}  # a set in order of arrival

    def offer(self, offer: Offer) -> None:
        """Take in an offer; a newer one of the same job takes the place of the older."""
        offers = self._hints if offer.job is None else self._own
        offers[offer.job_id] = offer
        if len(offers) > MAX_OFFERS:
            del offers[next(iter(offers))]
        self.filled.set()

    def cancel(self, job_run_id: JobRunId) -> None:
        """Take in a cancel of a run that is not at work; an offer of it that nobody has looked at is gone with it."""
        for offer in list(self._own.values()):
            if offer.job is not None and offer.job.job_run_id == job_run_id:
                del self._own[offer.job_id]
                return
        self._cancels[job_run_id] = None
        if len(self._cancels) > MAX_OFFERS:
            del self._cancels[next(iter(self._cancels))]
        self.filled.set()

    def next_cancel(self) -> JobRunId | None:
        """The oldest cancel, taken out."""
        job_run_id = next(iter(self._cancels), None)
        if job_run_id is not None:
            del self._cancels[job_run_id]
        return job_run_id

    def next_offer(self) -> Offer | None:
        """The next offer, taken out."""
        for offers in (self._own, self._hints):
            for job_id in offers:
                return offers.pop(job_id)
        self.filled.clear()
        return None

    def begin(self, job_run_id: JobRunId) -> bool:
        """A run begins: older offers are stale. True when it was cancelled before it could."""
        self.forget_offers()
        return self.withdrawn(job_run_id)

    def withdrawn(self, job_run_id: JobRunId) -> bool:
        """Whether there is a cancel of this run, which is thereby dealt with."""
        if job_run_id not in self._cancels:
            return False
        del self._cancels[job_run_id]
        return True

    def forget_offers(self) -> None:
        """What was offered on a link that has ended, or before a run began, is offered again if it still waits."""
        self._own.clear()
        self._hints.clear()
