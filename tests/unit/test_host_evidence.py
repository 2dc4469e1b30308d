"""Evidence as a host keeps it: once per job, within its quota, also behind the end of the run."""

import hashlib

import pytest

from actors.limits import Limits
from actors.messages import AddEvidence, EvidenceItem, RefusedItem
from interlock.errors import InvalidState, NotFound
from interlock.states import RunStatus
from interlock.wire import EvidenceAnswer
from tests.support.hosts import HostRig


@pytest.fixture
def host() -> HostRig:
    return HostRig()


def running(host: HostRig) -> str:
    """The run of a new job, which the agent has taken."""
    host.create()
    return host.take(instance="a", running=())


def item(text: str, size: int = 10) -> EvidenceItem:
    digest = hashlib.sha256(text.encode()).hexdigest()
    return EvidenceItem(digest, size, None, "company", "high", "maps", text, None, "{}")


def found(host: HostRig, run_id: str, *items: EvidenceItem | RefusedItem) -> EvidenceAnswer:
    answer = host.do(AddEvidence(job_run_id=run_id, items=items)).reply
    assert isinstance(answer, EvidenceAnswer), answer
    return answer


def verdicts(answer: EvidenceAnswer) -> list[str]:
    return [each.verdict for each in answer.items]


def test_the_same_in_one_request_and_in_the_next_is_kept_once(host: HostRig) -> None:
    run_id = running(host)
    first = found(host, run_id, item("a"), item("b"), item("a"), RefusedItem("no"))
    again = found(host, run_id, item("b"), item("c"))
    assert verdicts(first) == ["created", "created", "duplicate", "rejected"]
    assert verdicts(again) == ["duplicate", "created"]
    assert (first.created, first.duplicates, first.rejected) == (2, 1, 1)
    assert again.items[0].id == first.items[1].id
    assert len(host.rows.appended_to("evidence")) == 3
    assert host.events.count("evidence.added") == 2


def test_what_is_stored_carries_the_run_the_job_and_the_time(host: HostRig) -> None:
    run_id = running(host)
    answer = found(host, run_id, item("a"))
    (row,) = host.rows.appended_to("evidence")
    assert row[:4] == (answer.items[0].id, "org", host.rows.runs[run_id].job_id, run_id)
    assert row[6:8] == (host.now, host.now)


def test_it_extends_the_lease_and_tells_of_a_cancel(host: HostRig) -> None:
    run_id = running(host)
    host.beat(run_id, instance="a")
    host.wait(50)
    found(host, run_id, item("a"))
    host.wait(50)
    assert host.status_of(run_id) is RunStatus.RUNNING
    host.cancel(host.rows.runs[run_id].job_id)
    assert found(host, run_id).cancel_requested
    assert found(host, run_id, item("b")).cancel_requested


def test_without_items_it_only_tells_the_state_and_reads_nothing(host: HostRig) -> None:
    run_id = running(host)
    d = host.decide(AddEvidence(job_run_id=run_id, items=()))
    assert d.look_up is None
    assert d.reply.status == "running"


def test_what_trails_the_result_is_kept(host: HostRig) -> None:
    run_id = running(host)
    found(host, run_id, item("a"))
    host.report(run_id)
    running(host)
    answer = found(host, run_id, item("a"), item("b"))
    assert (answer.status, verdicts(answer)) == ("success", ["duplicate", "created"])
    assert found(host, run_id).status == "success"


def test_a_run_that_has_not_started_or_never_was_is_refused(host: HostRig) -> None:
    created = host.create()
    assert isinstance(host.do(AddEvidence(job_run_id=created.run.id, items=(item("a"),))).reply, InvalidState)
    assert isinstance(host.do(AddEvidence(job_run_id="nowhere", items=(item("a"),))).reply, NotFound)
    assert host.rows.appended_to("evidence") == []


@pytest.mark.parametrize("limits", [Limits(max_evidence_per_job=2), Limits(max_evidence_bytes_per_job=25)])
def test_what_is_over_the_jobs_quota_is_rejected_with_a_sentence(limits: Limits) -> None:
    host = HostRig(limits=limits)
    run_id = running(host)
    answer = found(host, run_id, item("a"), item("b"), item("c"), item("a"))
    assert verdicts(answer) == ["created", "created", "rejected", "duplicate"]
    assert "may have" in (answer.items[2].message or "")
    host.rebuild()
    assert verdicts(found(host, run_id, item("d"), item("a"))) == ["rejected", "duplicate"]


def test_a_quota_of_nothing_is_none() -> None:
    host = HostRig(limits=Limits(max_evidence_per_job=0, max_evidence_bytes_per_job=0))
    run_id = running(host)
    assert found(host, run_id, *(item(str(number)) for number in range(20))).created == 20
