"""The instance's own signing secret: 256 bits in the data folder, readable by this user alone."""

import os
import secrets
from pathlib import Path

from interlock.errors import InterlockError

MINIMUM = 32  # bytes: HS256 wants a key as long as its hash


class BadSecret(InterlockError):
    """The secret cannot be used; the sentence says what to do."""

    title = "The signing secret cannot be used"


def load_secret(data_dir: Path) -> bytes:
    """The secret, made at the first call. Two processes that make it at once end with the same one."""
    path = data_dir / "secret"
    fresh = data_dir / f".secret-{os.getpid()}"
    if not path.exists():
        try:
            descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "w") as file:
                file.write(secrets.token_hex(MINIMUM))
                file.flush()
                os.fsync(file.fileno())
            _link(fresh, path)
        except OSError as error:
            raise BadSecret(f"{path} cannot be written: {error.strerror}") from error
    secret = path.read_text().strip().encode()
    if len(secret) < MINIMUM:
        raise BadSecret(f"{path} holds fewer than {MINIMUM} bytes; remove it and all credentials start afresh")
    return secret


def _link(fresh: Path, path: Path) -> None:
    try:
        path.hardlink_to(fresh)
    except FileExistsError:
        pass  # another process was first: its secret counts
    finally:
        fresh.unlink()
