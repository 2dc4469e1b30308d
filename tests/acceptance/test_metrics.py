"""`/metrics`: what the docs list is there and nothing else, in both formats, and it counts what happens."""

import re
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import Metric
from prometheus_client.openmetrics import parser as openmetrics
from prometheus_client.parser import text_string_to_metric_families

from interlock.states import TERMINAL
from runtime.redis_parts import _figures
from tests.support.callers import Plane, Tenant

PAGES = Path(__file__).parents[2] / "docs"
DOCS = PAGES / "observability.md"
OF_HISTOGRAMS = re.compile("_(bucket|sum|count)$")
OTHERS = {"interlock_restored"}  # names of ours that are no metrics: of a database
NOTHING: Any = None
LABELS = {"event", "status", "outcome", "le"}
Figures = dict[str, float]


async def families(plane: Plane, accept: str = "") -> list[Metric]:
    reply = await plane.stranger.get("/metrics", headers={"Accept": accept} if accept else {})
    assert reply.status == 200
    parse = openmetrics.text_string_to_metric_families if "openmetrics" in accept else text_string_to_metric_families
    return list(parse(reply.body.decode()))


async def figures(plane: Plane) -> Figures:
    """All samples, by name and labels as Prometheus writes them."""
    return {
        sample.name + "".join(f'{{{name}="{value}"}}' for name, value in sorted(sample.labels.items())): sample.value
        for family in await families(plane)
        for sample in family.samples
    }


def documented() -> dict[str, tuple[str, set[str]]]:
    """The tables of the docs: kind and labels by name."""
    rows = re.findall(r"^\| `(interlock_\w+)(?:\{([\w,]+)\})?` \| (\w+) \|", DOCS.read_text(), re.MULTILINE)
    return {name: (kind, set(filter(None, labels.split(",")))) for name, labels, kind in rows}


def shown_as(family: Metric) -> str:
    return family.name + ("_total" if family.type == "counter" else "")


async def test_every_documented_metric_is_there_and_every_metric_is_documented(plane: Plane) -> None:
    there = {shown_as(each): each.type for each in await families(plane) if each.name.startswith("interlock_")}
    gauges, counters = _figures(NOTHING, NOTHING, NOTHING)  # those of Redis, which this server does without
    there |= {name: "gauge" for name, _, _ in gauges} | {f"{name}_total": "counter" for name, _, _ in counters}
    assert {name: kind for name, (kind, _) in documented().items()} == there


def test_every_metric_that_a_page_names_is_documented() -> None:
    known = set(documented()) | OTHERS
    for page in sorted(PAGES.rglob("*.md")):
        named = {OF_HISTOGRAMS.sub("", name) for name in re.findall(r"\binterlock_[a-z_]+", page.read_text())}
        assert named <= known, page.name


async def test_names_and_labels_keep_to_the_conventions(plane: Plane) -> None:
    for family in await families(plane):
        assert family.documentation.endswith((".", "s"))
        assert family.name.startswith(("interlock_", "process_"))
        for sample in family.samples:
            assert set(sample.labels) <= LABELS
            if family.name.startswith("interlock_"):
                assert set(sample.labels) - {"le"} == documented()[shown_as(family)][1]


async def test_openmetrics_is_given_to_who_asks_for_it(plane: Plane) -> None:
    accept = "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5"
    reply = await plane.stranger.get("/metrics", headers={"Accept": accept})
    assert reply.headers["Content-Type"] == "application/openmetrics-text; version=1.0.0; charset=utf-8"
    assert reply.body.endswith(b"# EOF\n")
    plain = await plane.stranger.get("/metrics")
    assert plain.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert {each.name for each in await families(plane, accept)} == {each.name for each in await families(plane)}


@pytest.mark.parametrize("accept", ["application/openmetrics-text;version=what", "*/*", ";;,,", "text/plain;q=x"])
async def test_no_accept_header_is_an_error(plane: Plane, accept: str) -> None:
    assert (await plane.stranger.get("/metrics", headers={"Accept": accept})).status == 200


async def test_a_jobs_life_is_counted(plane: Plane, tenant: Tenant) -> None:
    host = tenant.host()
    before = await figures(plane)
    for status in ("success", "failed"):
        await tenant.create(host, maxAttempts=1)
        await host.finish((await host.take())["jobRunId"], status)
    after = await figures(plane)

    def more(name: str) -> float:
        return after[name] - before.get(name, 0)

    assert more("interlock_jobs_created_total") == more("interlock_runs_started_total") == 2
    ends = {outcome: more(f'interlock_runs_ended_total{{outcome="{outcome}"}}') for outcome in TERMINAL}
    assert {outcome for outcome, number in ends.items() if number} == {"success", "failed"}
    assert more("interlock_dispatch_seconds_count") == 2
    assert more('interlock_dispatch_seconds_bucket{le="+Inf"}') == 2
    assert more("interlock_commit_seconds_count") == more("interlock_journal_batches_total") >= 4
    assert more("interlock_commit_decisions_sum") == more("interlock_journal_entries_total") >= 6
    assert more('interlock_http_responses_total{status="201"}') == 2


async def test_sockets_and_polls_are_counted_while_they_are_there(plane: Plane, tenant: Tenant) -> None:
    host = tenant.host()
    before = await figures(plane)
    async with tenant.watch() as watch, tenant.parked(host):
        await watch.until("host.online")
        during = await figures(plane)
    assert during["interlock_dashboard_sockets"] - before["interlock_dashboard_sockets"] == 1
    assert during["interlock_parked_polls"] - before["interlock_parked_polls"] == 1


async def test_open_runs_are_those_of_the_rows(plane: Plane) -> None:
    shown = {name: value for name, value in (await figures(plane)).items() if name.startswith("interlock_open_runs")}
    statuses = ("scheduled", "pending", "offered", "running", "cancelling", "unreachable")
    assert shown.keys() == {f'interlock_open_runs{{status="{status}"}}' for status in statuses}
