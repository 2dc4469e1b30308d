"""The truth: tables, migrations, the journal that writes them in groups, and the queries that read them."""

from store.database import open_database
from store.entries import Committed, Entry, Incarnation, Outcome, Refused
from store.journal import Journal
from store.store import Store

__all__ = ["Committed", "Entry", "Incarnation", "Journal", "Outcome", "Refused", "Store", "open_database"]
