"""The nodes of a cluster: server processes on one database. Who lives is judged on the database's clock alone."""

from typing import Any, NamedTuple

from peewee import JOIN, Database, PostgresqlDatabase, Query

from interlock.clock import Clock, Millis
from store.compiled import ARG, rows
from store.locks import locked
from store.models import LIVE_RUNS, Host, JobRun, Node, SharedSecret

_NOW = "SELECT (EXTRACT(EPOCH FROM clock_timestamp()) * 1000)::bigint"


class Owner(NamedTuple):
    """The node that owns a host and is alive."""

    id: str
    url: str


def database_now(database: Database, clock: Clock) -> Millis:
    """The instant on the database's clock. SQLite has none of its own: there it is this process's."""
    if isinstance(database, PostgresqlDatabase):
        (now,) = database.execute_sql(_NOW).fetchone()
        return int(now)
    return clock.now()


def renew(database: Database, node_id: str, url: str, now: Millis, lives_ms: Millis) -> None:
    """Say that this node lives for so long from now."""
    (
        Node.insert(id=node_id, url=url, started_at=now, expires_at=now + lives_ms)
        .on_conflict(conflict_target=[Node.id], update={Node.url: url, Node.expires_at: now + lives_ms})
        .execute(database)
    )


def shared_secret(database: Database, name: str, proposed: str) -> str:
    """The secret of that name: the first that was ever proposed. On SQLite the data folder's own is the only one."""
    if not isinstance(database, PostgresqlDatabase):
        return proposed
    SharedSecret.insert(name=name, secret=proposed).on_conflict_ignore().execute(database)
    query = SharedSecret.select(SharedSecret.secret).where(SharedSecret.name == name)
    ((secret,),) = query.tuples().execute(database)
    return str(secret)


def newest_secret(database: Database, name: str) -> str | None:
    """The secret of that name that is in the database."""
    query = SharedSecret.select(SharedSecret.secret).where(SharedSecret.name == name)
    return next((str(secret) for (secret,) in query.tuples().execute(database)), None)


def older_secrets(database: Database, name: str) -> list[str]:
    """Those that it has replaced and that are not forgotten, the newest first."""
    columns = SharedSecret.select(SharedSecret.secret)
    query = columns.where(SharedSecret.name.startswith(f"{name}.")).order_by(SharedSecret.name.desc())
    return [str(secret) for (secret,) in query.tuples().execute(database)]


def replace_secret(database: Database, name: str, fresh: str, at: Millis) -> None:
    """Let `fresh` be the newest. What it replaces is kept under a name with the instant of that."""
    replaced = newest_secret(database, name)
    SharedSecret.insert(name=f"{name}.{at:015}", secret=replaced).execute(database)
    SharedSecret.update(secret=fresh).where(SharedSecret.name == name).execute(database)


def forget_older_secrets(database: Database, name: str) -> None:
    """Keep the newest alone."""
    SharedSecret.delete().where(SharedSecret.name.startswith(f"{name}.")).execute(database)


def forget(database: Database, expired_before: Millis) -> None:
    """Remove the rows of nodes that have long been gone."""
    Node.delete().where(Node.expires_at < expired_before).execute(database)


def leave(database: Database, node_id: str) -> None:
    """This node ends: its hosts are free at once."""
    locked(database, Host.select(Host.id).where(Host.owner == node_id))
    Host.update(owner=None, rev=Host.rev + 1).where(Host.owner == node_id).execute(database)
    Node.delete().where(Node.id == node_id).execute(database)


def owner_of(database: Database, host_id: str, now: Millis) -> Owner | None:
    """The live owner of a host, if it has one."""
    found = rows(database, _owner_of, now, host_id)
    return Owner(*found[0]) if found else None


def _owner_of() -> Query:
    return Host.select(Node.id, Node.url).join(Node, on=living(ARG)).where(Host.id == ARG)


def alive(database: Database, now: Millis) -> list[str]:
    """The nodes that live."""
    return [node_id for (node_id,) in rows(database, _alive, now)]


def _alive() -> Query:
    return Node.select(Node.id).where(Node.expires_at > ARG)


def owned(database: Database, node_id: str) -> dict[str, tuple[int, int]]:
    """Epoch and rev of all hosts that this node owns."""
    return {host_id: (epoch, rev) for host_id, epoch, rev in rows(database, _owned, node_id)}


def _owned() -> Query:
    return Host.select(Host.id, Host.epoch, Host.rev).where(Host.owner == ARG)


def abandoned(database: Database, now: Millis, limit: int) -> list[str]:
    """Hosts with a run in their slot whose owner does not live: nobody looks at that run's clock."""
    return [host_id for (host_id,) in rows(database, _abandoned, now, limit)]


def busy(database: Database, node_id: str) -> list[str]:
    """Hosts of that node with a run in their slot."""
    return [host_id for (host_id,) in rows(database, _busy, node_id)]


def _busy() -> Query:
    return (
        JobRun.select(JobRun.host_id).join(Host, on=(Host.id == JobRun.host_id)).where(LIVE_RUNS & (Host.owner == ARG))
    )


def _abandoned() -> Query:
    runs = JobRun.select(JobRun.host_id).join(Host, on=(Host.id == JobRun.host_id))
    return runs.join(Node, JOIN.LEFT_OUTER, on=living(ARG)).where(LIVE_RUNS & Node.id.is_null()).limit(1)


def living(now: Any) -> Any:
    """That the host's owner lives: a condition for joins of `Node` to `Host`."""
    return (Node.id == Host.owner) & (Node.expires_at > now)
