"""Bugs planted in the shipping code, each of which the simulation must catch. Every one patches production, not a model."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

from actors.host import HostActor
from actors.host_state import HostState
from interlock.states import MOVES, Move, RunEvent, RunStatus
from runtime.sweep import Due, Sweep
from store.committer import Committer
from store.entries import Committed, Outcome, Refused


@contextmanager
def host_freed_early() -> Iterator[None]:
    """A lapsed lease frees the host at once, as a queue with a visibility timeout would."""
    lost = Move(RunStatus.LOST, RunStatus.CANCELLED, RunStatus.TIMED_OUT)
    running = MOVES[RunStatus.RUNNING] | {RunEvent.LEASE_LAPSED: lost}
    cancelling = MOVES[RunStatus.CANCELLING] | {RunEvent.LEASE_LAPSED: lost}
    with patch.dict(MOVES, {RunStatus.RUNNING: running, RunStatus.CANCELLING: cancelling}):
        yield


@contextmanager
def answer_before_commit() -> Iterator[None]:
    """Replies, events and jobs leave when they are decided."""
    carry_out = HostActor._carry_out

    def hasty(self: HostActor, d: Any, reply: Any) -> None:
        if not d.joins and not d.placed:
            self._release(d, reply, None)
            d.effects, d.alarms, d.answers = [], [], []
        carry_out(self, d, reply)

    with patch.object(HostActor, "_carry_out", hasty):
        yield


@contextmanager
def alarm_without_sweep() -> Iterator[None]:
    """Retries rest on their alarms alone."""
    blind = lambda _self, _now: lambda _database: Due([], [], {})  # noqa: E731
    with patch.object(Sweep, "looking", blind), patch("actors.directory.Directory.sweep", lambda *_: None):
        yield


@contextmanager
def no_idle_gate() -> Iterator[None]:
    """The host is free as soon as the server has ended a run."""
    with patch.object(HostState, "set_gate", lambda *_args, **_kwargs: None):
        yield


@contextmanager
def no_poison() -> Iterator[None]:
    """What was decided behind a failed commit is written all the same, and the actor lives on."""
    commit, committed = Committer.commit, HostActor._committed

    def forgiving(self: Committer, entries: Any) -> list[Outcome]:
        outcomes = commit(self, entries)
        for entry in entries:
            entry.incarnation.poisoned = False
        return outcomes

    def shrugging(self: HostActor, outcome: Outcome) -> None:
        if isinstance(outcome, Refused) and self.state is not None:
            outcome = Committed(rev=0, first_seq=0, seqs=dict.fromkeys(_joining(self), 0))
        committed(self, outcome)

    with patch.object(Committer, "commit", forgiving), patch.object(HostActor, "_committed", shrugging):
        yield


def _joining(actor: HostActor) -> list[str]:
    flights: Any = actor._in_flight
    decision = flights[0].decision if flights else None
    return [attempt.job.id for attempt in decision.joins + decision.placed] if decision else []


@contextmanager
def memory_kept_after_unknown_commit() -> Iterator[None]:
    """Only definite failures end an incarnation; an unknown outcome is taken for a success."""
    committed = HostActor._committed

    def hopeful(self: HostActor, outcome: Outcome) -> None:
        if isinstance(outcome, Refused) and outcome.unknown and self.incarnation is not None:
            self.incarnation.poisoned = False
            outcome = Committed(rev=0, first_seq=0, seqs=dict.fromkeys(_joining(self), 0))
        committed(self, outcome)

    with patch.object(HostActor, "_committed", hopeful):
        yield


Mutant = Callable[[], Any]
MUTANTS: dict[str, Mutant] = {
    "host_freed_early": host_freed_early,
    "answer_before_commit": answer_before_commit,
    "alarm_without_sweep": alarm_without_sweep,
    "no_idle_gate": no_idle_gate,
    "no_poison": no_poison,
    "memory_kept_after_unknown_commit": memory_kept_after_unknown_commit,
}
