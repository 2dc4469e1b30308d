"""Enrolment tokens: a machine that has one makes itself a host of the org. Only the tokens' hashes are here."""

from typing import NamedTuple

from peewee import Database

from interlock.clock import Millis
from interlock.errors import NotFound, Unauthenticated
from store.accounts import By, audit
from store.models import Enrolment
from store.told import told


class EnrolmentRow(NamedTuple):
    """An enrolment as it stands. `labels` is JSON text: every host that it makes carries them."""

    id: str
    org_id: str
    labels: str
    max_uses: int
    uses: int
    expires_at: Millis
    created_at: Millis
    created_by_id: str | None


_COLUMNS = [getattr(Enrolment, name) for name in EnrolmentRow._fields]


def create_enrolment(database: Database, row: EnrolmentRow, token_hash: str, by: By) -> None:
    """A new token, by its SHA-256 (hex)."""
    Enrolment.insert({**row._asdict(), "token_hash": token_hash}).execute(database)
    detail = told({"labels": row.labels, "max_uses": row.max_uses, "expires_at": row.expires_at})
    audit(database, by, row.org_id, "enrolment.create", ("enrolment", row.id), detail)


def enrolments_page(database: Database, org_id: str, after: str, limit: int) -> list[EnrolmentRow]:
    """Up to `limit` enrolments of the org behind that id, oldest first; those that hold no more too."""
    query = Enrolment.select(*_COLUMNS).where((Enrolment.org_id == org_id) & (Enrolment.id > after))
    return [EnrolmentRow(*row) for row in query.order_by(Enrolment.id).limit(limit).tuples().execute(database)]


def enrolment_of(database: Database, org_id: str, enrolment_id: str) -> EnrolmentRow | None:
    """One enrolment of the org."""
    query = Enrolment.select(*_COLUMNS).where((Enrolment.id == enrolment_id) & (Enrolment.org_id == org_id))
    return next((EnrolmentRow(*row) for row in query.tuples().execute(database)), None)


def delete_enrolment(database: Database, org_id: str, enrolment_id: str, by: By) -> None:
    """Its token holds no more; hosts that it has made stay. `NotFound` when the org has none of that id."""
    query = Enrolment.delete().where((Enrolment.id == enrolment_id) & (Enrolment.org_id == org_id))
    if not query.execute(database):
        raise NotFound("No such enrolment")
    audit(database, by, org_id, "enrolment.delete", ("enrolment", enrolment_id), {})


def use_enrolment(database: Database, token_hash: str, now: Millis) -> EnrolmentRow:
    """Count one use, in the transaction that makes the host. `Unauthenticated` for a token that is not known, has been
    used up, or has expired: whoever asks is not told which.
    """
    holds = (Enrolment.token_hash == token_hash) & (Enrolment.uses < Enrolment.max_uses) & (Enrolment.expires_at > now)
    if not Enrolment.update(uses=Enrolment.uses + 1).where(holds).execute(database):
        raise Unauthenticated("The enrolment token does not hold, or no more")
    query = Enrolment.select(*_COLUMNS).where(Enrolment.token_hash == token_hash)
    return EnrolmentRow(*next(iter(query.tuples().execute(database))))
