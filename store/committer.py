"""Group commit: many decisions of many hosts in one transaction, each host fenced by its own row.

One transaction does, in this order:

1. The locks: the hosts' rows, in the order of their ids. A host that somebody else holds at this moment waits for the
   next batch and delays nobody. On SQLite the beginning itself is the lock.
2. The fence, a statement of its own: `UPDATE host SET rev=rev+1, next_seq=next_seq+n WHERE id AND owner=me AND
   epoch=mine`, and what the row is then. A miss means that somebody has claimed the host: its decisions are taken out.
3. The changes, coalesced to the last image per row, rows that leave a live state before rows that enter one (so that
   the unique index over live states never sees two), each where the row still is what the actor believed.
   Then jobs leave their pools for hosts: each where its run still waits there. A claim that finds nothing is taken out
   by itself (`Missed`); nobody is poisoned by having come second.
4. The commit. Only then does any answer, event or job leave the process.

What goes wrong poisons the incarnation *here*, before the next batch begins: without that, batch 1 (create B) could
roll back and batch 2 (take B) commit on the same epoch, and an agent would run a job that has no row. A definite
rollback is rerun host by host, so that one bad row fails alone; an unknown outcome poisons all that were in it.
"""

import logging
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from peewee import Database

from interlock.states import LIVE, JobStatus, RunStatus
from store.claims import holder_of
from store.database import connected, how_to_begin
from store.dialect import CommitUnknown, NotBegun, Statement
from store.entries import Append, Claim, Committed, Entry, JobChange, Missed, Outcome, Refused, RunChange
from store.host_batch import HostBatch
from store.rows import RUN_COLUMNS, Image, job_image, run_image
from store.statements import APPENDABLE, LOG_SEQ, JournalStatements, RowStatements, with_seq

__all__ = ["CommitUnknown", "Committer", "NotBegun", "RowMoved", "Written"]

log = logging.getLogger(__name__)
BEHIND = "an earlier change of this host was not written"
_LINE_OF = APPENDABLE["job_log"].index("job_id")
_RUN_STATUS = RUN_COLUMNS.index("status")
Results = list[tuple[HostBatch, Outcome | None]]  # None: somebody else holds the host
Updates = dict[Statement, list[Image]]


class RowMoved(Exception):
    """A row is not in the state that an actor believed: the actor's memory is wrong, not the row."""


class Written(NamedTuple):
    """What became of a batch. Those that are `held` were not tried, since somebody else holds their hosts: they are to
    be handed in again, in this order and before any other decision of their hosts.
    """

    entries: list[Entry]
    outcomes: list[Outcome]  # of these entries
    held: list[Entry]


def told_apart(entries: Sequence[Entry], outcomes: Sequence[Outcome | None]) -> Written:
    """Those that have an outcome, and those that were held."""
    if None not in outcomes:
        return Written(list(entries), list(filter(None, outcomes)), [])
    pairs = list(zip(entries, outcomes, strict=True))
    told = [(entry, outcome) for entry, outcome in pairs if outcome is not None]
    held = [entry for entry, outcome in pairs if outcome is None]
    return Written([entry for entry, _ in told], [outcome for _, outcome in told], held)


