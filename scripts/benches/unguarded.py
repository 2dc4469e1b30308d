"""The switch of the bench: a server without fence and events, to see what they cost. Nothing of it is in the product.

python -m benches.unguarded serve [options…]
"""

from typing import Any
from unittest.mock import patch

from actors import elsewhere, host_pool, host_state, host_users, pool_decisions, user_action
from interlock.cli.root import main
from interlock.wire import JobEvent
from runtime.event_fanout import RedisEventStreams
from store.committer import Committer, Results
from store.entries import Committed
from store.host_batch import HostBatch
from store.models import Host
from store.postgres_dialect import PostgresDialect
from web.event_stream import EventStreams

_NO_EVENT = JobEvent(
    job_id="", job_run_id="", type="", host_id=None, status="", job_status="", attempt=0, will_retry=False
)
_MAKERS = (
    *((module, "job_event") for module in (elsewhere, host_state, host_users, pool_decisions, user_action)),
    *((module, "started_event") for module in (host_pool, host_state)),
)


def no_fence() -> None:
    """No row of a host is locked, asked or written: places in line and revisions are counted in memory."""
    counters: dict[str, tuple[int, int]] = {}

    def fence(self: Committer, cursor: Any, batches: list[HostBatch]) -> Results:
        del cursor
        return [(batch, _counted(self, batch, counters)) for batch in batches]

    def lock(self: PostgresDialect, cursor: Any, host_ids: object) -> set[str]:
        del self, host_ids
        cursor.execute("BEGIN")
        return set()

    patch.object(Committer, "_fence", fence).start()
    patch.object(PostgresDialect, "lock", lock).start()


def _counted(committer: Committer, batch: HostBatch, counters: dict[str, tuple[int, int]]) -> Committed:
    known = counters.get(batch.host_id)
    if known is None:
        host = Host.select(Host.next_seq, Host.rev).where(Host.id == batch.host_id)
        ((known),) = host.tuples().execute(committer.database)
    batch.first_seq, rev = known[0], known[1] + 1
    counters[batch.host_id] = batch.first_seq + len(batch.new_jobs), rev
    return Committed(rev=rev, first_seq=batch.first_seq, seqs=batch.seqs())


def no_events() -> None:
    """None are made, numbered or sent."""
    for module, maker in _MAKERS:
        patch.object(module, maker, lambda *_, **__: _NO_EVENT).start()
    for streams in (EventStreams, RedisEventStreams):
        patch.object(streams, "publish", lambda *_: None).start()


if __name__ == "__main__":
    no_fence()
    no_events()
    main()
