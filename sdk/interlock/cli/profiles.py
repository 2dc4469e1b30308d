"""What `interlock login` remembers: servers, organizations and credentials, in a file that only its owner can read."""

import os
import stat
from pathlib import Path

import click
import msgspec

from interlock.errors import InterlockError

DEFAULT = "default"
_OTHERS = stat.S_IRWXG | stat.S_IRWXO


class Profile(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True, kw_only=True):
    """One server as one person. The credential is a token, or a browser's session: its cookie and CSRF token.

    `url` may have a path; `org` is an organization's id; `cookie` is `name=value`.
    """

    url: str
    org: str | None = None
    token: str | None = None
    cookie: str | None = None
    csrf_token: str | None = None


class Profiles(msgspec.Struct, frozen=True, rename="camel"):
    """All profiles by name, and the name of the one that counts when none is named."""

    current: str = DEFAULT
    profiles: dict[str, Profile] = {}

    def find(self, name: str | None) -> Profile | None:
        """The named one; without a name the current one; None when there is none."""
        return self.profiles.get(name or self.current)


def profiles_path() -> Path:
    """`$XDG_CONFIG_HOME/interlock/profiles.json`, by default under `~/.config`."""
    base = os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config"
    return Path(base) / "interlock" / "profiles.json"


def load_profiles() -> Profiles:
    """What is stored, nothing when there is no file; an `InterlockError` when the file cannot be used.

    A file that others can read is used all the same, with a warning: what it held must be taken as known.
    """
    path = profiles_path()
    try:
        raw, mode = path.read_bytes(), path.stat().st_mode
    except FileNotFoundError:
        return Profiles()
    except OSError as error:
        raise InterlockError(f"{path} cannot be read: {error.strerror}") from error
    if mode & _OTHERS:
        click.echo(f"interlock: others can read {path}; `chmod 600` it and sign in again.", err=True)
    try:
        return msgspec.json.decode(raw, type=Profiles)
    except msgspec.MsgspecError as error:
        raise InterlockError(f"{path} is damaged ({error}): remove it and sign in again") from error


def save_profiles(profiles: Profiles) -> Path:
    """Put the file in its place whole, mode 0600, and return its path."""
    path = profiles_path()
    aside = path.with_name(f".{path.name}.{os.getpid()}.new")
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        descriptor = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with open(descriptor, "wb") as file:  # noqa: PTH123 - of a descriptor
            file.write(msgspec.json.format(msgspec.json.encode(profiles), indent=2) + b"\n")
        aside.replace(path)
    except OSError as error:
        aside.unlink(missing_ok=True)
        raise InterlockError(f"{path} cannot be written: {error.strerror}") from error
    return path
