"""What agents have found for a job: what is there already, and pages of it."""

from collections.abc import Collection
from typing import NamedTuple

from peewee import SQL, Database, Query, fn

from interlock.clock import Millis
from store.compiled import ARG, rows
from store.jobs import job_and_run
from store.models import Evidence
from store.rows import JobRow, RunRow

_COLUMNS = (
    Evidence.id,
    Evidence.job_id,
    Evidence.job_run_id,
    Evidence.hash,
    Evidence.size_bytes,
    Evidence.created_at,
    Evidence.collected_at,
    Evidence.type,
    Evidence.confidence,
    Evidence.source,
    Evidence.title,
    Evidence.url,
    Evidence.snippet,
)


class EvidenceStored(NamedTuple):
    """What a job has: how many items, of how many bytes together, and the ids of those that were asked for by hash."""

    items: int
    size_bytes: int
    ids: dict[str, str]


class EvidenceRow(NamedTuple):
    """One item as it is stored. `snippet` is text, whatever it came as."""

    id: str
    job_id: str
    job_run_id: str
    hash: str
    size_bytes: int
    created_at: Millis
    collected_at: Millis
    type: str
    confidence: str
    source: str
    title: str
    url: str | None
    snippet: str


def run_and_evidence(
    database: Database, run_id: str, hashes: Collection[str]
) -> tuple[JobRow | None, RunRow | None, EvidenceStored | None]:
    """A run, its job and what the job has; Nones where there is no such run."""
    job, run = job_and_run(database, run_id)
    return job, run, None if job is None else evidence_stored(database, job.id, hashes)


def evidence_stored(database: Database, job_id: str, hashes: Collection[str]) -> EvidenceStored:
    """What a job has; the ids are those of items with one of these hashes."""
    items, size_bytes = rows(database, _totals, job_id)[0]
    ids: dict[str, str] = {}
    if items and hashes:
        query = Evidence.select(Evidence.hash, Evidence.id)
        query = query.where((Evidence.job_id == job_id) & Evidence.hash.in_(list(hashes)))
        ids = dict(query.tuples().execute(database))
    return EvidenceStored(items, int(size_bytes), ids)


def _totals() -> Query:
    of_all = fn.COALESCE(fn.SUM(Evidence.size_bytes), SQL("0"))
    return Evidence.select(fn.COUNT(Evidence.id), of_all).where(Evidence.job_id == ARG)


def evidence_page(database: Database, job_id: str, after: str, limit: int) -> list[EvidenceRow]:
    """Up to `limit` items of a job behind the one of that id, oldest first; an empty id is before all."""
    query = Evidence.select(*_COLUMNS).where((Evidence.job_id == job_id) & (Evidence.id > after))
    return [EvidenceRow(*row) for row in query.order_by(Evidence.id).limit(limit).tuples().execute(database)]
