"""Lists of jobs: every page by its index, however few match and whatever the planner believes; and pages that lead on."""

import itertools
from collections.abc import Iterator
from typing import Any

import pytest
from benches import lists_seed
from benches.lists_seed import ANN, BEGAN, BIG, BOB, COMMON, EVERY, MIDDLE, NEEDLE, OLD_HOST, OLD_TYPE, RARE, SMALL
from peewee import Database

from interlock.job_sort import JobSort
from interlock.states import JobStatus
from store import audit_trail, job_lines, job_lists
from store.audit_trail import AuditFilter, audit_page, audit_reach
from store.job_cursors import Place, place_in
from store.job_lists import list_jobs
from store.jobs import JobFilter
from store.models import AuditEvent, Job
from tests.support.plans import Explaining

MANY = 1500
FILTERS: dict[str, list[Any]] = {
    "status": [JobStatus.COMPLETED, JobStatus.CANCELLED, JobStatus.RUNNING],
    "type": [COMMON, OLD_TYPE, RARE],
    "host_id": ["host-3", OLD_HOST],
    "created_by_id": [ANN, BOB],
    "since": [BEGAN + MANY * EVERY // 2],
    "text": [NEEDLE],
    "before_id": [lists_seed.job_id(BEGAN + 500 * EVERY, 0)],
}
ONE = [{name: value} for name, values in FILTERS.items() for value in values]
NARROW: list[dict[str, Any]] = [{}, *ONE, *(a | b for a, b in itertools.combinations(ONE, 2) if a.keys() != b.keys())]

TWO: list[dict[str, Any]] = [{"status": JobStatus.COMPLETED, "type": COMMON}, {"host_id": "host-3", "text": NEEDLE}]


@pytest.fixture
def sown(database: Database) -> Database:
    lists_seed.sow_jobs(database, MANY)
    return database


def all_of(
    database: Database, org: str, narrow: dict[str, Any], limit: int, sort: JobSort = JobSort.NEWEST
) -> Iterator[str]:
    """The ids of every page, by the cursors."""
    pages = 0
    after: Place | None = None
    while True:
        page = list_jobs(database, org, JobFilter(**narrow), limit, sort, after)
        assert len(page.jobs) <= limit
        yield from (full.id for full in page.jobs)
        if page.cursor is None:
            return
        pages += 1
        assert pages <= MANY, "it goes round in circles"
        after = place_in(sort, page.cursor)


def matching(database: Database, org: str, narrow: dict[str, Any], sort: JobSort = JobSort.NEWEST) -> list[str]:
    """The same, from the definition."""
    fits = [Job.org_id == org]
    for name, value in narrow.items():
        if name == "since":
            fits.append(Job.created_at >= value)
        elif name == "text":
            fits.append(Job.payload.contains(value))
        else:
            fits.append(Job.id < value if name == "before_id" else getattr(Job, name) == value)
    found = Job.select(Job.id, Job.status, Job.completed_at).where(*fits).order_by(Job.id.desc()).tuples()
    return [id_ for id_, _, _ in sorted(found.execute(database), key=ORDERS[sort])]


STATUSES = list(JobStatus)
OPEN_LAST = [JobStatus.RUNNING, JobStatus.PENDING]


def by_age(job: tuple[str, str, int | None], sign: int = -1) -> list[int]:
    """So that `sorted` puts the newest first, or (1) the oldest."""
    return [sign * ord(sign_of_id) for sign_of_id in job[0]]


def by_end(job: tuple[str, str, int | None], sign: int) -> tuple[int, Any, Any]:
    """Those that have not ended come last."""
    _, status, ended = job
    if ended is None:
        return (1, OPEN_LAST.index(JobStatus(status)), by_age(job))
    return (0, sign * ended, by_age(job, sign))


ORDERS: dict[JobSort, Any] = {
    JobSort.NEWEST: by_age,
    JobSort.OLDEST: lambda job: by_age(job, 1),
    JobSort.LAST_ENDED: lambda job: by_end(job, -1),
    JobSort.FIRST_ENDED: lambda job: by_end(job, 1),
    JobSort.STATUS: lambda job: (STATUSES.index(job[1]), by_age(job)),
    JobSort.STATUS_BACKWARDS: lambda job: (-STATUSES.index(job[1]), by_age(job)),
}


def test_pages_of_any_filters_reach_all_that_match_once_and_in_order(
    sown: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(job_lines, "LOOKED_AT", 90)
    monkeypatch.setattr(job_lines, "READ_OVER", 250)
    for narrow in NARROW:
        assert list(all_of(sown, BIG, narrow, 200)) == matching(sown, BIG, narrow), narrow


@pytest.mark.parametrize("sort", [sort for sort in JobSort if sort is not JobSort.NEWEST])
def test_pages_in_any_order_reach_all_that_match_once_and_in_that_order(
    sown: Database, monkeypatch: pytest.MonkeyPatch, sort: JobSort
) -> None:
    monkeypatch.setattr(job_lines, "LOOKED_AT", 90)
    monkeypatch.setattr(job_lines, "READ_OVER", 250)
    some_end_at_once(sown)
    for narrow in ({}, *ONE[::2], *TWO):
        if "before_id" not in narrow:
            assert list(all_of(sown, BIG, narrow, 150, sort)) == matching(sown, BIG, narrow, sort), narrow


def some_end_at_once(database: Database) -> None:
    """Many ends in one ms, and one hundred jobs that run."""
    Job.update(completed_at=BEGAN).where(Job.created_by_id == ANN, Job.type == OLD_TYPE).execute(database)
    newest = [full.id for full in list_jobs(database, BIG, JobFilter(status=JobStatus.COMPLETED), 100).jobs]
    Job.update(status=JobStatus.RUNNING, completed_at=None).where(Job.id.in_(newest)).execute(database)


@pytest.mark.parametrize("sort", list(JobSort))
def test_every_page_is_read_by_an_index_that_has_its_order(
    sown: Database, monkeypatch: pytest.MonkeyPatch, sort: JobSort
) -> None:
    explaining = Explaining(sown)
    monkeypatch.setattr(sown, "execute_sql", explaining.execute)
    behind = {JobSort.LAST_ENDED: Place("ENDED", (BEGAN + MANY * EVERY, "zz")), JobSort.FIRST_ENDED: None}
    every = sort is JobSort.NEWEST
    orgs, narrowed = ((BIG, MIDDLE, SMALL, "nobody"), NARROW) if every else ((BIG, "nobody"), [{}, *ONE, *TWO])
    for org, narrow in itertools.product(orgs, narrowed):
        explaining.plans.clear()
        with sown.atomic(), job_lines.by_index(sown):
            job_lists._page(sown, org, JobFilter(**narrow), 50, sort, behind.get(sort))
        assert explaining.scans() == [], (org, narrow, explaining.plans)
        text = "\n".join(explaining.plans)
        assert "job_org_id" in text or "job_ended" in text or not text, (org, narrow, text)
        assert not any(word in text for word in ("Sort", "TEMP B-TREE")), (org, narrow, text)
        by_key = text.count("job_pkey") + text.count("autoindex")
        assert by_key <= int(sort.endswith("completedAt")), (org, narrow, text)  # the rows of those that are shown


def test_a_page_looks_at_a_bounded_number_of_jobs_and_says_where_to_go_on(
    sown: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(job_lines, "LOOKED_AT", 100)
    page = list_jobs(sown, BIG, JobFilter(text="nowhere"), 50)
    assert page.jobs == []
    looked_at = matching(sown, BIG, {})[:100]
    assert page.cursor == looked_at[-1]


def test_of_two_filters_the_one_that_leads_farthest_is_followed(sown: Database) -> None:
    """Hardly anything is waiting, so all of it is looked at, though the org has many jobs of that type."""
    page = list_jobs(sown, BIG, JobFilter(status=JobStatus.PENDING, type="nothing"), 50)
    assert (page.jobs, page.cursor) == ([], None)


def test_a_whole_id_finds_its_job_however_old_it_is_and_only_in_its_org(
    sown: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(job_lines, "LOOKED_AT", 10)
    oldest = matching(sown, BIG, {})[-1]
    assert [full.id for full in list_jobs(sown, BIG, JobFilter(text=oldest), 50).jobs] == [oldest]
    assert list_jobs(sown, BIG, JobFilter(text=oldest, type="other"), 50).jobs == []
    assert list_jobs(sown, SMALL, JobFilter(text=oldest), 50).jobs == []


def test_a_narrowed_page_of_the_audit_trail_looks_at_a_bounded_number_of_lines(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audit_trail, "LOOKED_AT", 4)
    plain = {"at": BEGAN, "actor_kind": "user", "target_kind": "job", "detail": "{}"}
    for number in range(10):
        action = {"id": str(number), "org_id": "org", "action": "rare" if number == 1 else "usual"}
        AuditEvent.insert(plain | action).execute(database)
    narrow = AuditFilter(action="rare")
    seen: list[str] = []
    before, pages = "", 0
    while True:
        reach = audit_reach(database, "org", narrow, before)
        seen += [line.id for line in audit_page(database, "org", narrow, before, 9, reach)]
        pages += 1
        before = reach
        if not reach:
            break
    assert (seen, pages) == (["1"], 3)
    assert audit_reach(database, "org", AuditFilter(), "") == ""
