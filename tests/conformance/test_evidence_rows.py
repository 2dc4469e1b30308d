"""Evidence, files and what is stored of a log are the same on every database."""

from typing import Any

import pytest

from interlock.errors import PayloadTooLarge, QuotaExceeded
from interlock.states import RunStatus
from store.assets import AssetQuotas, AssetRow, add_asset, asset_of, asset_page, check_room
from store.entries import Append
from store.evidence import EvidenceStored, evidence_page, evidence_stored, run_and_evidence
from store.job_lists import list_jobs
from store.jobs import JobFilter, full_job
from store.logs import TRUNCATED, LogStored, is_over, log_stored, run_and_log
from store.rows import RunRow
from tests.support.desk import Desk, append, log_line, moved
from tests.support.rows import AT, new_id

NO_QUOTA = AssetQuotas(0, 0, 0)


def evidence(run: RunRow, digest: str, **values: Any) -> Append:
    plain = {
        "job_id": run.job_id,
        "job_run_id": run.id,
        "hash": digest,
        "size_bytes": 10,
        "collected_at": AT,
        "type": "company",
        "confidence": "high",
        "source": "maps",
        "title": "Café Ω 漢😀 ' \" \\ %s",
        "snippet": "{}",
    }
    return append("evidence", **(plain | values))


# ---- evidence ----------------------------------------------------------------------------------------------------------


def test_evidence_that_comes_again_is_left_as_it_is_and_another_job_has_its_own(desk: Desk) -> None:
    at, other = desk.host(), desk.host()
    (job, run), (_, second) = desk.running_job(at), desk.running_job(other)
    desk.committed(at.entry(evidence(run, "a", title="first"), evidence(run, "a", title="again")))
    desk.committed(at.entry(evidence(run, "a", title="later"), evidence(run, "b")), other.entry(evidence(second, "a")))
    assert [row.title for row in evidence_page(desk.database, job.id, "", 1)] == ["first"]
    assert desk.count("evidence") == 3


def test_what_a_job_has_is_counted_and_found_by_hash(desk: Desk) -> None:
    at = desk.host()
    job, run = desk.running_job(at)
    assert evidence_stored(desk.database, job.id, {"a"}) == EvidenceStored(0, 0, {})
    kept = evidence(run, "a", size_bytes=2**40)
    desk.committed(at.entry(kept, evidence(run, "b")))
    stored = evidence_stored(desk.database, job.id, {"a", "z"})
    assert stored == EvidenceStored(2, 2**40 + 10, {"a": kept.values[0]})
    assert type(stored.size_bytes) is int
    assert evidence_stored(desk.database, job.id, ()).ids == {}
    assert run_and_evidence(desk.database, run.id, {"a"}) == (job, run, EvidenceStored(2, 2**40 + 10, stored.ids))
    assert run_and_evidence(desk.database, "nowhere", {"a"}) == (None, None, None)


def test_pages_are_oldest_first_and_every_value_is_kept_to_the_letter(desk: Desk) -> None:
    at = desk.host()
    job, run = desk.running_job(at)
    desk.committed(at.entry(*(evidence(run, f"{number}", url=f"http://x/{number}") for number in range(5))))
    first = evidence_page(desk.database, job.id, "", 2)
    rest = evidence_page(desk.database, job.id, first[-1].id, 10)
    assert [row.hash for row in first + rest] == ["0", "1", "2", "3", "4"]
    assert (first[0].title, first[0].url, first[0].job_run_id) == ("Café Ω 漢😀 ' \" \\ %s", "http://x/0", run.id)
    assert (first[0].created_at, first[0].collected_at, first[0].size_bytes) == (AT, AT, 10)
    full, (listed,) = full_job(desk.database, "org", job.id), list_jobs(desk.database, "org", JobFilter(), 10).jobs
    assert full is not None
    assert (full.evidence, listed.evidence) == (5, 5)


# ---- files -------------------------------------------------------------------------------------------------------------


def asset(run: RunRow, **values: Any) -> AssetRow:
    plain = AssetRow(new_id(), "org", run.job_id, run.id, "a.png", "image/png", 10, "00" * 32, AT)
    return plain._replace(**values)


