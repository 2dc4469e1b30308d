"""W3C Trace Context: what keeps to the specification is taken, anything else counts as absent."""

import pytest
from aiohttp.test_utils import make_mocked_request
from multidict import CIMultiDict

from web.trace import MOST_MEMBERS, MOST_STATE, trace_id, trace_of, traceparent, tracestate

TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
PARENT = f"00-{TRACE}-{SPAN}-01"


def trace(*headers: tuple[str, str]) -> str | None:
    return trace_of(make_mocked_request("POST", "/jobs", headers=CIMultiDict(headers)))


@pytest.mark.parametrize(
    ("given", "taken"),
    [
        (PARENT, PARENT),
        (f" {PARENT}\t", PARENT),
        (f"00-{TRACE}-{SPAN}-00", f"00-{TRACE}-{SPAN}-00"),
        (f"cc-{TRACE}-{SPAN}-01", PARENT),
        (f"cc-{TRACE}-{SPAN}-01-what-comes-later", PARENT),
    ],
)
def test_a_valid_parent_is_taken_and_a_later_version_as_far_as_it_is_known(given: str, taken: str) -> None:
    assert traceparent(given) == taken


@pytest.mark.parametrize(
    "given",
    [
        "",
        "00",
        f"00-{TRACE}-{SPAN}",
        f"00-{TRACE}-{SPAN}-01-more",
        f"00-{TRACE}-{SPAN}-1",
        f"00-{TRACE}-{SPAN}-0x",
        f"ff-{TRACE}-{SPAN}-01",
        f"cc-{TRACE}-{SPAN}-01.more",
        f"00-{TRACE.upper()}-{SPAN}-01",
        f"00-{'0' * 32}-{SPAN}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"00-{TRACE[:-1]}-{SPAN}-01",
        f"00-{TRACE}-{SPAN}-01\n",
        f"00-{TRACE[:-1]}٤-{SPAN}-01",
    ],
)
def test_an_invalid_parent_counts_as_none(given: str) -> None:
    assert traceparent(given) is None


def test_the_state_goes_with_its_parent() -> None:
    assert trace(("traceparent", PARENT), ("tracestate", "congo=t61, rojo=00f,")) == f"{PARENT} congo=t61,rojo=00f"
    assert trace(("Traceparent", PARENT), ("Tracestate", "a=1"), ("tracestate", "b@c=2 3")) == f"{PARENT} a=1,b@c=2 3"


def test_a_state_without_a_valid_parent_is_nothing() -> None:
    assert trace(("tracestate", "congo=t61")) is None
    assert trace(("traceparent", "00-no-no-00"), ("tracestate", "congo=t61")) is None


def test_two_parents_are_none() -> None:
    assert trace(("traceparent", PARENT), ("traceparent", PARENT)) is None


@pytest.mark.parametrize(
    "given", ["", ",,", "a", "a=", "=1", "A=1", "a=1,a=2", "a=1=2", "a=\x7f", "a=é", "1a=2", f"{'a' * 257}=1"]
)
def test_an_invalid_state_is_left_out_and_its_parent_kept(given: str) -> None:
    assert tracestate(given) is None
    assert trace(("traceparent", PARENT), ("tracestate", given)) == PARENT


def test_too_many_members_are_invalid() -> None:
    members = [f"k{number}=v" for number in range(MOST_MEMBERS + 1)]
    assert tracestate(",".join(members[:-1])) is not None
    assert tracestate(",".join(members)) is None


def test_a_long_state_loses_its_long_members_first_and_then_its_last() -> None:
    long, short = f"long={'x' * 200}", [f"k{number:02}={'y' * 60}" for number in range(10)]
    kept = tracestate(",".join([long, *short]))
    assert kept == ",".join(short[:7])
    assert len(kept) <= MOST_STATE


def test_the_log_shows_the_traces_id() -> None:
    assert trace_id(f"{PARENT} a=1") == TRACE
