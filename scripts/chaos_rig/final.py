"""How it all stands at the end, as the database's rows have it once the servers are gone."""

from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec

from store import open_database
from store.models import Job, JobRun, LateReport


class FinalRun(msgspec.Struct, frozen=True, kw_only=True):
    """One attempt. Instants are the server's, ms of the wall clock."""

    id: str
    attempt: int
    status: str
    started_at: int | None = None
    finished_at: int | None = None
    available_at: int | None = None  # of an attempt that had to wait for its time
    run_no: int | None = None
    offers: int = 0  # how often it was pushed to a socket: it was chosen then, some time before it started
    error_code: str | None = None
    asked_to_stop: str | None = None  # the word of a node that is not its host's owner
    output: str | None = None


class FinalJob(msgspec.Struct, frozen=True, kw_only=True):
    """A job with its runs in the order of their birth. `tag` is what its creator put into the payload."""

    id: str
    tag: str
    host: str
    type: str
    status: str
    seq: int
    priority: int = 0
    max_attempts: int = 3
    cancel_requested: bool = False
    runs: list[FinalRun]


class Trespass(msgspec.Struct, frozen=True, array_like=True):
    """A committed write that was for the host's owner alone, by a node that was not. `at` is the server's, in ms."""

    host: str
    node: str
    owner: str  # the node that had claimed the host last
    what: str
    at: int


class Final(msgspec.Struct, frozen=True, kw_only=True):
    """Everything. `listed` is what the last server answered to a user's lists: a job's status by its id."""

    jobs: list[FinalJob]
    late_reports: frozenset[str] = frozenset()  # run ids
    listed: dict[str, str] | None = None
    kinds: dict[str, str]  # of agents, by host
    trespasses: Sequence[Trespass] = ()  # where there is a witness


class _Payload(msgspec.Struct):
    tag: str = ""


def read_rows(
    url: str, listed: dict[str, str] | None, kinds: dict[str, str], trespasses: Sequence[Trespass] = ()
) -> Final:
    """The rows of the database at `url`, and what else is known at the end."""
    database = open_database(url)
    with closing(database):
        database.connect(reuse_if_open=True)
        runs: dict[str, list[FinalRun]] = {}
        for row in _rows(database, JobRun, ("job_id", *FinalRun.__struct_fields__)):
            runs.setdefault(row[0], []).append(msgspec.convert(dict(zip(_RUN, row[1:], strict=True)), FinalRun))
        jobs = [_job(row, runs) for row in _rows(database, Job, _JOB)]
        late = frozenset(run_id for (run_id,) in _rows(database, LateReport, ("job_run_id",)))
    return Final(jobs=jobs, late_reports=late, listed=listed, kinds=kinds, trespasses=trespasses)


_RUN = FinalRun.__struct_fields__
_JOB = ("id", "host_id", "type", "status", "seq", "priority", "max_attempts", "cancel_requested", "payload")


def _rows(database: Any, model: Any, columns: tuple[str, ...]) -> list[tuple[Any, ...]]:
    query = model.select(*(getattr(model, name) for name in columns))
    return list(query.tuples().execute(database))


def _job(row: tuple[Any, ...], runs: dict[str, list[FinalRun]]) -> FinalJob:
    job_id, host, kind, status, seq, priority, most, cancelled, payload = row
    return FinalJob(
        id=job_id,
        tag=msgspec.json.decode(payload, type=_Payload).tag,
        host=host,
        type=kind,
        status=status,
        seq=seq,
        priority=priority,
        max_attempts=most,
        cancel_requested=bool(cancelled),
        runs=sorted(runs.get(job_id, []), key=lambda run: run.id),  # ids sort by birth
    )


def save(final: Final, path: Path) -> None:
    """Keep it beside the history, so that both can be checked again."""
    path.write_bytes(msgspec.json.encode(final))


def load(path: Path) -> Final:
    """What was kept."""
    return msgspec.json.decode(path.read_bytes(), type=Final)
