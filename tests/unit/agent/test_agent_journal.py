"""The journal: what it says after any history, and after any end of that history."""

import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from interlock.agent import StateInUse, StateUnusable
from interlock.agent import journal as journal_module
from interlock.agent.book import Admission, Book
from interlock.agent.identity import ProcessIdentity
from interlock.agent.journal import JOURNAL_NAME, Journal
from interlock.agent.lock import LOCK_NAME, state_lock
from interlock.wire import Report, TakenJob

HOST = "01890000-0000-7000-8000-000000000000"
KEPT = 3
SUCCESS = Report(status="success", output={"a": 1})


def taken(number: int, run: str | None = None) -> TakenJob:
    return TakenJob(
        job_id=f"job {number}",
        job_run_id=run if run is not None else f"run {number}",
        run_no=number,
        type="T",
        payload={},
        attempt=1,
        timeout_seconds=1.0,
    )


def opened(folder: Path, most_bytes: int = 2**20) -> Journal:
    return Journal(folder, HOST, kept=KEPT, most_bytes=most_bytes)


def picture(book: Book) -> list[Any]:
    return [msgspec.to_builtins(entry) for entry in book.entries()]


STEPS = ("started", "spawned", "finished", "acknowledged")
histories = st.lists(st.tuples(st.integers(1, 8), st.integers(1, 4)), max_size=8)


def live(journal: Journal, history: list[tuple[int, int]]) -> list[tuple[int, list[Any]]]:
    """Do runs of rising numbers, each for some of its steps; the file's length and the book after each step."""
    path = journal._path
    seen = [(path.stat().st_size, picture(journal.book))]
    number = 0
    for gap, steps in history:
        number += gap
        run = f"run {number}"
        calls = (
            lambda number=number: journal.started(taken(number)),
            lambda run=run, number=number: journal.spawned(run, ProcessIdentity(number, 5, "boot")),
            lambda run=run, number=number: journal.finished(run, Report(status="success", output={"n": number})),
            lambda run=run: journal.acknowledged(run),
        )
        for call in calls[:steps]:
            call()
            seen.append((path.stat().st_size, picture(journal.book)))
    return seen


