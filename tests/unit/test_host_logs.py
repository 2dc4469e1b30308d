"""A run's log as its host writes it: what comes again is known, what is too much shows, and a rebuilt actor goes on."""

from typing import Any

import pytest

from actors.limits import Limits
from actors.messages import AppendLogs, Line
from interlock.wire import LogAnswer
from store.logs import TRUNCATED
from tests.support.hosts import HostRig


@pytest.fixture
def host() -> HostRig:
    return HostRig()


def running(host: HostRig) -> tuple[str, str]:
    """A job and its run, which the agent has taken."""
    created = host.create()
    return created.job.id, host.take(instance="a", running=())


def lines(host: HostRig) -> list[tuple[Any, ...]]:
    """Number within the job, the agent's own, level and text of all that is stored."""
    return [(row[4], row[5], row[6], row[7]) for row in host.rows.appended_to("job_log")]


def numbered(host: HostRig, run_id: str, *numbers: int) -> LogAnswer:
    message = AppendLogs(job_run_id=run_id, lines=tuple(Line(each, "info", f"line {each}", None) for each in numbers))
    answer = host.do(message).reply
    assert isinstance(answer, LogAnswer), answer
    return answer


def test_the_answer_says_which_line_is_expected_next(host: HostRig) -> None:
    _, run_id = running(host)
    assert [numbered(host, run_id, *each).next_seq for each in ((), (1, 2), (4, 5), (2,), (3,))] == [0, 3, 3, 3, 6]
    assert [line[1] for line in lines(host)] == [1, 2, 4, 5, 3]


def test_after_a_rebuild_it_is_read_from_the_rows(host: HostRig) -> None:
    _, run_id = running(host)
    numbered(host, run_id, 1, 2, 5)
    host.rebuild()
    assert numbered(host, run_id, 2, 3).next_seq == 4
    host.rebuild()
    host.progress(run_id, 10, message="a tenth")
    assert numbered(host, run_id, 4).next_seq == 6
    assert [line[1] for line in lines(host)] == [1, 2, 5, 3, None, 4]


def test_it_goes_on_behind_the_end_of_the_run(host: HostRig) -> None:
    _, run_id = running(host)
    numbered(host, run_id, 1)
    host.report(run_id)
    running(host)
    answer = numbered(host, run_id, 1, 2)
    assert (answer.status, answer.next_seq) == ("success", 3)
    host.rebuild()
    assert numbered(host, run_id, 3, 2).next_seq == 4
    assert [line[1] for line in lines(host)] == [1, 2, 3]


def test_lines_that_trail_touch_nothing_but_the_log(host: HostRig) -> None:
    job_id, run_id = running(host)
    host.report(run_id)
    job = host.rows.jobs[job_id]
    host.do(AppendLogs(job_run_id=run_id, lines=(Line(1, "info", "last words", None),)))
    assert host.rows.jobs[job_id] is job


def test_a_log_with_too_many_lines_ends_with_one_that_says_so() -> None:
    host = HostRig(limits=Limits(max_log_lines=3))
    _, run_id = running(host)
    assert not numbered(host, run_id, 1, 2, 3).truncated
    answers = [numbered(host, run_id, *each) for each in ((3,), (4, 5, 6), (7,), (1,))]
    assert [answer.truncated for answer in answers] == [False, True, True, True]
    assert answers[1].next_seq == 7  # nothing of what came is expected again
    host.progress(run_id, 50, message="half")
    host.rebuild()
    assert numbered(host, run_id, 8).truncated
    assert [line[1] for line in lines(host)] == [1, 2, 3, TRUNCATED]
    assert lines(host)[-1][2] == "warn"
    assert "truncated" in lines(host)[-1][3]
    assert host.rows.jobs[host.rows.runs[run_id].job_id].progress == 50


def test_a_log_with_too_many_bytes_ends_too_and_messages_of_progress_count() -> None:
    host = HostRig(limits=Limits(max_log_bytes=20))
    _, run_id = running(host)
    host.progress(run_id, 10, message="ééééé")
    assert not numbered(host, run_id, 1).truncated
    assert numbered(host, run_id, 2).truncated
    assert [line[1] for line in lines(host)] == [None, 1, TRUNCATED]


def test_of_ten_ended_runs_the_first_ones_are_read_again(host: HostRig) -> None:
    run_ids = []
    for _ in range(10):
        _, run_id = running(host)
        numbered(host, run_id, 1)
        host.report(run_id)
        run_ids.append(run_id)
    assert len(host.state.logs or ()) == 8
    assert [numbered(host, run_id, 1, 2).next_seq for run_id in run_ids] == [3] * 10
    assert len(lines(host)) == 20


def test_one_event_tells_of_what_is_new_and_none_of_what_is_not(host: HostRig) -> None:
    _, run_id = running(host)
    numbered(host, run_id, 1, 2)
    numbered(host, run_id, 1, 2)
    assert host.events.count("job.log") == 1
