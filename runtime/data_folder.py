"""What a data folder says of its server's database, so that no command takes a folder without one for a new server.

A server whose rows are in PostgreSQL leaves a mark in its folder. Without it, `interlock admin` in a shell that does not know the URL
would make an empty database there, and report success.
"""

import contextlib
from pathlib import Path

from interlock.errors import NotFound
from runtime.settings import Settings

NAME_IT = "name that with --database-url, --config or INTERLOCK_DATABASE_URL"
_MARK = "database-elsewhere"  # a file, which says to people what it is for


def note_database(settings: Settings) -> None:
    """To be called by a server at its start."""
    mark = settings.data_path / _MARK
    with contextlib.suppress(OSError):  # whoever cannot write here is told so by what needs it
        if settings.is_embedded:
            mark.unlink(missing_ok=True)
        else:
            mark.write_text("The server of this folder keeps its rows in the database of its setting database_url.\n")


def is_elsewhere(settings: Settings) -> bool:
    """Whether the last server of the folder kept its rows in another database."""
    return (settings.data_path / _MARK).exists()


def expect_database(settings: Settings, *, may_be_new: bool = False) -> None:
    """Raise `NotFound` when the database that the settings lead to is a file that is not there; `may_be_new`: unless one may
    be made there.
    """
    folder = settings.data_path
    if not settings.is_embedded or Path(settings.url_of_database.removeprefix("sqlite://")).exists():
        return
    if is_elsewhere(settings):
        raise NotFound(f"The server of {folder} keeps its rows in another database: {NAME_IT}")
    if not may_be_new:
        raise NotFound(f"No database is in {folder}: name the server's data folder with --data-dir")
