"""Lines that take turns: nobody waits behind another organization's flood, and nothing of a line is lost."""

import asyncio
from random import Random

from web.fair_line import FairLine, Waiter


def waiter(org_id: str, weight: int = 1) -> Waiter:
    return Waiter(org_id, weight, asyncio.get_running_loop().create_future())


def served(line: FairLine, times: int) -> str:
    """The organizations of the next so many, in their order."""
    orgs = ""
    for _ in range(times):
        first = line.first()
        if first is None:
            break
        line.admit(first)
        orgs += first.org_id
    return orgs


async def test_one_organization_is_served_in_the_order_in_which_its_creates_came() -> None:
    line = FairLine()
    came = [waiter("a") for _ in range(3)]
    for each in came:
        line.join(each)
    for each in came:
        assert line.first() is each
        line.admit(each)
    assert (line.first(), line.weight) == (None, 0)


async def test_whoever_comes_to_a_flood_has_the_next_turn_but_one() -> None:
    line = FairLine()
    for _ in range(10):
        line.join(waiter("a"))
    assert served(line, 3) == "aaa"
    line.join(waiter("b"))
    line.join(waiter("b"))
    assert "bb" in served(line, 4).replace("a", "")


async def test_places_are_shared_by_weight() -> None:
    line = FairLine()
    for _ in range(30):
        line.join(waiter("a", weight=4))
        line.join(waiter("b"))
        line.join(waiter("b"))
    order = served(line, 20)
    assert 3 * order.count("a") <= order.count("b") <= 5 * order.count("a")


async def test_what_a_newcomer_waits_for_is_no_more_than_its_share() -> None:
    line = FairLine()
    assert line.share_of("a") == 0
    for _ in range(10):
        line.join(waiter("a"))
    assert (line.share_of("a"), line.share_of("b")) == (10, 1)
    line.join(waiter("b"))
    assert (line.share_of("a"), line.share_of("b"), line.share_of("c")) == (11, 3, 2)


async def test_whatever_comes_and_goes_everybody_is_served_once() -> None:
    random, line = Random(7), FairLine()  # noqa: S311 - the same mix each time
    here: list[Waiter] = []
    left = came = 0
    for _ in range(3000):
        if random.random() < 0.5:
            here.append(waiter(random.choice("abcdef"), random.randint(1, 3)))
            line.join(here[-1])
            came += 1
        elif here and random.random() < 0.5:
            gone = here.pop(random.randrange(len(here)))
            assert line.remove(gone)
            assert not line.remove(gone)
            left += 1
        else:
            first = line.first()
            assert (first is None) == (not here)
            if first is not None:
                assert first is next(each for each in here if each.org_id == first.org_id)
                line.admit(first)
                here.remove(first)
                left += 1
        assert line.weight == sum(each.weight for each in here) == sum(map(line.weight_of, "abcdef"))
    left += len(served(line, came))
    assert left == came
