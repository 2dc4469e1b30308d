"""Whether the database takes anything in, found out without changing it."""

from typing import Any

from peewee import SqliteDatabase


def write_probe(database: Any) -> None:
    """Write a page of the embedded database again as it is, which takes room on its disk. PostgreSQL is left alone: each
    node writes its own row there every few seconds, and one that cannot is not ready.
    """
    if isinstance(database, SqliteDatabase):
        (version,) = database.execute_sql("PRAGMA user_version").fetchone()
        database.execute_sql(f"PRAGMA user_version = {int(version)}")
