"""What the demo shows: lines that stay readable in a pipe, and on a terminal colours and a progress line below."""

import time
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.text import Text


class Screen:
    """Counts checks and prints; use as a context manager, so that the progress line is always taken away."""

    def __init__(self, checks_expected: int) -> None:
        self.passed = 0
        self.failed: list[str] = []
        self._expected = checks_expected
        self._began_at = time.monotonic()
        self._console = Console(highlight=False, markup=False, emoji=False)
        self._progress = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TextColumn("checks"),
            TimeElapsedColumn(),
            console=self._console,
            transient=True,
            disable=not self._console.is_terminal,
        )
        self._task = self._progress.add_task("starting", total=checks_expected)

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._progress.stop()

    @property
    def seconds(self) -> float:
        """How long the demo has been running."""
        return time.monotonic() - self._began_at

    def scene(self, title: str) -> None:
        """What is about to happen."""
        self._progress.update(self._task, description=title)
        self._print("")
        self._print(f"── {title}", style="bold")

    def event(self, who: str, what: str, style: str = "") -> None:
        """Something that happened, as the control plane told it."""
        self._print(f"{self.seconds:7.2f} s  {who:<8} {what}", style=style or "dim")

    def check(self, passed: bool, what: str) -> None:
        """Something that was looked at, and what was found."""
        if passed:
            self.passed += 1
        else:
            self.failed.append(what)
        self._progress.update(self._task, advance=1)
        count = f"[{self.made:>2}/{self._expected}]"
        self._print(f"  {count} {'ok    ' if passed else 'FAILED'}  {what}", style="green" if passed else "bold red")

    def line(self, text: str = "", style: str = "") -> None:
        """Plain text, never wrapped: commands stay ready to be copied."""
        self._print(text, style=style)

    def give_up(self, why: str) -> None:
        """The demo cannot go on."""
        self.line()
        for each in why.splitlines():
            self._print(each, style="bold red")

    def sum_up(self) -> None:
        """The checks are over: the progress line goes, the result stays."""
        self._progress.stop()
        self.line()
        self._print(
            f"{self.passed} of {self._expected} checks passed in {self.seconds:.1f} s.",
            style="bold green" if self.complete else "bold red",
        )
        for what in self.failed:
            self._print(f"  not so: {what}", style="red")

    @property
    def made(self) -> int:
        """How many checks were made."""
        return self.passed + len(self.failed)

    @property
    def complete(self) -> bool:
        """Whether every expected check was made and passed."""
        return not self.failed and self.passed == self._expected

    def _print(self, text: str, style: str = "") -> None:
        printable = "".join(each if each.isprintable() else " " for each in text)
        # A Text with a style of its own: given to print(), the style would colour the progress line as well.
        self._console.print(Text(printable, style=style), soft_wrap=True)