@given(histories)
@settings(max_examples=60, deadline=None)
def test_a_journal_read_again_says_what_it_said(history: list[tuple[int, int]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        journal = opened(Path(folder))
        live(journal, history)
        said = picture(journal.book)
        journal.close()
        again = opened(Path(folder))
        assert picture(again.book) == said
        again.close()
        once_more = opened(Path(folder))
        assert picture(once_more.book) == said
        once_more.close()


@given(histories, st.data())
@settings(max_examples=60, deadline=None)
def test_a_file_cut_anywhere_says_what_was_true_at_the_last_whole_entry(
    history: list[tuple[int, int]], data: st.DataObject
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        journal = opened(Path(folder))
        seen = live(journal, history)
        journal.close()
        path = Path(folder) / JOURNAL_NAME
        whole = path.read_bytes()
        cut = data.draw(st.integers(seen[0][0], len(whole)))
        garbage = data.draw(st.sampled_from([b"", b"\0\0\0", b'{"event":"sta', b"\0\n"]))
        path.write_bytes(whole[:cut] + garbage)
        again = opened(Path(folder))
        assert picture(again.book) == max(((size, book) for size, book in seen if size <= cut), key=lambda s: s[0])[1]
        again.started(taken(1000))
        again.close()
        last = opened(Path(folder))
        assert last.book.last_run_no == 1000
        last.close()


@given(histories)
@settings(max_examples=60, deadline=None)
def test_of_acknowledged_runs_the_last_few_are_kept_and_of_others_all(history: list[tuple[int, int]]) -> None:
    book = Book(HOST, kept=KEPT)
    with tempfile.TemporaryDirectory() as folder:
        journal = opened(Path(folder))
        live(journal, history)
        book = journal.book
        journal.close()
    numbers = [sum(gap for gap, _ in history[: index + 1]) for index in range(len(history))]
    done = [number for number, (_, steps) in zip(numbers, history, strict=True) if steps == 4]
    owed = [number for number, (_, steps) in zip(numbers, history, strict=True) if steps == 3]
    assert [run.job_run_id for run in book.unreported()] == [f"run {number}" for number in owed]
    assert {number for number in done if book.knows(f"run {number}")} == set(done[-KEPT:])
    assert book.last_run_no == max(numbers, default=0)


def test_a_run_is_admitted_by_its_number_and_its_history(tmp_path: Path) -> None:
    journal = opened(tmp_path)
    journal.started(taken(5))
    assert journal.book.admit(5, "run 5") is Admission.RUNNING
    journal.finished("run 5", SUCCESS)
    assert journal.book.admit(5, "run 5") is Admission.FINISHED
    assert journal.book.admit(5, "another") is Admission.TWIN
    assert journal.book.admit(4, "another") is Admission.LOWER
    assert journal.book.admit(6, "another") is Admission.NEW
    journal.close()


def test_a_result_asked_for_again_is_owed_again(tmp_path: Path) -> None:
    journal = opened(tmp_path)
    journal.started(taken(1))
    journal.finished("run 1", SUCCESS)
    journal.acknowledged("run 1")
    assert journal.book.unreported() == []
    journal.book.report_again("run 1")
    assert [(owed.job_run_id, owed.report) for owed in journal.book.unreported()] == [("run 1", SUCCESS)]
    journal.close()


def test_the_file_stays_small_however_many_jobs_are_done(tmp_path: Path) -> None:
    journal = opened(tmp_path)
    for number in range(1, 200):
        journal.started(taken(number))
        journal.finished(f"run {number}", SUCCESS)
        journal.acknowledged(f"run {number}")
    assert len((tmp_path / JOURNAL_NAME).read_bytes().splitlines()) < journal_module.COMPACT_AFTER + 20
    journal.close()


def big(number: int, size: int) -> Report:
    return Report(status="success", output={"n": number, "text": "x" * size})


def test_the_file_stays_small_however_large_the_results_are(tmp_path: Path) -> None:
    journal = opened(tmp_path, most_bytes=10_000)
    sizes = []
    for number in range(1, 100):
        journal.started(taken(number))
        journal.finished(f"run {number}", big(number, 3000))
        journal.acknowledged(f"run {number}")
        sizes.append((tmp_path / JOURNAL_NAME).stat().st_size)
    assert max(sizes) < 10_000 + 4000
    journal.close()
    again = opened(tmp_path, most_bytes=10_000)
    assert again.book.admit(99, "run 99") is Admission.FINISHED
    assert again.book.admit(98, "another") is Admission.LOWER
    again.close()


def test_what_is_owed_is_never_let_go_for_its_size(tmp_path: Path) -> None:
    journal = opened(tmp_path, most_bytes=1000)
    for number in range(1, 6):
        journal.started(taken(number))
        journal.finished(f"run {number}", big(number, 3000))
    assert len(journal.book.unreported()) == 5
    journal.close()
    again = opened(tmp_path, most_bytes=1000)
    assert [owed.report for owed in again.book.unreported()] == [big(number, 3000) for number in range(1, 6)]
    again.close()


def test_a_disk_without_room_for_a_fresh_file_leaves_the_old_one_in_use(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    journal = opened(tmp_path, most_bytes=1000)
    write = journal_module._write

    def refuse_all_at_once(descriptor: int, entries: Any) -> int:
        listed = list(entries)
        if len(listed) > 1:
            os.write(descriptor, b"half a")
            raise OSError(28, "No space left on device")
        return write(descriptor, listed)

    with monkeypatch.context() as patched:
        patched.setattr(journal_module, "_write", refuse_all_at_once)
        for number in range(1, 20):
            journal.started(taken(number))
            journal.finished(f"run {number}", SUCCESS)
    said = picture(journal.book)
    journal.close()
    assert "cannot be written afresh and grows: No space left on device" in caplog.text
    assert [path.name for path in tmp_path.iterdir()] == [JOURNAL_NAME]
    again = opened(tmp_path)
    assert picture(again.book) == said
    again.close()


def test_the_room_on_the_disk_is_what_an_ordinary_user_has_left(tmp_path: Path) -> None:
    journal = opened(tmp_path)
    before, free, after = shutil.disk_usage(tmp_path).free, journal.free_bytes(), shutil.disk_usage(tmp_path).free
    assert 0 < free <= max(before, after)
    journal.close()


def test_a_state_directory_that_is_gone_is_unusable(tmp_path: Path) -> None:
    (tmp_path / "state").mkdir()
    journal = opened(tmp_path / "state")
    shutil.rmtree(tmp_path / "state")
    with pytest.raises(StateUnusable, match="cannot be looked at"):
        journal.free_bytes()
    journal.close()


@pytest.mark.parametrize("tail", [b"\0" * 4096, b"\0" * 5000 + b"\n", b"\xff\xfe", b"{}"])
def test_a_tail_that_power_loss_left_behind_is_cut_off(tmp_path: Path, tail: bytes) -> None:
    journal = opened(tmp_path)
    journal.started(taken(1))
    journal.finished("run 1", SUCCESS)
    said = picture(journal.book)
    journal.close()
    with (tmp_path / JOURNAL_NAME).open("ab") as file:
        file.write(tail)
    again = opened(tmp_path)
    assert picture(again.book) == said
    again.close()
    assert b"\0" not in (tmp_path / JOURNAL_NAME).read_bytes()


def test_damage_in_the_middle_is_not_passed_over(tmp_path: Path) -> None:
    journal = opened(tmp_path)
    journal.started(taken(1))
    journal.finished("run 1", SUCCESS)
    journal.close()
    path = tmp_path / JOURNAL_NAME
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(lines[0] + lines[1][:10] + b"\n" + lines[2])
    with pytest.raises(StateUnusable, match="damaged in line 2 of 3"):
        opened(tmp_path)


def test_after_a_failed_write_nothing_more_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    journal = opened(tmp_path)

    def refuse(*_: object) -> None:
        raise OSError(5, "Input/output error")

    with monkeypatch.context() as patched:
        patched.setattr(journal_module, "_write", refuse)
        with pytest.raises(StateUnusable, match="Input/output error"):
            journal.started(taken(1))
    before = (tmp_path / JOURNAL_NAME).read_bytes()
    with pytest.raises(StateUnusable, match="Input/output error"):
        journal.finished("run 1", SUCCESS)
    assert (tmp_path / JOURNAL_NAME).read_bytes() == before
    assert [owed.job_run_id for owed in journal.book.unreported()] == ["run 1"]
    journal.close()


def test_the_journal_of_another_host_is_left_alone(tmp_path: Path) -> None:
    opened(tmp_path).close()
    with pytest.raises(StateUnusable, match="belongs to host"):
        Journal(tmp_path, "01890000-0000-7000-8000-000000000001", kept=KEPT, most_bytes=2**20)


def test_results_are_readable_by_their_owner_only(tmp_path: Path) -> None:
    with state_lock(tmp_path / "state"):
        opened(tmp_path / "state").close()
        modes = {path.name: path.stat().st_mode & 0o777 for path in (tmp_path / "state").iterdir()}
    assert modes == {LOCK_NAME: 0o600, JOURNAL_NAME: 0o600}
    assert (tmp_path / "state").stat().st_mode & 0o777 == 0o700


def test_a_lock_is_free_again_once_it_is_let_go(tmp_path: Path) -> None:
    with state_lock(tmp_path), pytest.raises(StateInUse), state_lock(tmp_path):
        pass
    with state_lock(tmp_path):
        pass


def test_a_state_directory_that_cannot_be_made_says_so(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StateUnusable, match="cannot be used"), state_lock(tmp_path / "file" / "state"):
        pass
