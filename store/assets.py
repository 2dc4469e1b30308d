"""Files that agents keep of their runs: the rows. The bytes are elsewhere, under their SHA-256."""

from typing import NamedTuple

from peewee import SQL, Database, Function, Query, fn

from interlock.clock import Millis
from interlock.errors import PayloadTooLarge, QuotaExceeded
from store.compiled import ARG, rows
from store.models import Asset

_LATER = 60.0  # seconds that an agent is asked to wait where the org's quota is used up
_COLUMNS = (
    Asset.id,
    Asset.org_id,
    Asset.job_id,
    Asset.job_run_id,
    Asset.name,
    Asset.content_type,
    Asset.size_bytes,
    Asset.sha256,
    Asset.created_at,
)


class AssetRow(NamedTuple):
    """A file. The same name may come again in a run with other content: that is another file."""

    id: str
    org_id: str
    job_id: str
    job_run_id: str
    name: str
    content_type: str
    size_bytes: int
    sha256: str
    created_at: Millis


class AssetQuotas(NamedTuple):
    """What may be kept; 0 is no limit."""

    files_per_job: int
    bytes_per_job: int
    bytes_per_org: int


def add_asset(database: Database, asset: AssetRow, quotas: AssetQuotas) -> tuple[AssetRow, bool]:
    """The file's row and whether it is new, in a transaction of the caller's: the same name and content is kept once.

    `PayloadTooLarge` when the job has its share. What the org has is looked at before, by `check_room`.
    """
    known = _same(database, asset)
    if known is not None:
        return known, False
    _check_job(database, asset, quotas)
    Asset.insert(asset._asdict()).on_conflict_ignore().execute(database)
    known = _same(database, asset)
    return known or asset, known == asset


def check_room(database: Database, asset: AssetRow, quotas: AssetQuotas) -> None:
    """Whether there is room for it: `PayloadTooLarge` when the job has its share, `QuotaExceeded` when the org has.

    While its SHA-256 is not known yet (""), its size is a lower bound, and one of the same name may well be the same.
    """
    if _same(database, asset) is not None or (not asset.sha256 and _has_namesake(database, asset)):
        return
    _check_job(database, asset, quotas)
    if not quotas.bytes_per_org:
        return
    used = int(rows(database, _of_org, asset.org_id)[0][0])
    if used + asset.size_bytes > quotas.bytes_per_org:
        message = f"The organization may keep {quotas.bytes_per_org} bytes of files"
        raise QuotaExceeded(message, retry_after=_LATER)


def _check_job(database: Database, asset: AssetRow, quotas: AssetQuotas) -> None:
    files, used = rows(database, _of_job, asset.job_id)[0]
    if quotas.files_per_job and files >= quotas.files_per_job:
        raise PayloadTooLarge(f"A job may keep {quotas.files_per_job} files")
    if quotas.bytes_per_job and int(used) + asset.size_bytes > quotas.bytes_per_job:
        raise PayloadTooLarge(f"A job may keep {quotas.bytes_per_job} bytes of files")


def _sum() -> Function:
    return fn.COALESCE(fn.SUM(Asset.size_bytes), SQL("0"))


def _of_job() -> Query:
    return Asset.select(fn.COUNT(Asset.id), _sum()).where(Asset.job_id == ARG)


def _of_org() -> Query:
    return Asset.select(_sum()).where(Asset.org_id == ARG)


def _same(database: Database, asset: AssetRow) -> AssetRow | None:
    found = rows(database, _twin, asset.job_run_id, asset.name, asset.sha256)
    return AssetRow(*found[0]) if found else None


def _has_namesake(database: Database, asset: AssetRow) -> bool:
    return bool(rows(database, _namesakes, asset.job_run_id, asset.name))


def _namesakes() -> Query:
    return Asset.select(Asset.id).where((Asset.job_run_id == ARG) & (Asset.name == ARG)).limit(SQL("1"))


def _twin() -> Query:
    same = (Asset.job_run_id == ARG) & (Asset.name == ARG) & (Asset.sha256 == ARG)
    return Asset.select(*_COLUMNS).where(same)


def asset_of(database: Database, job_id: str, asset_id: str) -> AssetRow | None:
    """A file of that job."""
    return next((AssetRow(*row) for row in rows(database, _one, asset_id, job_id)), None)


def _one() -> Query:
    return Asset.select(*_COLUMNS).where((Asset.id == ARG) & (Asset.job_id == ARG))


def asset_page(database: Database, job_id: str, after: str, limit: int) -> list[AssetRow]:
    """Up to `limit` files of a job behind the one of that id, oldest first; an empty id is before all."""
    query = Asset.select(*_COLUMNS).where((Asset.job_id == job_id) & (Asset.id > after))
    return [AssetRow(*row) for row in query.order_by(Asset.id).limit(limit).tuples().execute(database)]
