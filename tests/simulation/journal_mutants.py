"""Bugs that are planted in the loop's journal, and in what it says to the process that writes."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from unittest.mock import patch

from store.committer import Written
from store.entries import Entry
from store.loop_journal import LoopJournal
from store.writer import CommitterElsewhere


@contextmanager
def told_before_an_earlier_one() -> Iterator[None]:
    """What has waited for the process's commit is written by the loop, and told before whose commit it has waited for."""

    def hasty(self: LoopJournal) -> None:
        self._busy = False
        self._go_on(quiet=True)

    with patch.object(LoopJournal, "_done", hasty):
        yield


@contextmanager
def dead_writers_batch_is_written_again() -> Iterator[None]:
    """The process has died with a batch, and that is handed in again as if it could not have been written."""
    lost = CommitterElsewhere.lost

    def hopeful(self: CommitterElsewhere, entries: Sequence[Entry], error: OSError) -> Written:
        lost(self, entries, error)
        for entry in entries:
            entry.incarnation.poisoned = False
        return Written([], [], list(entries))

    with patch.object(CommitterElsewhere, "lost", hopeful):
        yield


@contextmanager
def poison_stays_in_the_process() -> Iterator[None]:
    """That the process could not write a decision keeps nobody from sending what was decided behind it."""
    written = CommitterElsewhere.written

    def forgiving(self: CommitterElsewhere, entries: Sequence[Entry], answer: bytes) -> Written:
        before = [(entry.incarnation, entry.incarnation.poisoned) for entry in entries]
        told = written(self, entries, answer)
        for incarnation, poisoned in before:
            incarnation.poisoned = poisoned
        return told

    with patch.object(CommitterElsewhere, "written", forgiving):
        yield
