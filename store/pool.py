"""Jobs that wait in their org's pool: rows without a host, which any node may write.

Nobody owns them, so every change says what the row must still be, and whoever comes second changes nothing. Claims are
in the committer, since they also fill a host's slot. Here are the other changes, many in one transaction; the readings
from which the org's supervisor remembers what waits; and what is said to those who ask why.

Rows are held in one order, runs before their jobs and each by id, so that two nodes never wait for each other. Claims
wait for nobody.
"""

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

from peewee import JOIN, SQL, Case, Database, PostgresqlDatabase, Query, fn

from interlock.clock import Millis
from store.claims import pass_words_on
from store.compiled import ARG, rows
from store.dialect import Statement
from store.entries import Append, Change, JobChange, RunChange
from store.labels import ANY_HOST
from store.models import IN_POOL, LIVE_RUNS, SCHEDULED_RUNS, WAITING_JOBS_THAT_EXPIRE, Host, Job, JobRun
from store.rows import JOB_COLUMNS, RUN_COLUMNS, Image, JobRow, RunRow, job_from, job_image, run_from, run_image
from store.statements import JournalStatements, RowStatements

_JOB = [getattr(Job, name) for name in JOB_COLUMNS]
_RUN = [getattr(JobRun, name) for name in RUN_COLUMNS]
ROWS_AHEAD = 4096  # jobs of one pool whose rows are kept in memory
_KEPT_PAYLOAD = 2048  # characters: rows of jobs with more of it are not
_ATTEMPT = RUN_COLUMNS.index("attempt")
_RUN_CREATED, _JOB_CREATED = RUN_COLUMNS.index("created_at"), len(RUN_COLUMNS) + JOB_COLUMNS.index("created_at")
_PAYLOAD = len(RUN_COLUMNS) + JOB_COLUMNS.index("payload")
_PAGE = 500  # rows held by one statement

_statements = lru_cache(maxsize=16)(JournalStatements)  # of each database, compiled once


# ---- changes -----------------------------------------------------------------------------------------------------------


class PoolWrite:
    """Sets of changes, as work for one transaction of its own; another process can be told of it too."""

    __slots__ = ("wanted",)

    def __init__(self, wanted: Sequence[Sequence[Change]]) -> None:
        self.wanted = wanted

    def __call__(self, database: Database) -> list[bool]:
        """As `write`."""
        return write(database, self.wanted)


class NotWritten(Exception):
    """What went wrong with it in another process."""

    def __init__(self, said: str, *, of_one_row: bool = False) -> None:
        super().__init__(said)
        self.of_one_row = of_one_row


def write(database: Database, wanted: Sequence[Sequence[Change]]) -> list[bool]:
    """Write each of these sets of changes whole, or not at all: whether its rows still were as it says, and, of runs,
    without a host. To be run in one transaction; what fails otherwise, such as a key that is taken, fails all.
    """
    statements = _statements(database)
    runs, jobs = _held(database, JobRun, wanted, RunChange), _held(database, Job, wanted, JobChange)
    fits: list[bool] = []
    for changes in wanted:
        fits.append(all(_fits(change, runs, jobs) for change in changes))
        for change in changes if fits[-1] else ():
            if isinstance(change, RunChange | JobChange):  # of two who want the same row the first one gets it
                (runs if isinstance(change, RunChange) else jobs).pop(change.id, None)
    by_statement: dict[Statement, list[Image]] = {}
    for changes in (changes for changes, fit in zip(wanted, fits, strict=True) if fit):
        for change in changes:
            statement, image = _statement(statements, change)
            by_statement.setdefault(statement, []).append(image)
    cursor = database.connection().cursor()
    for statement, images in by_statement.items():
        statements.dialect.write(cursor, statement, images)
    return fits


def _held(database: Database, model: Any, wanted: Sequence[Sequence[Change]], kind: type[Change]) -> dict[str, str]:
    """The statuses of the rows that are to be changed, which nobody else can change now; no runs that have a host."""
    changed = (change for changes in wanted for change in changes if isinstance(change, kind))
    ids = sorted({change.id for change in changed if change.was is not None})  # type: ignore[union-attr]  # by its kind
    found: dict[str, str] = {}
    for start in range(0, len(ids), _PAGE):
        query = model.select(model.id, model.status).where(model.id.in_(ids[start : start + _PAGE]))
        if model is JobRun:
            query = query.where(JobRun.host_id.is_null())
        if isinstance(database, PostgresqlDatabase):
            query = query.for_update("FOR UPDATE")
        found.update(query.order_by(model.id).tuples().execute(database))
    return found


def _fits(change: Change, runs: dict[str, str], jobs: dict[str, str]) -> bool:
    if isinstance(change, RunChange | JobChange) and change.was is not None:
        return (runs if isinstance(change, RunChange) else jobs).get(change.id) == change.was
    return True


