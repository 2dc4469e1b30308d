"""All checks in a row."""

from collections.abc import Callable, Iterable, Sequence

from chaos_rig.checker import events, jobs, machines, order, owners, reports
from chaos_rig.checker.ledger import Ledger, Promises, Violation, wrongs
from chaos_rig.final import Final
from chaos_rig.history import Entry

CHECKS: tuple[Callable[[Ledger], Iterable[Violation]], ...] = (
    machines.overlapping,
    machines.started_twice,
    machines.handed_out_while_busy,
    machines.run_numbers,
    machines.rows_apart,
    owners.trespassing,
    jobs.lost,
    jobs.created_once,
    jobs.one_outcome,
    jobs.doubled,
    jobs.cancels,
    jobs.told_as_it_is,
    reports.remembered,
    reports.kept_when_late,
    reports.not_invented,
    order.by_rank,
    order.held,
    events.numbered,
    events.true,
    events.complete,
    wrongs,
)


def check(entries: Sequence[Entry], final: Final, promises: Promises) -> list[Violation]:
    """Everything that is not as promised; empty when all is well."""
    ledger = Ledger(entries, final, promises)
    return [violation for examine in CHECKS for violation in examine(ledger)]
