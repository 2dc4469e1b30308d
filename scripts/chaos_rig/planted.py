"""Bugs that the rig must catch, planted from outside into the shipping code of one server process.

python -m chaos_rig.planted BUG serve [options…]
"""

import sys
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any
from unittest.mock import patch

from actors.host import HostActor
from actors.line import Line
from interlock.cli.root import main
from runtime.cluster import Cluster
from store.committer import Committer
from store.dialect import Dialect, Statement
from store.postgres_dialect import PostgresDialect
from store.sqlite_dialect import SqliteDialect

SLOW_DISK = 0.05  # seconds that a commit takes, where that is planted


def answer_before_commit() -> None:
    """Answers, jobs and events leave when they are decided; the disk, a slow one, follows."""
    submit, release = HostActor._submit, HostActor._release  # noqa: SLF001 - planted where the promise is kept
    finish = Committer._finish  # noqa: SLF001 - the same

    def hasty(self: HostActor, changes: Any, flight: Any) -> None:
        submit(self, changes, flight)
        decision = flight.decision
        release(self, decision, flight.reply, None)
        decision.effects, decision.alarms, decision.answers = [], [], []

    def slow(self: Committer, connection: Any) -> None:
        time.sleep(SLOW_DISK)  # on a fast one a kill would have to fall into a few hundred microseconds
        finish(self, connection)

    patch.object(Committer, "_finish", slow).start()
    patch.object(HostActor, "_submit", hasty).start()


def keys_ignored() -> None:
    """A create that is repeated under its Idempotency-Key makes another job."""
    patch("web.jobs.key_from", lambda *_: None).start()


def newest_first() -> None:
    """The line is a pile."""
    patch.object(Line, "first", lambda self: max(self, key=lambda attempt: attempt.job.seq, default=None)).start()


def no_fence() -> None:
    """The first statement of every commit asks for the host alone, not for its owner and epoch."""
    for dialect in (SqliteDialect, PostgresDialect):
        patch.object(dialect, "fence_of", _asking_for_the_host_alone(dialect.fence_of)).start()


def no_fence_no_guards() -> None:
    """Nor do the statements behind it ask what state a run is in; the unique index over live runs is gone too, and no
    doorbell rings: with the fence in place, none of that may matter to safety.
    """
    no_fence()
    patch.object(Cluster, "ring", lambda *_: None).start()
    for dialect in (SqliteDialect, PostgresDialect):
        patch.object(dialect, "update", _whatever_the_status(dialect.update)).start()


def _asking_for_the_host_alone(fence_of: Any) -> Any:
    def weak(self: Dialect, owned: Any, *, held_by: Sequence[str], expecting: bool = False) -> Statement:
        statement: Statement = fence_of(self, owned, held_by=held_by[:1], expecting=expecting)
        return statement

    return weak


def _whatever_the_status(update: Any) -> Any:
    def weak(self: Dialect, table: Any, changed: Any, where: Mapping[str, str | None]) -> Statement:
        statement: Statement = update(self, table, changed, {name: where[name] for name in where if name != "status"})
        return statement

    return weak


BUGS: dict[str, Callable[[], None]] = {
    plant.__name__: plant for plant in (answer_before_commit, keys_ignored, newest_first, no_fence, no_fence_no_guards)
}

WITHOUT_INDEX = {"no_fence_no_guards": "DROP INDEX job_run_one_live"}  # done to the database before the servers start


def run() -> None:
    """Plant the bug, then be the `interlock` command."""
    bug = sys.argv.pop(1)
    BUGS[bug]()
    main()


if __name__ == "__main__":
    run()
