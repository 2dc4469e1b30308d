"""The pure parts of `./scripts/bench`: percentiles, verdicts, tables, and the reading of HTTP replies."""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from unittest.mock import patch

import pytest
from benches import unguarded
from benches.agents import run_in
from benches.connection import Connection, Reply, post
from benches.figures import Cores, Floor, Row, Yardstick, document, loads, number, percentile, table
from benches.fleet_rows import rows
from benches.plan import BenchFailed, Outcome
from benches.production_rows import production_rows
from benches.production_sizes import QUICK_PRODUCTION, ProductionSizes
from benches.seed import sow
from benches.sizes import QUICK, Sizes
from hypothesis import given
from hypothesis import strategies as st

from interlock.states import RunStatus
from store import open_database
from store.claims import claim

RUN = "01900000-0000-7000-8000-000000000001"


def test_a_percentile_is_one_of_the_values_by_nearest_rank() -> None:
    values = [15.0, 20.0, 35.0, 40.0, 50.0]
    assert [percentile(values, percent) for percent in (0, 5, 30, 40, 50, 100)] == [15, 15, 20, 20, 35, 50]


def test_the_order_of_values_does_not_matter_to_a_percentile() -> None:
    assert percentile([3.0, 1.0, 2.0], 50) == 2


def test_there_is_no_percentile_of_nothing() -> None:
    with pytest.raises(ValueError, match="nothing"):
        percentile([], 50)


@given(st.lists(st.floats(0, 1e6), min_size=1), st.floats(0, 100))
def test_at_least_so_many_percent_do_not_exceed_a_percentile(values: list[float], percent: float) -> None:
    found = percentile(values, percent)
    assert found in values
    assert sum(value <= found for value in values) * 100 >= percent * len(values) * (1 - 1e-12)


def test_a_floor_holds_from_its_bound_on() -> None:
    assert Floor(at_least=0.09).holds(0.09)
    assert not Floor(at_least=0.09).holds(0.0899)
    assert Floor(at_most=6).holds(6)
    assert not Floor(at_most=6).holds(6.1)


def test_a_ratio_is_the_median_of_the_rounds_ratios() -> None:
    row = Row(name="jobs", unit="/s", values=[10, 30, 80], yardstick=Yardstick("bare", [100, 100, 400]))
    assert row.value == 30
    assert row.ratio == 0.2


def test_a_floor_is_of_the_ratio_if_there_is_one_else_of_the_value() -> None:
    bare = Yardstick("bare", [100])
    assert Row(name="", unit="", values=[10], yardstick=bare, floor=Floor(at_least=0.1)).passed is True
    assert Row(name="", unit="", values=[10], floor=Floor(at_most=9)).passed is False
    assert Row(name="", unit="", values=[10]).passed is None


def test_a_yardstick_of_nothing_gives_no_finite_ratio() -> None:
    row = Row(name="", unit="", values=[1], yardstick=Yardstick("bare", [0]), floor=Floor(at_most=4))
    assert row.ratio == float("inf")
    assert row.passed is False


@pytest.mark.parametrize(
    ("value", "shown"), [(0.08912, "0.0891"), (6.128, "6.13"), (15_204.3, "15,204"), (0, "0"), (float("inf"), "inf")]
)
def test_numbers_show_three_digits_or_all_of_their_whole_part(value: float, shown: str) -> None:
    assert number(value) == shown


def test_a_table_lines_its_columns_up_and_gives_verdicts() -> None:
    bare = Yardstick("bare POST/s", [10_000])
    text = table(
        [
            Row(name="single", unit="jobs/s", values=[1000], yardstick=bare, floor=Floor(at_least=0.09)),
            Row(name="batch and more", unit="jobs/s", values=[1500], yardstick=bare, floor=Floor(at_least=0.2)),
        ]
    )
    head, rule, first, second = text.splitlines()
    assert head.startswith("figure ")
    assert set(rule) == {"-", " "}
    assert first.split() == [
        "single",
        "1,000",
        "jobs/s",
        "1,000",
        "-",
        "1,000",
        *["bare", "POST/s", "10,000", "0.1", "≥", "0.09", "pass"],
    ]
    assert second.endswith("≥ 0.2   MISS")
    assert first.index("jobs/s") == second.index("jobs/s") == head.index("unit")


def test_the_table_of_loads_shows_the_median_of_each_part() -> None:
    text = loads({"echo": [Cores(1, 0.5, 0), Cores(0.9, 0.4, 1), Cores(0.8, 0.6, 0.1)]})
    assert text.splitlines()[-1].split() == ["echo", "0.90", "0.50", "0.10", "0.00"]


def test_a_row_as_a_document_has_every_rounds_value() -> None:
    row = Row(name="n", unit="u", values=[1, 3], yardstick=Yardstick("y", [2, 2]), floor=Floor(at_least=0.5))
    assert document(row) == {
        "name": "n",
        "unit": "u",
        "median": 2,
        "rounds": [1, 3],
        "yardstick": {"name": "y", "rounds": [2, 2]},
        "ratio": 1,
        "floor": "≥ 0.5",
        "passed": True,
    }


