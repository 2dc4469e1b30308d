"""`interlock jobs create --from`: many jobs from a file, in batches, each job once however often it is started."""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

import click
import msgspec

from interlock.cli.bulk_file import STDIN, Wanted, read_jobs
from interlock.cli.bulk_state import BulkState, Sent
from interlock.cli.exits import Exit, sentence
from interlock.cli.output import Format, print_json, say
from interlock.cli.progress import bars, is_terminal
from interlock.cli.session import Session
from interlock.cli.tables import Table, print_table
from interlock.clock import SystemClock
from interlock.errors import InterlockError, TryLater
from interlock.ids import JobId, UuidIds

BATCH_JOBS = 500  # in one request, of the 1000 that a server takes
BATCH_BYTES = 4 * 1024 * 1024  # and at most so many, of 16 MiB
SENDS = 6  # of a batch of which the server says "later", before it is left for the next start
LONGEST_PAUSE_SECONDS = 30.0


class Outcome(StrEnum):
    """What became of a line."""

    CREATED = "created"
    SKIPPED = "skipped"  # an earlier start has created it
    REFUSED = "refused"
    UNKNOWN = "unknown"  # the server said "later"; start again


class Made(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    """A line of the file and what became of it."""

    line: int
    outcome: Outcome
    job_id: JobId | None = None
    error: str | None = None


@dataclass(slots=True)
class Bulk:
    """Sends what is not there yet. `progress` hears of every batch."""

    session: Session
    state: BulkState
    sleep: Callable[[float], None] = time.sleep
    progress: Callable[[Sequence[Made]], None] = field(default=lambda _: None)

    def create(self, wanted: list[Wanted]) -> Iterator[Made]:
        """What became of each line: first those that are known, then as the answers come."""
        by_mark = {each.mark: each for each in wanted}
        self.state.check(set(by_mark))
        skipped = [Made(each.line, Outcome.SKIPPED, self.state.made[each.mark]) for each in wanted if self._known(each)]
        yield from self._told(skipped)
        again = [batch for batch in self.state.open.values() if batch.marks]
        under_way = {mark for batch in again for mark in batch.marks}
        for batch in again:
            yield from self._told(self._send(batch, [by_mark[mark] for mark in batch.marks]))
        rest = [each for each in wanted if not self._known(each) and each.mark not in under_way]
        for jobs in _batches(rest):
            yield from self._told(self._send(self.state.send([each.mark for each in jobs]), jobs))

    def _known(self, wanted: Wanted) -> bool:
        return wanted.mark in self.state.made

    def _told(self, made: list[Made]) -> list[Made]:
        self.progress(made)
        return made

    def _send(self, batch: Sent, jobs: list[Wanted]) -> list[Made]:
        """Send a batch, and again while the server says "later" to some of it: what is made is not made twice."""
        for pause in (*_pauses(), None):
            results = self.session.client.jobs.create_many(
                self.session.org, [each.job for each in jobs], idempotency_key=batch.key
            )
            later = [each.retry_after for each in results if isinstance(each, TryLater)]
            if not later or pause is None:
                break
            self.sleep(min(LONGEST_PAUSE_SECONDS, max(pause, *later)))
        made = {
            each.mark: result.id
            for each, result in zip(jobs, results, strict=True)
            if not isinstance(result, InterlockError)
        }
        if not later:
            self.state.answered(batch, made)
        return [_made(each, result) for each, result in zip(jobs, results, strict=True)]


def create_from(
    session: Session, source: str, state_file: Path | None, defaults: dict[str, Any]
) -> tuple[list[JobId], Exit]:
    """Create a file's jobs, show what became of them, and say what is next; the ids of all jobs, and the exit code."""
    wanted = read_jobs(source, defaults)
    path = state_file or (None if source == STDIN else Path(f"{source}.state"))
    state = BulkState(path, SystemClock(), UuidIds())
    state.begin(session.door.url if session.door else "", session.org)
    found: list[Made] = []
    try:
        _create(session, state, wanted, found)
    except (TryLater, KeyboardInterrupt) as error:
        say(_again(found, path))
        if isinstance(error, KeyboardInterrupt):
            click.get_current_context().exit(Exit.INTERRUPTED)
        raise
    finally:
        state.close()
        _show(found, session.output)
    _summarise(found, path)
    unknown = any(each.outcome is Outcome.UNKNOWN for each in found)
    refused = any(each.outcome is Outcome.REFUSED for each in found)
    code = Exit.UNREACHABLE if unknown else Exit.USAGE if refused else Exit.OK
    return [each.job_id for each in found if each.job_id], code


def _create(session: Session, state: BulkState, wanted: list[Wanted], found: list[Made]) -> None:
    """Fill `found`, with a bar on a terminal."""
    bulk = Bulk(session, state)
    if not is_terminal():
        found.extend(bulk.create(wanted))
        return
    with bars() as progress:
        task = progress.add_task("jobs", total=len(wanted), words="")

        def advance(made: Sequence[Made]) -> None:
            progress.update(task, advance=len(made), words=_counts([*found, *made]))

        bulk.progress = advance
        found.extend(bulk.create(wanted))


def _batches(wanted: list[Wanted]) -> Iterator[list[Wanted]]:
    """So many jobs, or so many bytes, at a time."""
    batch: list[Wanted] = []
    size = 0
    for each in wanted:
        if batch and (len(batch) == BATCH_JOBS or size + each.size > BATCH_BYTES):
            yield batch
            batch, size = [], 0
        batch.append(each)
        size += each.size
    if batch:
        yield batch


def _pauses() -> list[float]:
    return [0.5 * 2.0**sent for sent in range(SENDS - 1)]


def _made(wanted: Wanted, result: object) -> Made:
    if isinstance(result, InterlockError):
        outcome = Outcome.UNKNOWN if isinstance(result, TryLater) else Outcome.REFUSED
        return Made(wanted.line, outcome, error=sentence(result))
    return Made(wanted.line, Outcome.CREATED, getattr(result, "id", None))


def _show(found: list[Made], shape: Format) -> None:
    """All lines as data; on a terminal those that need a look."""
    if shape is Format.JSONL:
        for each in found:
            print_json(each, shape)
    elif shape is Format.JSON:
        print_json(found, shape)
    else:
        rows = [(str(each.line), each.outcome.value, each.error or "") for each in found if each.error]
        if rows:
            print_table(Table(("LINE", "OUTCOME", "WHY"), rows, whole=True))


def _counts(found: Sequence[Made]) -> str:
    counted = ((outcome, sum(each.outcome is outcome for each in found)) for outcome in Outcome)
    return ", ".join(f"{count} {outcome}" for outcome, count in counted if count) or "nothing to do"


def _summarise(found: list[Made], path: Path | None) -> None:
    say(f"{_counts(found)}." + (f" Kept in {path}: the same command again creates what is missing." if path else ""))


def _again(found: list[Made], path: Path | None) -> str:
    if path is None:
        return f"{_counts(found)}; from standard input without --state it cannot be gone on with."
    return f"{_counts(found)} so far; the same command goes on where it stopped (state: {path})."