def _statement(statements: JournalStatements, change: Change) -> tuple[Statement, Image]:
    if isinstance(change, JobChange | RunChange):
        table: RowStatements = statements.jobs if isinstance(change, JobChange) else statements.runs
        if change.was is None:
            return table.insert, table.pick_insert(change.image)
        update = table.update_of(change)
        return update.statement, update.pick((*change.image, change.was))
    if isinstance(change, Append):
        statement, pick = statements.appends[change.table]
        return statement, pick(change.values)
    raise TypeError(f"{change!r} is nothing that is done to a pool")


# ---- what waits --------------------------------------------------------------------------------------------------------


class Waiting(NamedTuple):
    """A job that any host which carries the labels of its lane may take."""

    job_id: str
    run_id: str
    type: str
    priority: int
    rows: Image | None = (
        None  # of its run and itself, if nobody else can have changed them while it waits; see `at_hand`
    )


class Lane(NamedTuple):
    """What waits under the same labels: the first of it, in order; `whole` when there is no more."""

    labels: str
    waiting: list[Waiting]
    whole: bool


def waiting(job: JobRow, run: RunRow) -> Waiting:
    """As which it waits."""
    return Waiting(job.id, run.id, job.type, job.priority, at_hand((*run_image(run), *job_image(job))))


def at_hand(both: Image) -> Image | None:
    """The rows, if whoever takes the job needs not read them. While the run that was made with its job waits nobody writes
    to the two but who ends or takes it, and then the claim misses; of a later run's job an earlier agent may still report.
    """
    payload, first = both[_PAYLOAD], both[_ATTEMPT] == 1 and both[_RUN_CREATED] == both[_JOB_CREATED]
    return both if first and payload is not None and len(payload) <= _KEPT_PAYLOAD else None


def rows_from(image: Image) -> tuple[JobRow, RunRow]:
    """The job and its run, of rows at hand; new ones each time."""
    return job_from(image[len(RUN_COLUMNS) :]), run_from(image[: len(RUN_COLUMNS)])


class PoolRead(NamedTuple):
    """The labels under which anything waits in an org's pool, and those lanes that were wanted."""

    labels: list[str]
    lanes: list[Lane]


def read_pool(
    database: Database, org_id: str, wanted: Callable[[str], bool], *, most_lanes: int, window: int
) -> PoolRead:
    """The first `most_lanes` lanes of the pool, and of those that are `wanted` the first jobs. First comes what any host may
    take, so that no crowd of labels hides it, then the others by their labels' text.
    """
    labels = [ANY_HOST] if rows(database, _window, org_id, ANY_HOST, 1) else []
    text = ""
    while len(labels) < most_lanes and (found := rows(database, _next_lane, org_id, text, 1)):
        text = found[0][0]
        if text != ANY_HOST:
            labels.append(text)
    lanes: list[Lane] = []
    room = ROWS_AHEAD
    for text in labels:
        if wanted(text):
            lanes.append(_lane(database, org_id, text, window, with_rows=room > 0))
            room -= len(lanes[-1].waiting)
    return PoolRead(labels, lanes)


def _next_lane() -> Query:
    """An index leads to it, however many wait in the lane before."""
    lanes = JobRun.select(JobRun.pool_labels).where((JobRun.org_id == ARG) & (JobRun.pool_labels > ARG) & IN_POOL)
    return lanes.order_by(JobRun.pool_labels).limit(ARG)


def _lane(database: Database, org_id: str, labels: str, window: int, *, with_rows: bool) -> Lane:
    query = _window_with_rows if with_rows else _window
    found = [
        Waiting(row[0], row[1], row[2], row[3], at_hand(row[4:]) if with_rows else None)
        for row in rows(database, query, org_id, labels, window + 1)
    ]
    return Lane(labels, found[:window], len(found) <= window)


def _window() -> Query:
    return _first_of_lane()


def _window_with_rows() -> Query:
    short = Case(None, [(fn.LENGTH(Job.payload) <= SQL(str(_KEPT_PAYLOAD)), Job.payload)])
    return _first_of_lane(*_RUN, *[short if column is Job.payload else column for column in _JOB])


def _first_of_lane(*more: Any) -> Query:
    runs = JobRun.select(JobRun.job_id, JobRun.id, Job.type, JobRun.pool_priority, *more)
    mine = (JobRun.org_id == ARG) & (JobRun.pool_labels == ARG) & IN_POOL
    ordered = (
        runs.join(Job, on=(Job.id == JobRun.job_id)).where(mine).order_by(JobRun.pool_priority.desc(), JobRun.job_id)
    )
    return ordered.limit(ARG)


# ---- what time brings --------------------------------------------------------------------------------------------------


