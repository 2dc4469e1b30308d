"""Group commit: many decisions of many hosts in one transaction, each host fenced by its own row.

One transaction does, in this order:

1. The fence, a statement of its own and first: `UPDATE host SET rev=rev+1, next_seq=next_seq+n WHERE id AND owner=me
   AND epoch=mine RETURNING`. A miss means that somebody has claimed the host: its decisions are taken out.
2. The changes, coalesced to the last image per row, rows that leave a live state before rows that enter one (so that
   the unique index over live states never sees two), each where the row still is what the actor believed.
3. The commit. Only then does any answer, event or job leave the process.

What goes wrong poisons the incarnation *here*, before the next batch begins: without that, batch 1 (create B) could
roll back and batch 2 (take B) commit on the same epoch, and an agent would run a job that has no row. A definite
rollback is rerun host by host, so that one bad row fails alone; an unknown outcome poisons all that were in it.
"""

import logging
from collections.abc import Iterable, Sequence
from typing import Any

from peewee import Database, SqliteDatabase

from interlock.states import LIVE
from store.database import how_to_begin
from store.entries import Append, AskToStop, Committed, Entry, JobChange, Outcome, Refused, RunChange
from store.rows import RUN_COLUMNS, Image
from store.statements import JournalStatements, RowStatements, with_seq

log = logging.getLogger(__name__)
_RUN_STATUS = RUN_COLUMNS.index("status")


class RowMoved(Exception):
    """A row is not in the state that an actor believed: the actor's memory is wrong, not the row."""


class NotBegun(Exception):
    """The database is away, or somebody else holds it: nothing was tried."""


class CommitUnknown(Exception):
    """COMMIT failed in a way that leaves open whether it happened."""


Updates = dict[str, list[Image]]  # by their SQL


def _add(updates: Updates, rows: RowStatements, change: JobChange | RunChange) -> None:
    update = rows.update_of(change)
    updates.setdefault(update.sql, []).append(update.pick((*change.image, change.was)))


def _later(earlier: JobChange, change: JobChange) -> JobChange:
    return JobChange(change.id, earlier.was, change.image, earlier.new_seq or change.new_seq)


class _HostBatch:
    """All decisions of one incarnation in a batch, merged."""

    __slots__ = ("appends", "asked", "entries", "first_seq", "jobs", "new_jobs", "runs")

    def __init__(self) -> None:
        self.entries: list[Entry] = []
        self.jobs: dict[str, JobChange] = {}
        self.runs: dict[str, RunChange] = {}
        self.appends: list[Append] = []
        self.asked: list[AskToStop] = []
        self.new_jobs: list[str] = []
        self.first_seq = 0

    def add(self, entry: Entry) -> None:
        self.entries.append(entry)
        for change in entry.changes:
            if isinstance(change, RunChange):
                known = self.runs.get(change.id)
                self.runs[change.id] = change if known is None else RunChange(change.id, known.was, change.image)
            elif isinstance(change, JobChange):
                earlier = self.jobs.get(change.id)
                if change.new_seq:
                    self.new_jobs.append(change.id)
                self.jobs[change.id] = change if earlier is None else _later(earlier, change)
            elif isinstance(change, Append):
                self.appends.append(change)
            else:
                self.asked.append(change)

    def seqs(self) -> dict[str, int]:
        return {job_id: self.first_seq + place for place, job_id in enumerate(self.new_jobs)}


