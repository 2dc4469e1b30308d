"""Bugs of connections, offers and of the pool."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

from actors import host_polls, host_sockets, host_times
from actors.host import HostActor
from actors.host_handlers import HANDLERS
from actors.host_state import HostState
from actors.messages import Disconnect
from actors.pool import Pool
from actors.sessions import Session
from actors.switchboard import Switchboard
from interlock.states import RunEvent, RunStatus
from store.sqlite_dialect import SqliteDialect
from store.statements import RowStatements, Update
from tests.simulation.store import forget_compiled


@contextmanager
def offer_outlives_its_connection() -> Iterator[None]:
    """What was offered on a connection that has gone is left to its thirty seconds."""
    with (
        patch.object(host_sockets, "withdraw", lambda *_: None),
        patch.object(host_polls, "withdraw", lambda *_: None),
    ):
        yield


@contextmanager
def late_close_clears_the_newer() -> Iterator[None]:
    """The end of an older connection is taken for that of the host's present one."""

    def forget(self: Switchboard, session: Session) -> bool:
        return self.sessions.pop(session.host_id, None) is not None

    def gone(state: HostState, _message: Disconnect, d: Any) -> None:
        host_sockets._gone(state, d)

    with patch.object(Switchboard, "forget", forget), patch.dict(HANDLERS, {Disconnect: gone}):
        yield


@contextmanager
def offer_stays_with_the_older_connection() -> Iterator[None]:
    """What was offered on one connection is not offered on the next."""
    with patch.object(host_sockets, "_take_back", lambda *_: None):
        yield


@contextmanager
def pool_claim_without_its_condition() -> Iterator[None]:
    """Who takes a job out of the pool does not ask whether it still waits there."""

    def unasked(self: RowStatements, move: tuple[str, str], *also: str) -> Update:
        changed = (*self._columns_of_move[move], "host_id", *also)
        statement = self._dialect.update(self._table, changed, {"id": "id"})
        return Update(statement, statement.picker((*self._columns, "was")))

    forget_compiled()
    with (
        patch.object(SqliteDialect, "hold_waiting", lambda _self, _cursor, run_ids: set(run_ids)),
        patch.object(RowStatements, "claiming", unasked),
    ):
        yield
    forget_compiled()


@contextmanager
def pool_job_announced_once() -> Iterator[None]:
    """A pool job is told to those who are idle when it is made, and never again."""
    host_is_idle, fill = Pool.host_is_idle, Pool.fill

    def told_nothing(self: Pool, host: Any) -> None:
        host_is_idle(self, host)
        self._hungry.pop(host.host_id, None)

    def read_and_forgotten(self: Pool, read: Any) -> None:
        hungry = dict(self._hungry)
        fill(self, read)
        self._hungry = hungry

    with patch.object(Pool, "host_is_idle", told_nothing), patch.object(Pool, "fill", read_and_forgotten):
        yield


@contextmanager
def job_id_alone_means_the_latest_attempt() -> Iterator[None]:
    """With the job's id alone an agent is taken to speak of the attempt that it was handed last."""

    def latest(self: Session, job_id: str) -> str | None:
        return self.handed(job_id) or self.acked(job_id)

    with patch.object(Session, "run_of", latest):
        yield


@contextmanager
def cancel_not_pushed() -> Iterator[None]:
    """A connected agent learns of a cancel by its next word only."""
    with patch.object(HostState, "tell_to_stop", lambda *_: None):
        yield


@contextmanager
def cancel_without_a_deadline() -> Iterator[None]:
    """A cancel waits for the agent's word, however long that takes."""
    due = host_times._due_of_current

    def patient(state: HostState) -> Any:
        at, event = due(state)
        return (None, event) if event is RunEvent.DEADLINE else (at, event)

    with patch.object(host_times, "_due_of_current", patient):
        yield


@contextmanager
def pushed_before_its_commit() -> Iterator[None]:
    """What goes out on a socket leaves when it is decided."""
    carry_out = HostActor._carry_out

    def hasty(self: HostActor, d: Any, reply: Any) -> None:
        for session, event, data in d.pushes or ():
            session.deliver(event, data)
        d.pushes = None
        carry_out(self, d, reply)

    with patch.object(HostActor, "_carry_out", hasty):
        yield


@contextmanager
def claim_believed_before_its_commit() -> Iterator[None]:
    """Who has asked for a pool job is told at once that it is his."""
    settle = HostActor._settle_claim

    def believing(self: HostActor, claimed: Any, *, missed: bool) -> None:
        del missed
        settle(self, claimed, missed=False)

    with patch.object(HostActor, "_settle_claim", believing):
        yield


@contextmanager
def unread_offer_is_not_handed_out_again() -> Iterator[None]:
    """An agent that connects anew and says that it runs nothing does not get the run that the rows say it has."""
    declare = host_polls.declare

    def forgetful(state: HostState, said: Any, d: Any) -> None:
        declare(state, said, d)
        if state.current is not None and state.current.run.status is not RunStatus.OFFERED:
            state.undelivered = False

    with patch.object(host_sockets, "declare", forgetful):
        yield
