"""Holding hosts. Whoever holds several takes them in the order of their ids: batches, claims and nodes that leave would
else wait for each other in a circle. An UPDATE alone locks in whatever order it finds its rows.
"""

from typing import Any

from peewee import Database, PostgresqlDatabase

from store.models import Host, Organization


def locked(database: Database, hosts: Any, *, skip: bool = False) -> list[tuple[Any, ...]]:
    """The rows of this SELECT over `Host`, held until the transaction ends; `skip` those that somebody else holds. On
    SQLite a transaction that writes holds everything already.

    `OperationalError` when somebody goes on holding one for longer than `lock_timeout`: others wait behind this
    transaction, so it is to come again.
    """
    if isinstance(database, PostgresqlDatabase):
        hosts = hosts.for_update("FOR UPDATE OF t1 SKIP LOCKED" if skip else "FOR UPDATE OF t1")
    return list(hosts.order_by(Host.id).tuples().execute(database))


def hold_org(database: Database, org_id: str) -> None:
    """Nobody else who holds this org first changes what belongs to it until the transaction ends."""
    org: Any = Organization.select(Organization.id).where(Organization.id == org_id)
    if isinstance(database, PostgresqlDatabase):
        org = org.for_update()
    list(org.tuples().execute(database))
