"""What the committer asks of a database, where SQLite and PostgreSQL want it in different words.

A dialect compiles the journal's statements, once, from peewee queries, and runs each of them for many rows.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from operator import itemgetter
from typing import Any

from peewee import Database, Table

from store.rows import Image

# The host's row, as the fence moves it: its columns besides those that its owner writes.
FENCE_COLUMNS = ("id", "owner", "epoch", "next_seq", "rev")
HELD_BY = ("id", "owner", "epoch")  # what makes the host ours: the fence misses where one of them is another
Fenced = tuple[int, int]  # the host's next place in line and its revision, both as they are now


class NotBegun(Exception):
    """The database is away, or somebody else holds it: nothing was tried."""


class CommitUnknown(Exception):
    """COMMIT failed in a way that leaves open whether it happened."""


class Statement:
    """SQL text and the order in which it wants its named values. `template` is one row of them, where rows are written
    out in the text.
    """

    __slots__ = ("names", "sql", "template")

    def __init__(self, sql: str, names: Sequence[str], template: str = "") -> None:
        self.sql = sql
        self.names = tuple(names)
        self.template = template

    def picker(self, available: Sequence[str]) -> "itemgetter[Any]":
        """Picks this statement's values, in its order, out of a tuple laid out as `available`."""
        return itemgetter(*(available.index(name) for name in self.names))


class Dialect(ABC):
    """One database's way. Connections are the driver's own."""

    def __init__(self, database: Database) -> None:
        self.database = database

    # ---- compiled once ---------------------------------------------------------------------------------------------

    @abstractmethod
    def insert(self, table: Table, columns: Sequence[str], otherwise: str = "") -> Statement:
        """INSERT of whole rows; `otherwise` says what to do about those that are there already."""

    @abstractmethod
    def update(self, table: Table, changed: Sequence[str], where: Mapping[str, str | None]) -> Statement:
        """UPDATE of these columns, where others (by name) have the values of that name, or are NULL."""

    @abstractmethod
    def fence_of(self, owned: Sequence[str], *, held_by: Sequence[str], expecting: bool = False) -> Statement:
        """The fence: counts up the host's row, makes `new_jobs` places, and writes what belongs to the owner, where the
        row is `held_by` these values, and its next place is the one that is `expects`-ed.
        """

    @abstractmethod
    def count_up(self, table: Table, column: str) -> Statement:
        """UPDATE that adds `more` to this column of the row with that `id`, and gives back what it is then."""

    # ---- run for each batch ----------------------------------------------------------------------------------------

    @abstractmethod
    def begin(self, connection: Any) -> None:
        """Begin a transaction that will write."""

    @abstractmethod
    def lock(self, cursor: Any, host_ids: Sequence[str]) -> set[str]:
        """Hold these hosts until its end, but for those that somebody else holds at this moment, which are named.
        `NotBegun` when none can be.
        """

    @abstractmethod
    def fence(self, cursor: Any, statement: Statement, rows: Sequence[Image]) -> list[Fenced | None]:
        """Run the fence for each row, in their order; None where it missed."""

    @abstractmethod
    def hold_waiting(self, cursor: Any, run_ids: Sequence[str]) -> set[str]:
        """Those of these runs that wait in a pool, held until the end; but for those that somebody else is just at."""

    @abstractmethod
    def counted(self, cursor: Any, statement: Statement, rows: Sequence[Image]) -> dict[str, int]:
        """Run a `count_up` for these rows, each of another id; what they come to, by id."""

    @abstractmethod
    def write(self, cursor: Any, statement: Statement, rows: Sequence[Image]) -> int:
        """Run an INSERT or UPDATE for each row; how many an UPDATE has found."""

    @abstractmethod
    def commit(self, connection: Any) -> None:
        """Make it durable; `CommitUnknown` when nobody can tell, anything else when it has definitely failed."""

    @abstractmethod
    def roll_back(self, connection: Any) -> None:
        """Take everything back; the connection is let go of if it does not work any more."""

    @abstractmethod
    def concerns_all(self, error: Exception) -> bool:
        """Whether a failure says nothing about the rows: to try them one host at a time would only repeat it."""