class Committer:
    """Runs batches on the calling thread's connection; the same code under the journal's thread and the simulator."""

    def __init__(self, database: Database, owner: str) -> None:
        self.database = database
        self.owner = owner
        self.statements = JournalStatements(database)
        self._sqlite = isinstance(database, SqliteDatabase)
        self.begin = how_to_begin(database)

    def commit(self, entries: Sequence[Entry]) -> list[Outcome]:
        """Write the batch; an outcome for each entry, in order. Never raises."""
        outcomes: dict[int, Outcome] = {}
        batches: dict[int, _HostBatch] = {}
        for entry in entries:
            if entry.incarnation.poisoned:
                outcomes[id(entry)] = Refused("an earlier change of this host was not written")
            else:
                batches.setdefault(id(entry.incarnation), _HostBatch()).add(entry)
        for batch, outcome in self._write_or_split(list(batches.values())):
            if isinstance(outcome, Refused):
                batch.entries[0].incarnation.poisoned = True
            outcomes.update({id(entry): outcome for entry in batch.entries})
        return [outcomes[id(entry)] for entry in entries]

    def _write_or_split(self, batches: list[_HostBatch]) -> Iterable[tuple[_HostBatch, Outcome]]:
        if not batches:
            return []
        try:
            return self._transaction(batches)
        except NotBegun as error:
            log.warning("No transaction can be begun: %s", error)
            return [(batch, Refused(f"no transaction can be begun: {error}")) for batch in batches]
        except CommitUnknown as error:
            log.warning("A commit's outcome is unknown; %d hosts start afresh: %s", len(batches), error)
            return [(batch, Refused("the outcome of the commit is unknown", unknown=True)) for batch in batches]
        except Exception as error:  # noqa: BLE001 - a definite rollback, whatever the driver calls it
            if len(batches) == 1 or self._lost_connection(error):
                log.warning("A commit failed: %s: %s", type(error).__name__, error)
                return [(batch, Refused(f"{type(error).__name__}: {error}")) for batch in batches]
            return [pair for batch in batches for pair in self._write_or_split([batch])]

    def _transaction(self, batches: list[_HostBatch]) -> list[tuple[_HostBatch, Outcome]]:
        connection = self._begin()
        cursor = connection.cursor()
        try:
            results = self._fence(cursor, batches)
            held = [batch for batch, outcome in results if isinstance(outcome, Committed)]
            self._write_jobs(cursor, held)
            self._write_runs(cursor, held)
            self._write_appends(cursor, held)
            self._ask_to_stop(cursor, held)
        except BaseException:
            self._roll_back(connection)
            raise
        self._finish(connection)
        return results

    def _fence(self, cursor: Any, batches: list[_HostBatch]) -> list[tuple[_HostBatch, Outcome]]:
        results: list[tuple[_HostBatch, Outcome]] = []
        fence, pick = self.statements.fence, self.statements.pick_fence
        append, pick_append = self.statements.append, self.statements.pick_append
        for batch in sorted(batches, key=lambda batch: batch.entries[0].incarnation.host_id):
            last = batch.entries[-1]
            wanted = len(batch.new_jobs)
            if last.incarnation.epoch is None:
                cursor.execute(append.sql, pick_append((wanted, last.incarnation.host_id)))
            else:
                values = (*last.host, wanted, last.incarnation.host_id, self.owner, last.incarnation.epoch)
                cursor.execute(fence.sql, pick(values))
            row = cursor.fetchone()
            if row is None:
                results.append((batch, Refused("another process has taken this host over", fenced=True)))
                continue
            batch.first_seq = row[0] - wanted
            if any(entry.expects not in {None, batch.first_seq} for entry in batch.entries):
                results.append((batch, Refused("another process has appended to this host")))
                continue
            results.append((batch, Committed(rev=row[1], first_seq=batch.first_seq, seqs=batch.seqs())))
        return results

    def _write_jobs(self, cursor: Any, batches: list[_HostBatch]) -> None:
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
        self._insert(cursor, rows, inserts)
        self._update(cursor, updates)
        if places:
            cursor.executemany(self.statements.place.sql, places)

    def _write_runs(self, cursor: Any, batches: list[_HostBatch]) -> None:
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
        self._insert(cursor, rows, inserts)
        self._update(cursor, entering)

    def _write_appends(self, cursor: Any, batches: list[_HostBatch]) -> None:
        by_table: dict[str, list[Image]] = {}
        for batch in batches:
            for append in batch.appends:
                _, pick = self.statements.appends[append.table]
                by_table.setdefault(append.table, []).append(pick(append.values))
        for table, rows in by_table.items():
            cursor.executemany(self.statements.appends[table][0].sql, rows)

    def _ask_to_stop(self, cursor: Any, batches: list[_HostBatch]) -> None:
        statement, pick = self.statements.ask_to_stop, self.statements.pick_ask
        for batch in batches:
            for asked in batch.asked:
                cursor.execute(statement.sql, pick((asked.id, asked.how)))
                if cursor.rowcount != 1:
                    raise RowMoved("a run that was to be stopped has ended")

    @staticmethod
    def _insert(cursor: Any, rows: RowStatements, images: list[Image]) -> None:
        if images:
            cursor.executemany(rows.insert.sql, images)

    @staticmethod
    def _update(cursor: Any, updates: Updates) -> None:
        for sql, images in updates.items():
            cursor.executemany(sql, images)
            if cursor.rowcount != len(images):
                raise RowMoved(f"{len(images) - cursor.rowcount} of {len(images)} rows had moved: {sql[:40]}…")

    def _begin(self) -> Any:
        """A connection with a transaction begun. What fails here concerns all alike: nobody is tried by himself."""
        try:
            connection = self._connection()
            connection.cursor().execute("BEGIN IMMEDIATE" if self._sqlite else "BEGIN")
        except Exception as error:
            self._forget_connection()
            raise NotBegun(str(error)) from error
        return connection

    def _connection(self) -> Any:
        if self.database.is_closed():
            self.database.connect()
        return self.database.connection()

    def _finish(self, connection: Any) -> None:
        try:
            if self._sqlite:
                connection.execute("COMMIT")
            else:
                connection.commit()
        except Exception as error:
            if self._sqlite and connection.in_transaction:
                self._roll_back(connection)
                raise  # SQLite says that the transaction is still open: a definite failure
            self._forget_connection()
            raise CommitUnknown(str(error)) from error

    def _roll_back(self, connection: Any) -> None:
        try:
            connection.rollback()
        except Exception:
            log.exception("A rollback failed; the connection is dropped")
            self._forget_connection()

    def _forget_connection(self) -> None:
        try:
            self.database.close()
        except Exception:
            log.exception("A broken connection could not be closed")

    def _lost_connection(self, error: Exception) -> bool:
        if self._sqlite:
            return False
        connection = self.database.connection() if not self.database.is_closed() else None
        if connection is None or connection.closed:
            self._forget_connection()
            return True
        return type(error).__name__ in {"OperationalError", "InterfaceError"}
