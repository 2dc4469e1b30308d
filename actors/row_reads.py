"""Which rows answer a message that an actor's memory cannot: what it asks about has ended, or was another's to write."""

from collections.abc import Callable
from typing import Any

from actors.host_state import HostState
from actors.messages import (
    Ack,
    AddEvidence,
    AppendLogs,
    CancelJob,
    EvidenceItem,
    FindRun,
    Look,
    Message,
    MoveInLine,
    NoteProgress,
    Reject,
    ReportResult,
    ResolveAction,
    RetryJob,
)
from actors.pool_messages import PoolJob
from store.claims import read_news, read_open
from store.evidence import run_and_evidence
from store.jobs import job_and_ended_run, job_and_last_run, job_and_run
from store.logs import run_and_log


def rows_for(asked: Message, host_id: str, state: HostState | None) -> Callable[[Any], Any]:
    """What to read for it, on a connection of the reader's."""
    known = (state.logs or ()) if state is not None else ()
    if isinstance(asked, ReportResult) or (isinstance(asked, NoteProgress | AppendLogs) and asked.job_run_id in known):
        run_id = asked.job_run_id
        return lambda database: job_and_run(database, run_id)
    if isinstance(asked, NoteProgress | AppendLogs):
        of_log = asked.job_run_id
        return lambda database: run_and_log(database, of_log)
    if isinstance(asked, AddEvidence):
        of_job, hashes = asked.job_run_id, {item.hash for item in asked.items if isinstance(item, EvidenceItem)}
        return lambda database: run_and_evidence(database, of_job, hashes)
    if isinstance(asked, FindRun):
        of = asked.job_id
        return lambda database: job_and_ended_run(database, of, host_id)
    if isinstance(asked, Ack | Reject) and asked.job_run_id is not None:
        offered = asked.job_run_id
        return lambda database: job_and_run(database, offered)
    if isinstance(asked, CancelJob | RetryJob | ResolveAction | MoveInLine | Ack | Reject | PoolJob):
        job_id = asked.job_id
        return lambda database: job_and_last_run(database, job_id)
    if isinstance(asked, Look) and asked.whole:
        return lambda database: read_open(database, [host_id]).get(host_id)
    if isinstance(asked, Look):
        look = asked
        return lambda database: read_news(database, host_id, look.since, look.run_id)
    raise TypeError(f"{asked!r} cannot be looked up")
