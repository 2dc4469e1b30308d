"""The instance's own signing secret: 256 bits in the data folder, readable by this user alone.

Servers that share a PostgreSQL share the secret too: the one that was there first proposed its own, and it is kept in the
database. Whoever can read that can sign credentials, as whoever can write it can do anything.
"""

import logging
import os
import secrets
from pathlib import Path
from typing import Any

from interlock.errors import InterlockError
from runtime.settings import Settings
from store.nodes import shared_secret

log = logging.getLogger(__name__)

MINIMUM = 32  # bytes: HS256 wants a key as long as its hash


class BadSecret(InterlockError):
    """The secret cannot be used; the sentence says what to do."""

    title = "The signing secret cannot be used"


def load_secret(data_dir: Path) -> bytes:
    """The secret, made at the first call. Two processes that make it at once end with the same one."""
    path = data_dir / "secret"
    try:
        if not path.exists():
            _make(data_dir, path)
        secret = path.read_bytes().strip()
    except OSError as error:
        raise BadSecret(f"{path} cannot be made or read: {error.strerror}") from error
    if len(secret) < MINIMUM:
        raise BadSecret(f"{path} holds fewer than {MINIMUM} bytes; remove it and all credentials start afresh")
    return secret


def signing_secret(settings: Settings, database: Any) -> bytes:
    """The secret of all servers on that database, which has been migrated."""
    own = load_secret(settings.data_path)
    return shared_secret(database, "signing", own.decode("ascii", "backslashreplace")).encode()


def _make(data_dir: Path, path: Path) -> None:
    """Write it whole under a name of its own, then give it the one that counts."""
    fresh = data_dir / f".secret-{secrets.token_hex(8)}"
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "w") as file:
            file.write(secrets.token_hex(MINIMUM))
            file.flush()
            os.fsync(file.fileno())
        path.hardlink_to(fresh)
    except FileExistsError:
        log.debug("Another process made the secret first: its secret counts")
    finally:
        fresh.unlink()
