"""Changing the signing secret without signing anybody out: the new one signs, older ones go on being accepted until they are
forgotten.

Older ones are in the data folder beside the secret, or, where servers share a PostgreSQL, in the database with it. Whoever
changes them is another process (`interlock admin rotate-secret`): a server looks every few seconds.
"""

import logging
import os
import secrets
from pathlib import Path
from typing import Any

from interlock.clock import Millis
from runtime.secret import MINIMUM, BadSecret, signing_secret
from runtime.settings import Settings
from runtime.watch import Watch
from store import Store
from store.nodes import forget_older_secrets, newest_secret, older_secrets, replace_secret
from web.tokens import Tokens

log = logging.getLogger(__name__)

_NAME = "signing"


def older_signing_secrets(settings: Settings, database: Any) -> tuple[bytes, ...]:
    """Those that are still accepted, the newest first."""
    if not settings.is_embedded:
        return tuple(secret.encode() for secret in older_secrets(database, _NAME))
    path = _file(settings)
    try:
        return tuple(bytes.fromhex(line) for line in path.read_text().split()) if path.exists() else ()
    except (OSError, ValueError) as error:
        raise BadSecret(f"{path} cannot be read: without it only the newest secret is accepted") from error


def rotate(settings: Settings, database: Any, at: Millis) -> int:
    """A new secret, in a transaction of the caller's; how many older ones are accepted beside it."""
    fresh = secrets.token_hex(MINIMUM)
    known = (signing_secret(settings, database), *older_signing_secrets(settings, database))
    if not settings.is_embedded:
        replace_secret(database, _NAME, fresh, at)
    else:
        _write(_file(settings), "\n".join(dict.fromkeys(secret.hex() for secret in known)))
        _write(settings.data_path / "secret", fresh)
    return len(known)


def forget(settings: Settings, database: Any) -> None:
    """Accept the newest secret alone: what the older ones have signed no longer holds."""
    if not settings.is_embedded:
        forget_older_secrets(database, _NAME)
    else:
        _file(settings).unlink(missing_ok=True)


def _file(settings: Settings) -> Path:
    return settings.data_path / "secret.older"


def _write(path: Path, text: str) -> None:
    """Whole or not at all, for this user alone. Older ones go first: a crash between the two leaves one that is known twice."""
    fresh = path.with_name(f".secret-{secrets.token_hex(8)}")
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)


class SecretWatch(Watch):
    """Whether the secret has been changed, by this server's operator or at another node."""

    def __init__(self, store: Store, settings: Settings, tokens: Tokens) -> None:
        super().__init__("secret-watch", settings.node_look_seconds, self.look)
        self._store = store
        self._settings = settings
        self._tokens = tokens

    async def look(self) -> None:
        """Sign and accept with what is there now."""
        settings = self._settings
        known = await self._store.fetch(
            lambda database: (_current(settings, database), older_signing_secrets(settings, database))
        )
        if self._tokens.use(*known):
            log.info("The signing secrets have changed: %d older ones are accepted", len(known[1]))


def _current(settings: Settings, database: Any) -> bytes:
    """It has been made by now: nothing is written here."""
    shared = None if settings.is_embedded else newest_secret(database, _NAME)
    return signing_secret(settings, database) if shared is None else shared.encode()