def added(desk: Desk, made: AssetRow, quotas: AssetQuotas = NO_QUOTA) -> tuple[AssetRow, bool]:
    with desk.database.atomic(*desk.committer.begin):
        return add_asset(desk.database, made, quotas)


def test_the_same_file_is_kept_once_and_other_content_or_another_name_is_another(desk: Desk) -> None:
    job, run = desk.running_job(desk.host())
    first = asset(run)
    assert added(desk, first) == (first, True)
    assert added(desk, asset(run, content_type="text/plain")) == (first, False)
    others = [asset(run, sha256="11" * 32), asset(run, name="b.png"), asset(run, job_run_id=new_id())]
    assert [added(desk, other) for other in others] == [(other, True) for other in others]
    assert asset_page(desk.database, job.id, "", 10) == [first, *others]
    assert asset_page(desk.database, job.id, first.id, 1) == others[:1]
    assert asset_of(desk.database, job.id, first.id) == first
    assert asset_of(desk.database, "another", first.id) is None


def test_a_job_and_an_org_keep_no_more_than_their_share(desk: Desk) -> None:
    _, run = desk.running_job(desk.host())
    first = asset(run)
    added(desk, first)
    more = asset(run, name="b.png", size_bytes=2**40)
    for quotas in (AssetQuotas(1, 0, 0), AssetQuotas(0, 2**40 + 9, 0)):
        with pytest.raises(PayloadTooLarge):
            added(desk, more, quotas)
        with pytest.raises(PayloadTooLarge):
            check_room(desk.database, more, quotas)
        assert added(desk, first, quotas) == (first, False)  # it is there already
    with pytest.raises(QuotaExceeded):
        check_room(desk.database, more, AssetQuotas(0, 0, 2**40 + 9))
    check_room(desk.database, more, AssetQuotas(2, 2**40 + 10, 2**40 + 10))
    check_room(desk.database, asset(run, org_id="other", job_id="other"), AssetQuotas(1, 10, 10))


# ---- logs --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("numbers", "stored"),
    [
        ((), LogStored(0, 0, [], truncated=False)),
        ((1, 2, 3), LogStored(3, 12, [(1, 3)], truncated=False)),
        ((5, 0, 1, None), LogStored(4, 16, [(0, 1), (5, 5)], truncated=False)),
        ((1, TRUNCATED), LogStored(2, 8, [(1, 1)], truncated=True)),
        ((None,), LogStored(1, 4, [], truncated=False)),
    ],
)
def test_what_is_stored_of_a_log_is_counted_in_bytes(
    desk: Desk, numbers: tuple[int | None, ...], stored: LogStored
) -> None:
    at = desk.host()
    job, run = desk.running_job(at)
    desk.committed(at.entry(*(log_line(run, number, "éab") for number in numbers)))
    assert log_stored(desk.database, run.id) == stored
    assert run_and_log(desk.database, run.id) == (job, run, stored)
    assert run_and_log(desk.database, "nowhere") == (None, None, None)


def test_lines_of_hosts_that_know_nothing_of_each_other_are_numbered_in_one_row(desk: Desk) -> None:
    """A job that went back to its pool runs on another host while the first one's last lines still come in."""
    first, second = desk.host(), desk.host()
    _, run = desk.running_job(first)
    desk.committed(first.entry(log_line(run, 1, "one")), second.entry(log_line(run, 2, "two")))
    desk.committed(second.entry(log_line(run, 3, "three")), first.entry(log_line(run, 4, "four")))
    found = desk.rows("SELECT seq FROM job_log ORDER BY seq")
    assert found == [(1,), (2,), (3,), (4,)]
    assert desk.rows("SELECT log_seq FROM job") == [(4,)]


def test_a_job_is_over_when_it_has_ended(desk: Desk) -> None:
    at = desk.host()
    job, run = desk.running_job(at)
    assert not is_over(desk.database, job.id)
    job.completed_at = AT
    desk.committed(at.entry(*moved(job, run, RunStatus.SUCCESS)))
    assert is_over(desk.database, job.id)
