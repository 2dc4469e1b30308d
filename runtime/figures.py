"""Which figures of its parts a server shows at `/metrics`; `docs/observability.md` lists them."""

import math
import shutil
from collections.abc import Iterable
from pathlib import Path

from actors import Directory
from runtime.redis_parts import Parts
from runtime.sweep import Sweep
from store import Store
from web.metrics import Metrics


def make_metrics(store: Store, directory: Directory, parts: Parts, sweep: Sweep, folder: Path) -> Metrics:
    """The figures of a server with these parts; `folder` is the data folder."""
    metrics = Metrics()
    parts.streams.listeners.append(metrics.count)
    journal, alarms = store.journal, parts.alarms
    metrics.gauges += [
        ("interlock_host_actors", "Host actors in memory.", lambda: len(directory.hosts)),
        ("interlock_parked_polls", "Long-polls that wait.", lambda: len(directory.polls)),
        ("interlock_journal_queue", "Decisions that wait for the disk.", lambda: journal.depth),
        (
            "interlock_journal_processes",
            "Processes beside the server that write for it.",
            lambda: journal.processes,
        ),
        (
            "interlock_mailbox_deepest",
            "Messages at the busiest host actor.",
            lambda: max(_depths(directory), default=0),
        ),
        ("interlock_mailbox_messages", "Messages at all host actors.", lambda: sum(_depths(directory))),
        ("interlock_data_free_bytes", "Free room on the disk of the data folder.", lambda: free_bytes(folder)),
    ]
    metrics.counters += [
        ("interlock_journal_batches", "Transactions of the journal.", lambda: journal.batches),
        ("interlock_journal_entries", "Decisions that the journal has written.", lambda: journal.entries),
        ("interlock_actors_rebuilt", "Incarnations of host actors that were dropped.", lambda: directory.rebuilt),
        ("interlock_hosts_claimed", "Hosts of which the rows were claimed.", lambda: directory.claimed),
        ("interlock_fences_lost", "Hosts that another server had claimed meanwhile.", lambda: directory.fenced),
        ("interlock_pool_claims_missed", "Pool jobs that had gone when claimed.", lambda: directory.pools.missed),
        ("interlock_alarms_rung", "Alarms that dramatiq has rung.", lambda: alarms.rung),
        ("interlock_alarms_late", "Due, and found by the sweep before an alarm rang.", lambda: sweep.late),
        ("interlock_sweeps", "Rounds of the sweep.", lambda: sweep.rounds),
    ]
    metrics.histograms += [
        ("interlock_commit_seconds", "What a transaction of the journal took.", journal.commit_seconds),
        ("interlock_commit_decisions", "Decisions in a transaction of the journal.", journal.batch_sizes),
        ("interlock_alarm_delay_seconds", "From when an alarm was due until it rang.", alarms.delays),
    ]
    metrics.gauges += parts.gauges
    metrics.counters += parts.counters
    return metrics


def _depths(directory: Directory) -> Iterable[int]:
    return (len(actor.inbox) for actor in directory.hosts.values())


def free_bytes(folder: Path) -> float:
    """The room that this user has on the folder's disk; NaN when that cannot be told."""
    try:
        return shutil.disk_usage(folder).free
    except OSError:
        return math.nan
