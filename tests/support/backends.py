"""The databases on which the conformance suite runs."""

import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple


class Backend(NamedTuple):
    """A kind of database: the URL of an empty one in a folder, and what its driver raises when it is away."""

    name: str
    fresh: Callable[[Path], str]
    driver_error: type[Exception]


# To add a database, add a line here.
BACKENDS = (Backend("sqlite", lambda folder: f"sqlite://{folder / 'interlock.db'}", sqlite3.OperationalError),)
