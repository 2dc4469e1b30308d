"""What can go wrong with a database, in our own words and in the drivers'."""

import sqlite3

import psycopg2
from peewee import PeeweeException

from interlock.errors import InterlockError

# peewee's words, and the drivers' own where rows are fetched without peewee.
DRIVER_ERRORS = (PeeweeException, sqlite3.Error, psycopg2.Error)


class DatabaseUnusable(InterlockError):
    """The database cannot be used as it is; the sentence says what to do."""

    title = "The database cannot be used"
