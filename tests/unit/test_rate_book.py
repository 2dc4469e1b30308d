"""Jobs per minute, from what dashboards are told."""

import pytest

from interlock.wire import HostEvent, JobEvent
from web.rate_book import MINUTE, MINUTES, RateBook


class Clock:
    def __init__(self) -> None:
        self.at = 1_000 * MINUTE + 7

    def now(self) -> int:
        return self.at

    def chance(self) -> float:
        return 0.5


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def book(clock: Clock) -> RateBook:
    return RateBook(clock)


def job(status: str, *, will_retry: bool = False) -> JobEvent:
    return JobEvent(
        job_id="j",
        job_run_id="r",
        type="t",
        host_id=None,
        status="s",
        job_status=status,
        attempt=1,
        will_retry=will_retry,
    )


def test_each_end_is_counted_once_by_how_the_job_stands(book: RateBook) -> None:
    book.count("org", "job.created", job("PENDING"))
    book.count("org", "job_run.started", job("RUNNING"))
    for status in ("COMPLETED", "COMPLETED", "FAILED", "CANCELLED"):
        book.count("org", "job_run.done", job(status))
    book.count("org", "job.cancelled", job("CANCELLED"))  # beside the end of its run
    book.count("org", "job_run.done", job("PENDING", will_retry=True))
    book.count("org", "host.online", HostEvent(host_id="h", presence="online", health="ok", awaiting_idle=False))
    rates = book.of("org")
    last = [each[-1] for each in (rates.created, rates.completed, rates.failed, rates.cancelled, rates.retried)]
    assert last == [1, 2, 1, 1, 1]


def test_minutes_move_on_and_are_forgotten_after_an_hour(book: RateBook, clock: Clock) -> None:
    book.count("org", "job.created", job("PENDING"))
    clock.at += 2 * MINUTE
    book.count("org", "job.created", job("PENDING"))
    assert book.of("org").created == [*[0] * (MINUTES - 3), 1, 0, 1]
    clock.at += (MINUTES - 2) * MINUTE
    assert book.of("org").created == [0, 1, *[0] * (MINUTES - 2)]
    clock.at += 2 * MINUTE
    book.count("other", "job.created", job("PENDING"))
    assert book.of("org").created == [0] * MINUTES
    assert sum(book.of("other").created) == 1


def test_an_hour_says_when_it_begins_and_since_when_it_was_counted(book: RateBook, clock: Clock) -> None:
    clock.at += 5 * MINUTE
    rates = book.of("org")
    assert rates.begins_at == "1970-01-01T15:46:00.000Z"
    assert rates.counted_since == "1970-01-01T16:40:00.007Z"
    assert rates.minute_seconds == 60
