"""Cases as text, and how a failing one is made small."""

from typing import Any

import pytest

from tests.simulation.mix import BESIDE, STRENGTHS, Mix, calm, drawn, parsed, shown
from tests.simulation.seeds import Case, Failure
from tests.simulation.shrink import kind_of, shrink


def test_a_mix_survives_being_written_down() -> None:
    for seed in range(1, 100):
        assert parsed(shown(drawn(seed))) == drawn(seed)


def test_a_case_is_a_seed_with_the_mix_that_it_draws_or_with_one_of_its_own() -> None:
    assert Case.read("17") == Case(17)
    assert Case.read("17").whole == drawn(17)
    assert Case.read("17 hosts=2 reply_lost=0.5  # why") == Case(17, Mix(hosts=2, reply_lost=0.5))


@pytest.mark.parametrize("text", ["", "x", "17 hosts", "17 hosts=two", "17 weather=fine"])
def test_what_makes_no_sense_as_a_case_is_refused(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - argparse shows it with the text
        Case.read(text)


def test_some_seeds_are_calm_with_one_fault_and_some_have_them_all() -> None:
    on = [sum(bool(getattr(drawn(seed), name)) for name in STRENGTHS) for seed in range(1, 500)]
    assert min(on) == 1
    assert max(on) == len(STRENGTHS)


def test_every_fault_of_a_mix_has_its_strengths_and_healing_takes_all_of_them_away() -> None:
    faults: dict[str, Any] = {name: strengths[-1] for name, strengths in (STRENGTHS | BESIDE).items()}
    wild = Mix(hosts=3, jobs=5, **faults)
    assert calm(wild) == Mix(hosts=3, jobs=5)


def test_a_failing_case_loses_all_that_its_failure_does_not_need() -> None:
    def run(case: Case) -> str | None:
        mix = case.whole
        return "run 12 was lost" if mix.reply_lost and mix.jobs >= 3 else None

    failure = Failure(Case(5, Mix(hosts=3, jobs=24, seconds=90, reply_lost=0.1, cancels=0.3)), "run 7 was lost")
    least = shrink(failure, run)
    assert least.case.whole == Mix(hosts=1, jobs=3, seconds=5, reply_lost=0.1)
    assert least.what == "run 12 was lost"


def test_a_failing_case_has_no_sockets_and_no_pool_if_its_failure_needs_none() -> None:
    failure = Failure(Case(5, Mix(hosts=1, jobs=0, seconds=5, pooled=1, sockets=1, socket_drops=0.1)), "lost")
    least = shrink(failure, lambda case: "lost" if case.whole.sockets else None)
    assert least.case.whole == Mix(hosts=1, jobs=0, seconds=5, sockets=1)


def test_a_case_that_fails_in_another_way_is_no_smaller_one() -> None:
    def run(case: Case) -> str | None:
        return "two live runs" if case.whole.reply_lost else "a job is gone"

    failure = Failure(Case(5, Mix(reply_lost=0.1, request_lost=0.1)), "two live runs")
    assert shrink(failure, run).case.whole.reply_lost
    assert kind_of("run 0c000000-0000-7000-8000-000000000000 at 17") == kind_of("run 0a-1 at 4").replace("a-", "")
