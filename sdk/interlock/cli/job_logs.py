"""`interlock jobs logs`: a job's log, once or as it is written."""

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import TypeVar

import click

from interlock.cli.exits import Exit
from interlock.cli.job_tables import log_line
from interlock.cli.output import Format, print_json, say
from interlock.cli.session import Session, with_session
from interlock.cli.tables import has_colour
from interlock.cli.waiting import Outage, outcome, pauses
from interlock.client import Client
from interlock.errors import TryLater
from interlock.ids import JobId, OrgId
from interlock.wire import LogLine, LogPage

T = TypeVar("T")

HELD_SECONDS = 30.0  # a server holds a request for new lines this long, and a little less
PAGE = 1000  # lines in one answer, the most that the server gives


@click.command("logs", epilog="Example: interlock jobs logs JOB_ID --follow")
@click.argument("job_id")
@click.option("-f", "--follow", is_flag=True, help="Go on until the job ends, and exit with its outcome.")
@click.option("-n", "--tail", type=click.IntRange(min=0), metavar="N", help="Only the last N lines, and new ones.")
@click.option("-t", "--timestamps", is_flag=True, help="Put its time before each line.")
@with_session
def logs(session: Session, job_id: JobId, follow: bool, tail: int | None, timestamps: bool) -> None:
    """Print a job's log: as text, unless -o asks for data."""
    found = session.job(job_id)
    context = click.get_current_context()
    asked = Format(context.params["output"] or Format.TABLE)
    after = None if tail is None else _tail(session, found, tail)
    with session.patient(HELD_SECONDS if follow else 0.0) as client:
        reading = Reading(client, session.org, found, after)
        try:
            _write(reading.all_lines(follow=follow), asked, times=timestamps, follow=follow)
        except KeyboardInterrupt:
            say(f"stopped reading; the job goes on. Read on with:\n  interlock jobs logs {found} --follow --tail 0")
            context.exit(Exit.INTERRUPTED)
    if follow:
        context.exit(outcome(session.client.jobs.get(session.org, found)) or Exit.OK)


@dataclass(slots=True)
class Reading:
    """Reads a log from the cursor `after` on, and lives through a server's restart."""

    client: Client
    org: OrgId
    job_id: JobId
    after: str | None = None
    sleep: Callable[[float], None] = time.sleep
    outage: Outage = field(default_factory=Outage)

    def all_lines(self, *, follow: bool) -> Iterator[LogLine]:
        """The lines that there are; with `follow` also those to come, until the job has ended and all is read."""
        while True:
            ended = follow and self._has_ended()  # looked up first: what is read afterwards is the whole log
            page = self._page(follow=follow and not ended)
            yield from page.items
            if page.items:
                self.after = page.next_cursor
            elif not follow or ended:
                return

    def _has_ended(self) -> bool:
        return self._patiently(lambda: outcome(self.client.jobs.get(self.org, self.job_id)) is not None)

    def _page(self, *, follow: bool) -> LogPage:
        return self._patiently(
            lambda: self.client.jobs.log_page(self.org, self.job_id, after=self.after, limit=PAGE, follow=follow)
        )

    def _patiently(self, ask: Callable[[], T]) -> T:
        """The answer, however often it takes to ask while an outage may still pass."""
        for pause in pauses():
            try:
                answer = ask()
            except TryLater as later:
                self.outage.bear(later)
            else:
                self.outage.heard()
                return answer
            self.sleep(pause)
        raise AssertionError("pauses never end")


def _tail(session: Session, job_id: JobId, lines: int) -> str:
    """The cursor behind which the last so many lines are: they are numbered from 1 on."""
    return str(max(0, session.client.jobs.get(session.org, job_id).counts.logs - lines))


def _write(lines: Iterable[LogLine], shape: Format, *, times: bool, follow: bool) -> None:
    """Text, one array, or an object a line; what is followed has no end to close an array at."""
    if shape is Format.JSON and not follow:
        print_json(list(lines), shape)
        return
    colour = has_colour()
    for line in lines:
        if shape is Format.TABLE:
            click.echo(log_line(line, colour=colour, times=times))
        else:
            print_json(line, Format.JSONL)