class Committer:
    """Runs batches on the calling thread's connection; the same code under the journal's thread and the simulator."""

    def __init__(self, database: Database, owner: str, statements: JournalStatements | None = None) -> None:
        self.database = database
        self.owner = owner
        self.statements = statements or JournalStatements(database)  # those of another of its kind do as well
        self.dialect = self.statements.dialect
        self.begin = how_to_begin(database)

    def commit(self, entries: Sequence[Entry]) -> list[Outcome]:
        """Write the batch; an outcome for each entry, in order. Never raises. For who cannot hand anything in again:
        what somebody else holds is refused.
        """
        written = self.write(entries)
        if not written.held:
            return written.outcomes
        outcomes = {id(entry): outcome for entry, outcome in zip(written.entries, written.outcomes, strict=True)}
        for entry in written.held:
            entry.incarnation.poisoned = True
            outcomes[id(entry)] = Refused("somebody else holds this host's row")
        return [outcomes[id(entry)] for entry in entries]

    def write(self, entries: Sequence[Entry]) -> Written:
        """Write the batch, but for what somebody else holds. Never raises."""
        outcomes: dict[int, Outcome | None] = {}
        batches: dict[int, HostBatch] = {}
        for entry in entries:
            if entry.incarnation.poisoned:
                outcomes[id(entry)] = Refused(BEHIND)
            else:
                batches.setdefault(id(entry.incarnation), HostBatch()).add(entry)
        for batch, outcome in self._write_or_split(list(batches.values())):
            if isinstance(outcome, Refused):
                batch.entries[0].incarnation.poisoned = True
            outcomes.update({id(entry): _outcome_of(entry, batch, outcome) for entry in batch.entries})
        return told_apart(entries, [outcomes[id(entry)] for entry in entries])

    def _write_or_split(self, batches: list[HostBatch]) -> Results:
        if not batches:
            return []
        try:
            return self._transaction(batches)
        except (NotBegun, CommitUnknown) as error:
            return _refused(batches, error)
        except Exception as error:  # noqa: BLE001 - a definite rollback, whatever the driver calls it
            if len(batches) == 1:
                return _refused(batches, error)
            log.info("A commit of %d hosts failed, each is tried by itself: %s", len(batches), error)
        return self._one_by_one(batches)

    def _one_by_one(self, batches: list[HostBatch]) -> Results:
        """Each in a transaction of its own. What is not its own fault ends it for all that are left."""
        results: Results = []
        for place, batch in enumerate(batches):
            try:
                results += self._transaction([batch])
            except Exception as error:  # noqa: BLE001 - as above
                if isinstance(error, NotBegun) or self.dialect.concerns_all(error):
                    return results + _refused(batches[place:], error)
                results += _refused([batch], error)
        return results

    def _transaction(self, batches: list[HostBatch]) -> Results:
        batches = sorted(batches, key=_host_id)
        connection = self._begin()
        cursor = connection.cursor()
        try:
            busy = self.dialect.lock(cursor, [batch.host_id for batch in batches])
            results: Results = [(batch, None) for batch in batches if batch.host_id in busy] if busy else []
            results += self._fence(cursor, [batch for batch in batches if batch.host_id not in busy])
            held = [batch for batch, outcome in results if isinstance(outcome, Committed)]
            self._write_jobs(cursor, held)
            self._write_runs(cursor, held)
            self._claim(cursor, held)
            self._write_appends(cursor, held)
            self._ask_to_stop(cursor, held)
        except BaseException:
            self._roll_back(connection)
            raise
        self._finish(connection)
        return results

    def _begin(self) -> Any:
        """A connection with a transaction begun. What fails here concerns all alike: nobody is tried by himself."""
        try:
            connection = self._connection()
            self.dialect.begin(connection)
        except Exception as error:
            self._forget_connection()
            raise NotBegun(str(error)) from error
        return connection

    def _connection(self) -> Any:
        return connected(self.database)

    def _fence(self, cursor: Any, batches: list[HostBatch]) -> Results:
        by_fence: dict[tuple[Statement, Any], list[HostBatch]] = {}
        for batch in batches:
            by_fence.setdefault(self.statements.fence_for(batch.epoch, batch.expects), []).append(batch)
        results: Results = []
        for (fence, pick), alike in by_fence.items():
            given = [pick(self._fence_values(batch)) for batch in alike]
            for batch, found in zip(alike, self.dialect.fence(cursor, fence, given), strict=True):
                results.append((batch, self._missed(batch) if found is None else _placed(batch, *found)))
        return results

    def _fence_values(self, batch: HostBatch) -> Image:
        last = batch.entries[-1].host
        return (*last, len(batch.new_jobs), batch.host_id, self.owner, batch.epoch, batch.expects)

    def _missed(self, batch: HostBatch) -> Refused:
        if batch.epoch is None:
            return Refused("there is no such host")
        if batch.expects is not None and holder_of(self.database, batch.host_id) == (self.owner, batch.epoch):
            return Refused("another process has appended to this host")
        return Refused("another process has taken this host over", fenced=True)

    def _write_jobs(self, cursor: Any, batches: list[HostBatch]) -> None:
        rows = self.statements.jobs
        inserts: list[Image] = []
        updates: Updates = {}
        places: list[Image] = []
        for batch in batches:
            seqs = batch.seqs() if batch.new_jobs else {}
            for change in batch.jobs.values():
                if change.was is None:
                    inserts.append(rows.pick_insert(with_seq(change.image, rows.seq, seqs[change.id])))
                    continue
                _add(updates, rows, change)
                if change.new_seq:
                    places.append(self.statements.pick_place((change.id, seqs[change.id])))
        self._insert(cursor, rows.insert, inserts)
        self._update(cursor, updates)
        self._insert(cursor, self.statements.place, places)

    def _write_runs(self, cursor: Any, batches: list[HostBatch]) -> None:
        rows = self.statements.runs
        inserts: list[Image] = []
        leaving: Updates = {}
        entering: Updates = {}
        status = _RUN_STATUS
        for batch in batches:
            for change in batch.runs.values():
                if change.was is None:
                    inserts.append(rows.pick_insert(change.image))
                else:
                    _add(entering if change.image[status] in LIVE else leaving, rows, change)
        self._update(cursor, leaving)
        self._insert(cursor, rows.insert, inserts)
        self._update(cursor, entering)

    def _claim(self, cursor: Any, batches: list[HostBatch]) -> None:
        """Jobs leave their pools. One that does not wait there any more is left out, and nothing else with it."""
        claims: list[Claim] = []
        asked = [entry.claim.run.id for batch in batches for entry in batch.claims if entry.claim is not None]
        waiting = self.dialect.hold_waiting(cursor, asked) if asked else set()
        for batch in batches:
            batch.missed = set()
            for entry in batch.claims:
                if entry.claim is not None and entry.claim.run.id in waiting:
                    waiting.remove(entry.claim.run.id)  # of two who want it in one batch the first one gets it
                    claims.append(entry.claim)
                else:
                    batch.missed.add(id(entry))
        if claims:
            (run, pick_run), (job, pick_job) = self.statements.claim_run, self.statements.claim_job
            self._update(cursor, {run: [pick_run((*run_image(each.run), RunStatus.PENDING)) for each in claims]})
            self._update(cursor, {job: [pick_job((*job_image(each.job), JobStatus.PENDING)) for each in claims]})

    def _write_appends(self, cursor: Any, batches: list[HostBatch]) -> None:
        by_table: dict[str, list[Image]] = {}
        appends = [append for batch in batches for append in batch.appends]
        following = self._count_lines(cursor, appends)
        for append in appends:
            values = append.values
            if append.table == "job_log":
                values = with_seq(values, LOG_SEQ, next(following[values[_LINE_OF]]))
            _, pick = self.statements.appends[append.table]
            by_table.setdefault(append.table, []).append(pick(values))
        for table, rows in by_table.items():
            self._insert(cursor, self.statements.appends[table][0], rows)

    def _count_lines(self, cursor: Any, appends: list[Append]) -> dict[str, Iterator[int]]:
        """The numbers of new lines, by job. Its host's actor could not give them: lines of an earlier attempt, which
        another host made, may still come in.
        """
        lines = [append.values[_LINE_OF] for append in appends if append.table == "job_log"]
        if not lines:
            return {}
        more = Counter(lines)
        counts = [self.statements.pick_count(each) for each in sorted(more.items())]
        last = self.dialect.counted(cursor, self.statements.count_lines, counts)
        if last.keys() != more.keys():
            raise RowMoved(f"there are no such jobs: {sorted(more.keys() - last.keys())}")
        return {job_id: iter(range(last[job_id] - count + 1, last[job_id] + 1)) for job_id, count in more.items()}

    def _ask_to_stop(self, cursor: Any, batches: list[HostBatch]) -> None:
        asked: dict[str, str] = {}
        for ask in (ask for batch in batches for ask in batch.asked):
            asked[ask.id] = "force" if "force" in {ask.how, asked.get(ask.id)} else ask.how
        if asked:
            statement, pick = self.statements.ask_to_stop, self.statements.pick_ask
            self._update(cursor, {statement: [pick(ask) for ask in asked.items()]})

    def _insert(self, cursor: Any, statement: Statement, images: list[Image]) -> None:
        if images:
            self.dialect.write(cursor, statement, images)

    def _update(self, cursor: Any, updates: Updates) -> None:
        for statement, images in updates.items():
            found = self.dialect.write(cursor, statement, images)
            if found != len(images):
                raise RowMoved(f"{len(images) - found} of {len(images)} rows had moved: {statement.sql[:40]}…")

    def _finish(self, connection: Any) -> None:
        try:
            self.dialect.commit(connection)
        except CommitUnknown:
            self._forget_connection()
            raise

    def _roll_back(self, connection: Any) -> None:
        try:
            self.dialect.roll_back(connection)
        except Exception as error:  # noqa: BLE001 - the database is away: it has rolled back, or will
            log.warning("A rollback failed; the connection is dropped: %s", error)
            self._forget_connection()

    def _forget_connection(self) -> None:
        try:
            self.database.close()
        except Exception:
            log.exception("A broken connection could not be closed")


def _placed(batch: HostBatch, next_seq: int, rev: int) -> Committed:
    batch.first_seq = next_seq - len(batch.new_jobs)
    return Committed(rev=rev, first_seq=batch.first_seq, seqs=batch.seqs())


def _outcome_of(entry: Entry, batch: HostBatch, outcome: Outcome | None) -> Outcome | None:
    if isinstance(outcome, Committed) and id(entry) in batch.missed:
        return Missed(outcome.rev, outcome.first_seq, outcome.seqs)
    return outcome


def _host_id(batch: HostBatch) -> str:
    return batch.host_id


def _add(updates: Updates, rows: RowStatements, change: JobChange | RunChange) -> None:
    update = rows.update_of(change)
    updates.setdefault(update.statement, []).append(update.pick((*change.image, change.was)))


def _refused(batches: list[HostBatch], error: Exception) -> Results:
    unknown = isinstance(error, CommitUnknown)
    said = "the outcome of the commit is unknown" if unknown else f"{type(error).__name__}: {error}"
    log.warning("%d hosts start afresh, %s: %s", len(batches), said, error)
    return [(batch, Refused(said, unknown=unknown)) for batch in batches]
