"""A transaction whose error is the one that has ended it."""

from collections.abc import Iterator
from contextlib import contextmanager

from peewee import Database

from store.errors import DRIVER_ERRORS


def first_error(error: BaseException) -> BaseException:
    """A full disk ends a transaction by itself, and the rollback that then fails would hide why."""
    while "cannot rollback" in str(error) and error.__context__ is not None:
        error = error.__context__
    return error


@contextmanager
def transaction(database: Database, begin: tuple[str, ...]) -> Iterator[None]:
    """As `database.atomic(*begin)`, but for that."""
    try:
        with database.atomic(*begin):
            yield
    except DRIVER_ERRORS as error:
        raise first_error(error) from None
