"""What agents' sockets are made of: the table of frames, the allowance, the packets and the bytes on the wire."""

from typing import Any

import msgspec
import pytest

from interlock.errors import RateLimited, Unavailable
from interlock.frames import EXCHANGES, PUSHES, JobGiven
from interlock.wire import TakenJob
from tests.support.sockets import ANSWERS
from web.agent_socket import close_frame, text_frame
from web.allowance import Allowance
from web.gateway import HANDLERS
from web.links import Links, SocketLimits
from web.socketio import is_packet
from web.socketio_peers import with_fields


def test_every_event_has_one_answer_and_one_handler() -> None:
    assert {event: exchange.event for event, exchange in EXCHANGES.items()} == ANSWERS
    assert {event: handler.answer for event, handler in HANDLERS.items()} == ANSWERS
    assert set(PUSHES) == {"config", "job:available", "job:new", "job:cancel", "job:resume", "error"}


def test_a_job_on_a_socket_carries_its_payload_under_both_names() -> None:
    taken = TakenJob(
        job_id="j", job_run_id="r", run_no=1, type="T", payload=msgspec.Raw(b'{"a":1}'), attempt=1, timeout_seconds=2.0
    )
    given = msgspec.json.decode(msgspec.json.encode(JobGiven.of(taken)))
    assert given["payload"] == given["input"] == {"a": 1}
    assert set(given) == {"jobId", "jobRunId", "runNo", "type", "payload", "attempt", "timeoutSeconds", "input"}


class TestAllowance:
    """Ten a second, five at once."""

    @pytest.fixture
    def allowance(self) -> Allowance:
        return Allowance(10, 5, now=100.0)

    def test_so_many_may_come_at_once_then_some_are_refused_then_it_ends(self, allowance: Allowance) -> None:
        verdicts = [allowance.spend(10, 100.0) for _ in range(10)]
        assert verdicts == ["take"] * 5 + ["refuse"] * 4 + ["end"]

    def test_what_comes_at_the_rate_is_taken_for_ever(self, allowance: Allowance) -> None:
        assert {allowance.spend(10, 100 + number / 10) for number in range(1000)} == {"take"}

    def test_whoever_waits_as_long_as_was_said_is_taken_again(self, allowance: Allowance) -> None:
        for _ in range(7):
            verdict = allowance.spend(10, 100.0)
        assert verdict == "refuse"
        assert allowance.wait_seconds == pytest.approx(0.3)
        assert allowance.spend(10, 100.001 + allowance.wait_seconds) == "take"

    def test_a_rest_makes_good_no_more_than_the_bucket_holds(self, allowance: Allowance) -> None:
        verdicts = [allowance.spend(10, 10_000.0) for _ in range(6)]
        assert verdicts == ["take"] * 5 + ["refuse"]

    def test_a_large_frame_counts_as_several(self, allowance: Allowance) -> None:
        assert allowance.spend(3 * 65_536, 100.0) == "take"
        assert [allowance.spend(1, 100.0) for _ in range(2)] == ["take", "refuse"]

    def test_without_a_rate_everything_is_taken(self) -> None:
        allowance = Allowance(0, 1, now=0.0)
        assert {allowance.spend(10**9, 0.0) for _ in range(100)} == {"take"}


@pytest.mark.parametrize(
    ("size", "head"),
    [
        (0, b"\x81\x00"),
        (125, b"\x81\x7d"),
        (126, b"\x81\x7e\x00\x7e"),
        (65_535, b"\x81\x7e\xff\xff"),
        (65_536, b"\x81\x7f\x00\x00\x00\x00\x00\x01\x00\x00"),
    ],
)
def test_a_text_frame_has_the_header_of_its_length(size: int, head: bytes) -> None:
    assert text_frame(b"x" * size) == head + b"x" * size


def test_a_close_frame_carries_code_and_reason() -> None:
    assert close_frame(1008, "superseded") == b"\x88\x0c\x03\xf0superseded"


@pytest.mark.parametrize(
    "packet", ["40", "40/agent,{}", '42["x"]', "41/agent,", "43/agent,1[]", "2", "2probe", "3", "5"]
)
def test_packets_that_a_client_may_send(packet: str) -> None:
    assert is_packet(packet)


@pytest.mark.parametrize(
    "packet", ["", "0{}", "4", "44{}", "451-[]", "461-[]", "7", "b4", "2" * 7, "x", b"4", None, "٤0"]
)
def test_packets_that_it_may_not(packet: Any) -> None:
    assert not is_packet(packet)


@pytest.mark.parametrize(
    ("data", "fields", "made"),
    [
        (b'{"a":1}', {}, b'{"a":1}'),
        (b'{"a":1}', {"id": 7}, b'{"id":7,"a":1}'),
        (b"{}", {"seq": 1, "at": "x"}, b'{"seq":1,"at":"x"}'),
    ],
)
def test_fields_are_put_in_front_of_an_objects_own(data: bytes, fields: dict[str, Any], made: bytes) -> None:
    assert with_fields(data, **fields) == made


def test_strangers_and_connections_of_a_host_are_counted_as_long_as_they_are_there() -> None:
    links = Links(SocketLimits(strangers=1, per_host=1))
    for _ in range(2):
        with links.stranger(), pytest.raises(Unavailable), links.stranger():
            pass
        with links.of_host("a"), links.of_host("b"), pytest.raises(RateLimited), links.of_host("a"):
            pass
    assert links.strangers == 0
