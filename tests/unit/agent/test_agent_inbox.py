"""What waits to be looked at, and the clock that can stand."""

import asyncio

from interlock.agent.inbox import MAX_OFFERS, Inbox, Offer
from interlock.agent.limit import Limit
from interlock.wire import TakenJob


def own(name: str) -> Offer:
    job = TakenJob(
        job_id=name, job_run_id=f"run of {name}", run_no=1, type="WORK", payload={}, attempt=1, timeout_seconds=1
    )
    return Offer(name, "WORK", job)


def hint(name: str) -> Offer:
    return Offer(name, "WORK", None)


def drained(inbox: Inbox) -> list[str]:
    names = []
    while (offer := inbox.next_offer()) is not None:
        names.append(offer.job_id)
    return names


def test_jobs_of_the_host_come_before_hints_each_in_order() -> None:
    inbox = Inbox()
    for offer in (hint("c"), own("a"), hint("d"), own("b")):
        inbox.offer(offer)
    assert inbox.filled.is_set()
    assert drained(inbox) == ["a", "b", "c", "d"]
    assert not inbox.filled.is_set()


def test_an_offer_that_comes_twice_is_looked_at_once() -> None:
    inbox = Inbox()
    for offer in (hint("a"), hint("a"), own("b"), own("b")):
        inbox.offer(offer)
    assert drained(inbox) == ["b", "a"]


def test_more_than_it_holds_pushes_out_the_oldest() -> None:
    inbox = Inbox()
    for number in range(MAX_OFFERS + 5):
        inbox.offer(hint(str(number)))
        inbox.cancel(f"run {number}")
    assert drained(inbox)[0] == "5"
    assert inbox.next_cancel() == "run 5"


def test_a_cancel_takes_back_the_offer_that_nobody_has_looked_at() -> None:
    inbox = Inbox()
    inbox.offer(own("a"))
    inbox.cancel("run of a")
    assert drained(inbox) == []
    assert inbox.next_cancel() is None


def test_a_run_that_begins_learns_of_its_cancel_and_makes_older_offers_stale() -> None:
    inbox = Inbox()
    inbox.offer(hint("b"))
    inbox.cancel("run of a")
    assert inbox.begin("run of a")
    assert not inbox.begin("run of a")
    assert drained(inbox) == []


async def test_a_clock_that_is_held_does_not_run_out() -> None:
    ended = asyncio.Event()
    limit = Limit(0.0, ended.set)
    with limit.held(), limit.held():
        for _ in range(3):
            await asyncio.sleep(0)
        assert not ended.is_set()
    await ended.wait()


async def test_a_clock_is_all_but_over_in_its_last_moment_and_not_before_it() -> None:
    clocks = [Limit(seconds, lambda: None) for seconds in (0.0, 60.0)]
    assert [clock.is_all_but_over() for clock in clocks] == [True, False]
    with clocks[0].held(), clocks[1].held():
        assert [clock.is_all_but_over() for clock in clocks] == [True, False]
    for clock in clocks:
        clock.cancel()


async def test_a_clock_that_is_cancelled_calls_nobody() -> None:
    called: list[bool] = []
    limit = Limit(0.0, lambda: called.append(True))
    limit.cancel()
    await asyncio.sleep(0)
    assert called == []
