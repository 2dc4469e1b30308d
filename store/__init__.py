"""The truth: tables, migrations, the journal that writes them in groups, and the queries that read them."""

from store.database import open_database
from store.entries import Claim, Committed, Entry, Incarnation, Missed, Outcome, Refused
from store.journal import Journal
from store.store import Store

__all__ = [
    "Claim",
    "Committed",
    "Entry",
    "Incarnation",
    "Journal",
    "Missed",
    "Outcome",
    "Refused",
    "Store",
    "open_database",
]