def test_every_floor_has_a_row_whatever_the_sizes() -> None:
    taken: dict[str, list[float]] = defaultdict(lambda: [1.0, 2.0, 3.0])
    for sizes in (Sizes(), QUICK):
        found = rows(sizes, taken)
        assert len({row.name for row in found}) == len(found)
        assert sum(row.floor is not None for row in found) == 10


def test_every_floor_of_production_has_a_row_whatever_the_sizes() -> None:
    taken: dict[str, list[float]] = defaultdict(lambda: [1.0, 2.0, 3.0])
    for sizes in (ProductionSizes(), QUICK_PRODUCTION):
        found = production_rows(sizes, taken)
        assert len({row.name for row in found}) == len(found)
        assert sum(row.floor is not None for row in found) == 14


def test_an_owner_finds_the_jobs_that_were_sown_in_their_order(tmp_path: Path) -> None:
    seed = sow(tmp_path / "data", hosts=1, others=2, pending=3)
    database = open_database(f"sqlite://{seed.folder / 'interlock.db'}")
    with database.connection_context():
        for host in seed.others:
            claimed = claim(database, "me", [host.id])[host.id]
            assert sorted(job.seq for job, _ in claimed.runs) == [1, 2, 3]
            assert claimed.host.next_seq == 4
            assert {run.status for _, run in claimed.runs} == {RunStatus.PENDING}
            assert all(run.job_id == job.id for job, run in claimed.runs)


def test_without_fence_and_events_there_is_still_something_to_switch_off() -> None:
    try:
        unguarded.no_fence()
        unguarded.no_events()
    finally:
        patch.stopall()


def test_an_outcome_divides_by_count_and_by_seconds() -> None:
    outcome = Outcome(count=100, seconds=2, server_cpu_seconds=1, driver_cpu_seconds=0.5, foreign_cpu_seconds=0)
    assert outcome.rate == 50
    assert outcome.server_cpu_us == 10_000
    assert outcome.cores == (0.5, 0.25, 0, 0)


def test_the_cpu_of_engines_is_told_apart_and_added_when_all_is_asked_for() -> None:
    outcome = Outcome(
        count=100,
        seconds=2,
        server_cpu_seconds=1,
        driver_cpu_seconds=0.5,
        foreign_cpu_seconds=0,
        engines_cpu_seconds=0.2,
    )
    assert outcome.server_cpu_us == 10_000
    assert outcome.all_cpu_us == 12_000
    assert outcome.cores == (0.5, 0.25, 0, 0.1)


def test_the_run_in_a_reply_is_found_wherever_it_stands() -> None:
    assert run_in(b'{"jobId":"x","jobRunId":"%s","runNo":1}' % RUN.encode()) == RUN
    assert run_in(b'{"status":"success","next":{"jobRunId":"%s"}}' % RUN.encode()) == RUN
    assert run_in(b'{"status":"success","next":null}') is None


def test_a_request_says_how_long_its_body_is() -> None:
    request = post("/jobs", "secret", b"{}")
    assert request.startswith(b"POST /jobs HTTP/1.1\r\n")
    assert b"\r\nAuthorization: Bearer secret\r\n" in request
    assert request.endswith(b"\r\nContent-Length: 2\r\n\r\n{}")
    assert b"Authorization" not in post("/echo", "", b"{}")


@asynccontextmanager
async def server_that_says(*pieces: bytes) -> AsyncIterator[int]:
    """A server that answers any first bytes with these pieces and hangs up; its port."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1000)
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(0)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1]


async def asked(port: int) -> Reply:
    connection = await Connection.open(port)
    try:
        return await connection.begin(b"GET / HTTP/1.1\r\n\r\n")
    finally:
        connection.close()


@pytest.mark.parametrize(
    ("pieces", "reply"),
    [
        ((b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}",), Reply(200, b"{}")),
        ((b"HTTP/1.1 200 OK\r\ncontent-le", b"ngth: 4\r\nServer: x\r\n\r", b"\nab", b"cd"), Reply(200, b"abcd")),
        ((b"HTTP/1.1 204 No Content\r\nServer: x\r\n\r\n",), Reply(204, b"")),
    ],
)
async def test_a_reply_is_whole_however_it_arrives(pieces: tuple[bytes, ...], reply: Reply) -> None:
    async with server_that_says(*pieces) as port:
        assert await asked(port) == reply


async def test_a_connection_that_closes_without_a_reply_fails_the_bench() -> None:
    async with server_that_says(b"HTTP/1.1 200 OK\r\n") as port:
        with pytest.raises(BenchFailed, match="closed"):
            await asked(port)


async def test_another_status_than_expected_fails_the_bench() -> None:
    async with server_that_says(b"HTTP/1.1 503 No\r\nContent-Length: 2\r\n\r\n{}") as port:
        connection = await Connection.open(port)
        with pytest.raises(BenchFailed, match="503"):
            await connection.ask(b"GET / HTTP/1.1\r\n\r\n", 200)
        connection.close()
