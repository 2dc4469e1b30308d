"""Why a pool job waits, from its rows and its org's hosts."""

from collections.abc import Iterator
from typing import Any

import pytest

from actors.pool_waits import Census, wait_in_pool
from interlock.states import RunStatus
from store.pool import HostsAlike
from tests.support.rows import AT, job_row, run_row

GPU, BOTH = '{"gpu":"yes"}', '{"gpu":"yes","region":"eu"}'


def wait(labels: str, *hosts: HostsAlike, idle: tuple[str, ...] = (), **run: Any) -> tuple[str, str]:
    """Reason and detail."""
    job = job_row(host_id=None, labels=labels)
    found = wait_in_pool(job, run_row(job, **run), Census(hosts, idle), 3)
    assert found is not None
    return found.reason, found.detail


@pytest.mark.parametrize(
    ("labels", "hosts", "reason", "detail"),
    [
        ("{}", [], "no_matching_host", "The organization has no host yet"),
        (BOTH, [(GPU, 3, 3, 0, 0)], "no_matching_host", "carries the labels gpu=yes, region=eu"),
        (GPU, [(BOTH, 1, 0, 0, 0), ("{}", 1, 1, 0, 0)], "host_offline", "The only host that could take it is not"),
        ("{}", [(GPU, 2, 0, 0, 0), ("{}", 1, 0, 0, 0)], "host_offline", "None of the 3 hosts"),
        (
            GPU,
            [(GPU, 2, 2, 2, 0), ("{}", 9, 9, 0, 0)],
            "host_busy",
            "2 of 2 connected hosts that could take it are busy",
        ),
        (GPU, [(GPU, 4, 3, 2, 1)], "host_busy", "2 of 3 connected hosts that could take it are busy, and 1 may not"),
        (GPU, [(GPU, 4, 3, 2, 0)], "behind", "one of the idle hosts"),
    ],
)
def test_a_job_that_is_due_waits_for_a_host(
    labels: str, hosts: list[tuple[str, int, int, int, int]], reason: str, detail: str
) -> None:
    said = wait(labels, *(HostsAlike(*each) for each in hosts))
    assert said[0] == reason
    assert detail in said[1]


def test_a_host_that_is_known_here_to_be_idle_counts_before_its_row_says_so() -> None:
    assert wait(GPU, HostsAlike(GPU, 1, 0, 0, 0), idle=(BOTH,))[0] == "behind"


def test_a_job_that_is_not_due_says_until_when() -> None:
    assert wait("{}", status=RunStatus.SCHEDULED, available_at=AT)[0] == "scheduled"
    assert wait("{}", status=RunStatus.SCHEDULED, available_at=AT, attempt=2)[0] == "backoff"


def test_a_job_that_runs_does_not_wait() -> None:
    job = job_row(host_id="h", labels="{}")
    assert wait_in_pool(job, run_row(job, status=RunStatus.RUNNING), Census(), None) is None


class Gone(list[Any]):
    """Counts how often it is gone through."""

    times = 0

    def __iter__(self) -> Iterator[Any]:
        self.times += 1
        return super().__iter__()


def test_all_hosts_are_gone_through_once_for_each_set_of_labels() -> None:
    hosts, idle = (
        Gone([HostsAlike(f'{{"name":"{number}"}}', 1, 1, 0, 0) for number in range(3)]),
        Gone(['{"name":"7"}']),
    )
    census = Census(hosts, idle)
    for _ in range(2):
        assert census.candidates("{}") == (3, 3, 0, 0)
        assert census.candidates(GPU) == (0, 0, 0, 0)
        assert not census.is_awaited(GPU)
    assert (hosts.times, idle.times) == (2, 1)


def test_who_becomes_idle_counts_from_then_on() -> None:
    census = Census([HostsAlike(GPU, 1, 0, 0, 0)])
    assert not census.is_awaited(GPU)
    census.idle_are([BOTH])
    assert census.is_awaited(GPU)
