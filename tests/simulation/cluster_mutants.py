"""Bugs that take more than one server: of the fence, and of what nodes write to each other's hosts."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

from actors import Directory, host_users
from actors.host import HostActor
from interlock.states import JobStatus, RunStatus
from store import statements
from store.committer import Committer, NotBegun
from store.entries import Committed, Refused
from store.sqlite_dialect import SqliteDialect
from tests.simulation.store import forget_compiled


@contextmanager
def no_fence() -> Iterator[None]:
    """A commit does not ask whether its host has another owner by now."""
    with _unfenced():
        yield


@contextmanager
def index_only() -> Iterator[None]:
    """Nor whether rows still are what the actor believes: only the unique index over live runs is left."""
    update = SqliteDialect.update

    def unasked(self: SqliteDialect, table: Any, changed: Any, where: Any) -> Any:
        return update(self, table, changed, {name: value for name, value in where.items() if name != "status"})

    with _unfenced(), patch.object(SqliteDialect, "update", unasked):
        yield


@contextmanager
def _unfenced() -> Iterator[None]:
    fence_of = SqliteDialect.fence_of

    def by_id(self: SqliteDialect, owned: Any, *, held_by: Any, expecting: bool = False) -> Any:
        del held_by
        return fence_of(self, owned, held_by=("id",), expecting=expecting)

    forget_compiled()
    with patch.object(SqliteDialect, "fence_of", by_id):
        yield
    forget_compiled()


@contextmanager
def fence_folded_into_a_statement() -> Iterator[None]:
    """The fence is no statement of its own: it is judged by the snapshot with which the change began to wait for the lock,
    as PostgreSQL does with a condition on another row of a statement.
    """
    transaction = Committer._transaction

    def waiting(self: Any, batches: Any) -> Any:
        query = "SELECT owner, epoch FROM host WHERE id = ?"
        found = {one.host_id: self.database.execute_sql(query, (one.host_id,)).fetchone() for one in batches}
        if not self.process.wait(50):
            raise NotBegun("the process has died")
        mine = [one for one in batches if one.epoch is None or found[one.host_id] == (self.owner, one.epoch)]
        fenced = Refused("another process has taken this host over", fenced=True)
        return [(one, fenced) for one in batches if one not in mine] + (transaction(self, mine) if mine else [])

    with _unfenced(), patch.object(Committer, "_transaction", waiting):
        yield


@contextmanager
def doorbell_only() -> Iterator[None]:
    """What another node has appended is noticed by doorbells alone: nobody looks at `rev`."""

    def blind(self: HostActor, outcome: Committed) -> None:
        if self.state is not None:
            self.state.host.rev = outcome.rev
            self.state.host.next_seq = max(self.state.host.next_seq, outcome.first_seq + len(outcome.seqs))

    with patch.object(HostActor, "_note", blind), patch.object(Directory, "reconcile", lambda *_: None):
        yield


@contextmanager
def gap_not_seen() -> Iterator[None]:
    """An owner whose commit shows that somebody has appended goes on with what it knows."""

    def blind(self: HostActor, outcome: Committed) -> None:
        if self.state is not None:
            host = self.state.host
            host.rev, host.next_seq = outcome.rev, max(host.next_seq, outcome.first_seq + len(outcome.seqs))

    with patch.object(HostActor, "_note", blind):
        yield


@contextmanager
def placed_without_a_look() -> Iterator[None]:
    """A job that goes out at once does not ask whether somebody has appended one before it."""
    fence_for = statements.JournalStatements.fence_for

    def unexpecting(self: Any, epoch: int | None, expects: int | None) -> Any:
        del expects
        return fence_for(self, epoch, None)

    with patch.object(statements.JournalStatements, "fence_for", unexpecting):
        yield


@contextmanager
def stop_by_who_does_not_own() -> Iterator[None]:
    """A node that does not own a host ends the run in its slot, instead of leaving a word for the owner."""

    def ends(message: Any, job: Any, run: Any, d: Any) -> None:
        d.touch_run(run)
        d.touch_job(job)
        run.status, job.status = RunStatus.CANCELLED, JobStatus.CANCELLED
        run.finished_at = job.completed_at = d.now
        host_users.audit_cancel(message, job, d)
        d.reply = True

    with patch("actors.elsewhere._leave_word", ends):
        yield
