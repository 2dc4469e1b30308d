"""Queries that run often, built by peewee once per database and then run as text: building one takes it up to a ms."""

from collections.abc import Callable
from functools import lru_cache
from typing import Any

from peewee import Database, Query

ARG = ""  # stands where a value will: the values are given in the order of their places


@lru_cache(maxsize=1024)
def _text(database: Database, build: Callable[[], Query]) -> str:
    sql: str = database.get_sql_context().parse(build())[0]
    return sql


def rows(database: Database, build: Callable[[], Query], *values: Any) -> list[tuple[Any, ...]]:
    """The rows of the query that `build`, a function of this module's callers, makes with `ARG` for each value."""
    found: list[tuple[Any, ...]] = database.execute_sql(_text(database, build), values).fetchall()
    return found
