"""The pure parts of `./scripts/bench dashboard`: slopes, verdicts, rows, and what falls due when."""

import math

import pytest
from benches.dashboard import PAGES, ROWS, TEXT
from benches.dashboard_events import parts
from benches.dashboard_rows import dashboard_rows
from benches.dashboard_sizes import QUICK_DASHBOARD, DashboardSizes
from benches.plan import FleetHost
from benches.slopes import FEWEST, Slope, slope, verdict
from hypothesis import given
from hypothesis import strategies as st

numbers = st.floats(-1e3, 1e3)


@given(numbers, numbers, st.lists(st.integers(0, 1000), min_size=3, max_size=30, unique=True))
def test_the_slope_of_a_straight_line_is_found_whatever_the_samples(grows: float, start: float, at: list[int]) -> None:
    line = slope(at, [start + grows * x for x in at])
    assert line.per_unit == pytest.approx(grows, abs=1e-3)
    assert line.error == pytest.approx(0, abs=1e-3)


def test_two_samples_make_a_line_of_which_nothing_is_sure() -> None:
    assert slope([0, 2], [1, 5]) == Slope(2, math.inf)


@pytest.mark.parametrize("at", [[], [1], [3, 3, 3], [1, 2]])
def test_no_line_goes_through_fewer_than_two_places(at: list[float]) -> None:
    with pytest.raises(ValueError, match="two places"):
        slope(at, [1.0] * 3 if len(at) == 2 else [1.0] * len(at))


def test_uneven_samples_make_an_error_that_hides_a_small_slope() -> None:
    even, uneven = [1.0, 1.1, 1.2, 1.3, 1.4, 1.5], [1.0, 1.9, 0.4, 1.8, 0.9, 1.5]
    minutes = [0.0, 1.0, 2.0, 3.0, 4.0, 5.0]
    assert verdict(slope(minutes, even), 6, most=0.05) == "grows"
    assert verdict(slope(minutes, uneven), 6, most=0.05) == "unsure"


def test_what_certainly_grows_by_less_than_allowed_is_flat() -> None:
    assert verdict(Slope(0.02, 0.01), 10, most=0.05) == "flat"
    assert verdict(Slope(-1.0, 0.3), 10, most=0.05) == "flat"
    assert verdict(Slope(0.02, 0.02), 10, most=0.05) == "unsure"
    assert verdict(Slope(0.2, 0.01), 10, most=0.05) == "grows"


def test_nothing_is_said_of_a_few_samples() -> None:
    assert verdict(Slope(0.0, 0.0), FEWEST - 1, most=1) == "unsure"


def test_one_host_in_ten_turns_its_jobs_over() -> None:
    hosts = [FleetHost(str(number), "", "") for number in range(1000)]
    fresh, again, long = parts(hosts)
    assert (len(fresh), len(again), len(long)) == (50, 50, 900)
    assert [*fresh, *again, *long] == hosts


def figures() -> dict[str, list[float]]:
    """As a run leaves them, in which all is well."""
    live = ("longest", "longest CPU", "held up", "busy", "ms each", "p50", "p99", "unseen", "long longest")
    memory = ("MB", "heap slope", "heap bound", "elements", "elements bound")
    found = {f"{page} {key}": [0.0] for page in PAGES for key in (*live, *memory)}
    found |= {f"{page} {key}": [100.0] for page in (*PAGES, ROWS, TEXT) for key in ("paint", "shown", "KB")}
    return found | {f"{page} heard": [200.0] for page in PAGES}


def test_memory_is_judged_after_a_long_run_only() -> None:
    judged = {True: 0, False: 0}
    for sizes in (DashboardSizes(), QUICK_DASHBOARD):
        rows = dashboard_rows(sizes, figures())
        assert all(row.passed is not False for row in rows)
        judged[sizes.minutes >= 10] = sum("heap" in row.name and row.floor is not None for row in rows)
    assert judged == {True: len(PAGES), False: 0}


def test_a_first_paint_is_held_against_the_clock_and_shown_beside_the_yardstick() -> None:
    late = figures() | {"jobs paint": [301.0]}
    rows = [row for row in dashboard_rows(DashboardSizes(), late) if row.name == "jobs: first paint"]
    assert [(row.passed, row.ratio) for row in rows] == [(False, None), (None, 3.01)]
