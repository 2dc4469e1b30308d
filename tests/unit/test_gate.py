"""Admission of creates: as many at once as keep the loop's turns short, the others in line, and no longer line than that."""

import asyncio

import msgspec
import pytest

from interlock.errors import Unavailable
from web.early import Doorman
from web.gate import BOUNDS, LOOKS, Bounds, Gate

CREATE = b"POST /api/orgs/acme/jobs HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}"
PATIENT = Bounds(least=2, most=8, wait_seconds=20.0, turn_seconds=0.02)


class Time:
    """A clock that stands still until it is set."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def full(bounds: Bounds, time: Time) -> Gate:
    gate = Gate(bounds, time)
    while gate.enter(1):
        pass
    return gate


def is_open(gate: Gate) -> bool:
    return not gate.closed_to("acme")


async def waits(gate: Gate, org_id: str = "acme") -> "asyncio.Task[None]":
    task = asyncio.create_task(gate.wait(1, org_id))
    await asyncio.sleep(0)
    return task


async def test_who_finds_no_place_waits_and_gets_the_next_in_turn() -> None:
    gate = full(PATIENT, Time())
    first, second = await waits(gate), await waits(gate)
    assert gate.waiting == 2
    gate.leave(1)
    await first
    assert not second.done()
    gate.leave(1)
    await second
    assert gate.waiting == 0


async def test_nobody_passes_the_line() -> None:
    gate = full(PATIENT, Time())
    first = await waits(gate)
    gate.leave(1)
    assert not gate.enter(1)
    await first


async def test_whoever_would_wait_too_long_is_refused_at_once() -> None:
    time = Time()
    gate = full(PATIENT._replace(wait_seconds=1.0), time)
    waiting = await waits(gate)
    assert is_open(gate)
    time.now += 1.1  # nobody has left for so long
    assert not is_open(gate)
    with pytest.raises(Unavailable):
        await gate.wait(1, "acme")
    assert gate.refused == 1
    gate.leave(1)
    await waiting
    assert is_open(gate)


async def test_the_line_is_as_long_as_the_rate_allows_even_when_places_become_free_in_bursts() -> None:
    gate = full(PATIENT._replace(least=1, most=16, wait_seconds=5.0), Time())
    line = [await waits(gate) for _ in range(12)]
    gate.leave(1)
    gate.leave(1)
    gate.adapt(LOOKS)  # two in two looks' time
    assert gate.expected_seconds("acme") == pytest.approx(10 * LOOKS)
    gate.adapt(0.0)  # none in another
    assert gate.expected_seconds("acme") > 10 * LOOKS
    for _ in range(12):
        gate.leave(1)
    await asyncio.gather(*line)


async def test_until_its_pace_is_known_the_line_holds_as_many_as_there_may_be_places() -> None:
    gate = full(PATIENT, Time())
    line = [await waits(gate) for _ in range(PATIENT.most)]
    assert not is_open(gate)
    with pytest.raises(Unavailable):
        await gate.wait(1, "acme")
    gate.leave(1)
    gate.adapt(0.0)
    assert is_open(gate)
    for _ in line:
        gate.leave(1)
    await asyncio.gather(*line)


async def test_one_organizations_flood_refuses_its_own_creates_and_not_anothers() -> None:
    time = Time()
    gate = full(PATIENT._replace(least=1, most=16, wait_seconds=1.0), time)
    flood = [await waits(gate) for _ in range(12)]
    gate.leave(1)
    gate.adapt(0.2 - LOOKS)  # five places in a second
    assert gate.closed_to("acme")
    assert not gate.closed_to("other")
    other = await waits(gate, "other")
    gate.leave(1)
    gate.leave(1)
    await other
    assert not flood[2].done()
    for _ in flood:
        gate.leave(1)
    await asyncio.gather(*flood)


async def test_a_wait_that_was_expected_to_be_short_does_not_last() -> None:
    gate = full(PATIENT._replace(wait_seconds=0.001), Time())
    with pytest.raises(Unavailable):
        await gate.wait(1, "acme")
    assert (gate.waiting, gate.refused) == (0, 1)


async def test_whoever_gives_up_leaves_the_line_to_the_others() -> None:
    gate = full(PATIENT, Time())
    first, second = await waits(gate), await waits(gate)
    first.cancel()
    await asyncio.gather(first, return_exceptions=True)
    assert gate.waiting == 1
    gate.leave(1)
    await second


async def test_a_place_that_was_given_to_somebody_who_just_left_is_not_lost() -> None:
    gate = full(PATIENT, Time())
    first, second = await waits(gate), await waits(gate)
    gate.leave(1)
    first.cancel()
    await asyncio.gather(first, return_exceptions=True)
    await second
    assert gate.waiting == 0
    assert not gate.enter(1)  # it is the second's now


def test_a_large_body_takes_more_places_but_never_more_than_there_always_are() -> None:
    gate = Gate(PATIENT, Time())
    assert [gate.weight(length) for length in (None, 0, 4095, 4096, 10**9)] == [1, 1, 1, 2, 2]


def test_places_shrink_while_turns_are_long_and_grow_while_they_are_short() -> None:
    gate = Gate(BOUNDS, Time())
    begun = gate.places
    gate.adapt(BOUNDS.turn_seconds * 2)
    assert gate.places < begun
    for _ in range(100):
        gate.adapt(BOUNDS.turn_seconds * 2)
    assert gate.places == BOUNDS.least
    for _ in range(100):
        gate.adapt(0.0)
    assert gate.places == BOUNDS.most
    gate.adapt(BOUNDS.turn_seconds * 0.7)
    assert gate.places == BOUNDS.most


async def test_those_who_are_let_in_are_thought_of_as_in_line_until_they_have_come() -> None:
    gate = full(PATIENT._replace(least=1, most=16, wait_seconds=1.0), Time())
    line = [await waits(gate) for _ in range(4)]
    gate.leave(1)
    gate.adapt(0.2 - LOOKS)  # five places in a second, and three wait
    assert [gate.lets_in("acme") for _ in range(4)] == [True, True, True, False]
    assert [gate.lets_in("other") for _ in range(2)] == [True, True]
    assert is_open(gate)  # to whoever has come here
    gate.has_come("acme")
    gate.has_come("never seen")
    assert [gate.lets_in("acme") for _ in range(2)] == [True, False]
    for _ in line:
        gate.leave(1)
    await asyncio.gather(*line)


async def test_whoever_is_let_in_and_never_comes_is_forgotten_with_the_next_look() -> None:
    gate = full(PATIENT._replace(least=1, most=16), Time())
    line = [await waits(gate) for _ in range(4)]
    gate.leave(1)
    gate.adapt(0.2 - LOOKS)
    while gate.lets_in("acme"):
        assert not gate.closed_to("acme")
    async with asyncio.timeout(10):
        while not gate.lets_in("acme"):  # noqa: ASYNC110 - a look tells nobody
            await asyncio.sleep(LOOKS / 10)
    for _ in line:
        gate.leave(1)
    await asyncio.gather(*line)


class Shut(Gate):
    """Open to one organization alone."""

    def lets_in(self, org_id: str) -> bool:
        return org_id == "open"


def doorman(noted: list[int]) -> Doorman:
    return Doorman(Shut(BOUNDS, Time()), lambda _: 2, noted.append)


def test_the_early_refusal_is_a_whole_answer() -> None:
    noted: list[int] = []
    answer = doorman(noted).refusal(CREATE)
    assert answer is not None
    head, _, body = answer.decode().partition("\r\n\r\n")
    assert head.startswith("HTTP/1.1 503 ")
    assert "\r\nRetry-After: 2\r\n" in head
    assert f"\r\nContent-Length: {len(body)}\r\n" in head
    assert '"code":"unavailable"' in body
    assert noted == [503]


def test_the_early_refusal_carries_the_clients_own_id() -> None:
    named = CREATE.replace(b"Host: x", b"X-Request-Id: mine-1")
    assert b'"requestId":"mine-1"' in (doorman([]).refusal(named) or b"")
    ugly = CREATE.replace(b"Host: x", b"X-Request-Id: " + b"y" * 101)
    assert b"yyy" not in (doorman([]).refusal(ugly) or b"yyy")


def test_an_id_that_json_must_quote_is_quoted_in_the_body_alone() -> None:
    answer = doorman([]).refusal(CREATE.replace(b"Host: x", b'X-Request-Id: a"b\\c')) or b""
    head, _, body = answer.partition(b"\r\n\r\n")
    assert b'\r\nX-Request-Id: a"b\\c\r\n' in head
    assert msgspec.json.decode(body)["requestId"] == 'a"b\\c'
    assert f"Content-Length: {len(body)}\r\n".encode() in head


@pytest.mark.parametrize(
    "unusual",
    [
        CREATE.replace(b"POST", b"GET"),
        CREATE.replace(b"acme", b"open"),
        CREATE.replace(b"/api/orgs/acme", b""),
        CREATE.replace(b"/jobs", b"/jobs/1/cancel"),
        CREATE.replace(b"/api/orgs/acme/jobs", b"/api/agent/hosts/h/jobs/r/result"),
        CREATE + CREATE,
        CREATE[:-1],
        CREATE[:20],
        CREATE.replace(b"Host: x", b"Expect: 100-continue"),
        CREATE.replace(b"Host: x", b"Connection: close"),
        CREATE.replace(b"Content-Length: 2", b"Transfer-Encoding: chunked"),
    ],
)
def test_whatever_is_unusual_takes_the_usual_way(unusual: bytes) -> None:
    assert doorman([]).refusal(unusual) is None