def pools_due(database: Database, by: Millis, most: int) -> list[tuple[str, Millis]]:
    """Orgs in whose pools something is due by then, and when; the earliest first."""
    return [(row[0], row[1]) for row in rows(database, _pools_due, by, most)]


def _pools_due() -> Query:
    due = SCHEDULED_RUNS & JobRun.host_id.is_null() & (JobRun.available_at <= ARG)
    return JobRun.select(JobRun.org_id, JobRun.available_at).where(due).order_by(JobRun.available_at).limit(ARG)


def pools_expired(database: Database, by: Millis, most: int) -> list[str]:
    """Orgs in whose pools something should have started by then."""
    return list(dict.fromkeys(org_id for (org_id,) in rows(database, _pools_expired, by, most)))


def _late() -> Any:
    # Not `host_id IS NULL`: SQLite would go through all that wait in pools, and few of those expire.
    without_host = fn.COALESCE(Job.host_id, SQL("''")) == SQL("''")
    return WAITING_JOBS_THAT_EXPIRE & Job.started_at.is_null() & without_host & (Job.start_before <= ARG)


def _pools_expired() -> Query:
    return Job.select(Job.org_id).where(_late()).limit(ARG)


class DueInPool(NamedTuple):
    """Jobs of one org's pool, each with its open run."""

    due: list[tuple[JobRow, RunRow]]  # a run carries `asked_to_stop` if its predecessor was asked in vain
    expired: list[tuple[JobRow, RunRow]]


def due_in_pool(database: Database, org_id: str, by: Millis, most: int) -> DueInPool:
    """What is due in the org's pool by then, and what should have started; the first `most` of each."""
    due, expired = (
        [(job_from(row[len(RUN_COLUMNS) :]), run_from(row[: len(RUN_COLUMNS)])) for row in found]
        for found in (rows(database, _due, by, org_id, most), rows(database, _expired, by, org_id, most))
    )
    pass_words_on(database, [run for _, run in due])
    return DueInPool(due, expired)


def _open() -> Any:
    return JobRun.select(*_RUN, *_JOB).join(Job, on=(Job.id == JobRun.job_id))


def _due() -> Query:
    due = SCHEDULED_RUNS & JobRun.host_id.is_null() & (JobRun.available_at <= ARG) & (JobRun.org_id == ARG)
    query: Query = _open().where(due).order_by(JobRun.available_at).limit(ARG)
    return query


def _expired() -> Query:
    waiting = JobRun.finished_at.is_null() & JobRun.host_id.is_null()
    query: Query = _open().where(_late() & (Job.org_id == ARG) & waiting).limit(ARG)
    return query


# ---- who is asked ------------------------------------------------------------------------------------------------------


def place_of_job(database: Database, job_id: str) -> tuple[str, str | None, str | None] | None:
    """Whose job it is, which host has it, and the labels of a pool job."""
    return next(((row[0], row[1], row[2]) for row in rows(database, _place, job_id)), None)


def _place() -> Query:
    return Job.select(Job.org_id, Job.host_id, Job.labels).where(Job.id == ARG)


class HostsAlike(NamedTuple):
    """Hosts of an org with the same labels, counted."""

    labels: str
    hosts: int
    connected: int  # heard of lately, or at work
    busy: int  # of those connected
    barred: int  # of those connected and not busy: paused, draining, unhealthy or yet to say that they are idle


def count_hosts(database: Database, org_id: str, seen_since: Millis, now: Millis) -> list[HostsAlike]:
    """The org's hosts by their labels; connected are those that have been seen since then."""
    return [HostsAlike(*row) for row in rows(database, _hosts, seen_since, seen_since, now, org_id)]


def _hosts() -> Query:
    at_work, seen = JobRun.id.is_null(False), Host.last_seen_at >= ARG
    paused = Host.paused & (Host.paused_until.is_null() | (Host.paused_until > ARG))
    barred = seen & JobRun.id.is_null() & (paused | Host.draining | Host.awaiting_idle | Host.unhealthy.is_null(False))
    counts = [
        fn.SUM(Case(None, [(holds, SQL("1"))], SQL("0")))
        for holds in (at_work | (Host.last_seen_at >= ARG), at_work, barred)
    ]
    joined = Host.select(Host.labels, fn.COUNT(Host.id), *counts).join(
        JobRun, JOIN.LEFT_OUTER, on=((JobRun.host_id == Host.id) & LIVE_RUNS)
    )
    return joined.where(Host.org_id == ARG).group_by(Host.labels)


def is_of_one_row(error: BaseException) -> bool:
    """Whether a transaction failed for what one row holds, such as a key that is taken: then the others may be written."""
    if isinstance(error, NotWritten):
        return error.of_one_row
    return any(kind.__name__ in {"IntegrityError", "DataError"} for kind in type(error).__mro__)
