"""Command lines that ask to be let in by somebody at a browser. A row lives for minutes: it begins `waiting`, a person makes it
`allowed` or `denied`, and whoever holds the device's secret takes it away, once.

Secrets never come here, only the SHA-256 of what the command line holds and of what the person types.
"""

from typing import Any, NamedTuple

from peewee import Database

from interlock.clock import Millis
from interlock.errors import NotFound, RateLimited
from store.accounts import By, audit
from store.models import DeviceLogin

WAITING, ALLOWED, DENIED = "waiting", "allowed", "denied"


class DeviceRow(NamedTuple):
    """One that asks; `user_id` is who has answered."""

    id: str
    device_hash: str
    user_code_hash: str
    name: str
    address: str | None
    status: str
    user_id: str | None
    created_at: Millis
    expires_at: Millis


_COLUMNS = [getattr(DeviceLogin, name) for name in DeviceRow._fields]


def begin(database: Database, row: DeviceRow, most: int) -> bool:
    """Let it ask; those whose time is over go first. False when another one has that code already. `RateLimited` when `most`
    ask at once; its wait is the time until the next of them is over.
    """
    DeviceLogin.delete().where(DeviceLogin.expires_at <= row.created_at).execute(database)
    soonest = DeviceLogin.select(DeviceLogin.expires_at).order_by(DeviceLogin.expires_at)
    known = [int(at) for (at,) in soonest.limit(most).tuples().execute(database)]
    if len(known) >= most:
        wait = (known[0] - row.created_at) / 1000 if known else 60.0
        raise RateLimited("Too many command lines wait to be let in", retry_after=max(1.0, wait))
    if _found(database, DeviceLogin.user_code_hash == row.user_code_hash):
        return False
    DeviceLogin.insert(row._asdict()).execute(database)
    return True


def waiting(database: Database, user_code_hash: str, now: Millis) -> DeviceRow | None:
    """The one with that code, if it still waits for an answer."""
    return _found(database, _is_waiting(user_code_hash, now))


def answer(database: Database, user_code_hash: str, user_id: str, by: By, *, allow: bool) -> DeviceRow:
    """Let it in as that user, or not; `NotFound` unless it waits. Of several answers at once one counts."""
    asks = waiting(database, user_code_hash, by.at)
    verdict = {"status": ALLOWED if allow else DENIED, "user_id": user_id}
    update = DeviceLogin.update(verdict).where(_is_waiting(user_code_hash, by.at))
    if asks is None or not update.execute(database):
        raise NotFound("No command line waits with this code: it was mistyped, answered already, or its time is over")
    detail = {"name": asks.name, "address": asks.address}
    audit(database, by, None, "device_login.allow" if allow else "device_login.deny", ("device_login", asks.id), detail)
    return asks


def of_device(database: Database, device_hash: str, now: Millis) -> DeviceRow | None:
    """The one with that secret, whatever was answered; None once its time is over, or it has been taken."""
    return _found(database, (DeviceLogin.device_hash == device_hash) & (DeviceLogin.expires_at > now))


def take(database: Database, asks: DeviceRow, token_expires_at: Millis, by: By) -> bool:
    """Use it up, with a line in the audit trail; False unless it is allowed and still there."""
    allowed = (DeviceLogin.id == asks.id) & (DeviceLogin.status == ALLOWED) & (DeviceLogin.expires_at > by.at)
    if not DeviceLogin.delete().where(allowed).execute(database):
        return False
    detail = {"name": asks.name, "tokenExpiresAt": token_expires_at}
    audit(database, by, None, "device_login.token", ("device_login", asks.id), detail)
    return True


def _is_waiting(user_code_hash: str, now: Millis) -> Any:
    coded = (DeviceLogin.user_code_hash == user_code_hash) & (DeviceLogin.status == WAITING)
    return coded & (DeviceLogin.expires_at > now)


def _found(database: Database, which: Any) -> DeviceRow | None:
    query = DeviceLogin.select(*_COLUMNS).where(which).limit(1).tuples()
    return next((DeviceRow(*row) for row in query.execute(database)), None)
