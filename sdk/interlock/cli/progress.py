"""What a person sees of work that takes a while, on stderr: bars on a terminal, a line for each change elsewhere."""

import contextlib
import os
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Protocol

from interlock.cli.exits import printable
from interlock.cli.job_tables import waits
from interlock.cli.output import say
from interlock.ids import JobId
from interlock.wire import Job

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

MOST_BARS = 12  # jobs with a bar each; of more, one bar shows how many have ended
_ENDED = {"COMPLETED", "FAILED", "CANCELLED"}


class Display(Protocol):
    """Shows how jobs get on."""

    def saw(self, job: Job) -> None:
        """A job as it is now."""

    def note(self, text: str) -> None:
        """A sentence about the waiting itself."""


class Lines:
    """A line whenever something has changed."""

    def __init__(self) -> None:
        self._said: dict[JobId, str] = {}
        self._noted = ""

    def saw(self, job: Job) -> None:
        """Say how it stands, unless that is as before."""
        line = _stands(job)
        if self._said.get(job.id) != line or self._noted:
            say(line)
        self._said[job.id], self._noted = line, ""

    def note(self, text: str) -> None:
        """Say it once in a row."""
        if text != self._noted:
            say(text)
            self._noted = text


class Bars:
    """A bar for each of a few jobs, or one for all of many. `total`: how many jobs there are."""

    def __init__(self, progress: "Progress", total: int) -> None:
        self._progress = progress
        self._each = total <= MOST_BARS
        self._tasks: dict[JobId, TaskID] = {}
        self._ended: dict[JobId, str] = {}
        self._all = None if self._each else progress.add_task("jobs", total=total, words="")

    def saw(self, job: Job) -> None:
        """Move its bar."""
        if job.status in _ENDED:
            self._ended[job.id] = job.status
        if self._all is not None:
            failed = sum(status != "COMPLETED" for status in self._ended.values())
            words = f"{failed} not completed" if failed else ""
            self._progress.update(self._all, completed=len(self._ended), words=words)
            return
        if job.id not in self._tasks:
            self._tasks[job.id] = self._progress.add_task(printable(job.type), total=100, words="")
        done = 100 if job.status == "COMPLETED" else job.progress
        self._progress.update(self._tasks[job.id], completed=done, words=_words(job))
        if job.status in _ENDED:
            self._progress.stop_task(self._tasks[job.id])

    def note(self, text: str) -> None:
        """A line above the bars."""
        self._progress.console.print(f"interlock: {printable(text)}", markup=False, highlight=False)


@contextlib.contextmanager
def display(total: int) -> Iterator[Display]:
    """Bars where stderr is a terminal, else lines; bars stay there as they are when the block is left."""
    if not is_terminal():
        yield Lines()
        return
    with bars() as progress:
        yield Bars(progress, total)


def bars() -> "Progress":
    """Bars on stderr with room for words behind each, as plain text: it comes from other machines."""
    from rich.console import Console  # noqa: PLC0415 - only a terminal pays for it
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn  # noqa: PLC0415

    return Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=24),
        TaskProgressColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.fields[words]}", markup=False),
        console=Console(stderr=True, highlight=False),
    )


def is_terminal() -> bool:
    """Whether stderr is a terminal on which bars can be drawn."""
    return sys.stderr.isatty() and os.environ.get("TERM") != "dumb"


def _stands(job: Job) -> str:
    reason = f" ({job.wait.reason})" if job.wait else ""
    attempt = f", attempt {job.attempts} of {job.max_attempts}" if job.attempts else ""
    return f"{job.id} is {job.status}{reason}{attempt}."


def _words(job: Job) -> str:
    attempt = f"attempt {job.attempts} of {job.max_attempts}" if job.attempts > 1 else ""
    why = waits(job) or (job.error_message or "" if job.status == "FAILED" else "")
    return printable(", ".join(each for each in (job.status, attempt, why) if each))
