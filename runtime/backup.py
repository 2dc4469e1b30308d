"""A backup of everything a server on its embedded default has: database, files, secrets; taken while it serves.

    manifest.json      what this is, and the SHA-256 of the database
    interlock.db       the database as it was at one moment
    secret             what signs credentials; `secret.older` too, where there is one. Mode 0600
    assets/ab/abcd…    every file to which a row of the database leads

It is a folder, or a tar file when the name ends in `.tar`. It appears under its name when it is whole.
"""

import hashlib
import os
import shutil
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from interlock.clock import Clock, rfc3339
from interlock.errors import InterlockError
from runtime.data_folder import expect_database
from runtime.orphans import hold_files
from runtime.settings import Settings
from store.backups import check_database, copy_database, files_of

FORMAT = 1
DATABASE, MANIFEST, ASSETS = "interlock.db", "manifest.json", "assets"
SECRETS = ("secret", "secret.older")


class BackupFailed(InterlockError):
    """It could not be made or restored; the sentence says why and what to do."""

    title = "The backup cannot be made or restored"


class Manifest(msgspec.Struct, rename="camel"):
    """`manifest.json`."""

    format: int
    made_at: str
    migrations: list[str]
    database_sha256: str
    database_bytes: int
    files: int
    missing_files: list[str] = []  # to which rows lead, and which were not in the folder


def back_up(settings: Settings, target: Path, clock: Clock) -> Manifest:
    """Make it; `BackupFailed` where the database is PostgreSQL's, or the target is there; `NotFound` where no database is."""
    if not settings.is_embedded:
        raise BackupFailed(_NOT_OURS)
    expect_database(settings)
    if target.exists():
        raise BackupFailed(f"{target} is there already: a backup replaces nothing")
    try:
        with _beside(target) as folder:
            manifest = _fill(settings, folder, rfc3339(clock.now()))
            if target.suffix == ".tar":
                _tar(folder, target)
            else:
                _make_durable(folder)
                folder.rename(target)
            fsync(target.absolute().parent)
    except OSError as error:
        raise BackupFailed(f"{error.filename or target} cannot be read or written: {error.strerror}") from error
    return manifest


_NOT_OURS = (
    "The database is PostgreSQL's: back it up with `pg_dump --format=custom --file=interlock.dump URL`, which is consistent "
    "while servers run, and copy the asset folder after it. See docs/backup.md"
)


@contextmanager
def _beside(target: Path) -> Iterator[Path]:
    """A folder for what is not whole yet, on the same disk."""
    folder = Path(tempfile.mkdtemp(prefix=f".{target.name}-", dir=target.absolute().parent))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _fill(settings: Settings, folder: Path, made_at: str) -> Manifest:
    """The database first: files only come before their rows, and none goes while this holds them."""
    with hold_files(settings.asset_path, alone=False):
        copy = folder / DATABASE
        copy_database(settings.data_path / DATABASE, copy)
        migrations = check_database(copy)
        kept, missing = _copy_files(settings.asset_path, folder, copy)
    for name in SECRETS:
        if (settings.data_path / name).exists():
            _copy(settings.data_path / name, folder / name)
    for path in (copy, *(folder / name for name in SECRETS)):
        if path.exists():
            path.chmod(0o600)
    size = copy.stat().st_size
    manifest = Manifest(FORMAT, made_at, migrations, sha256_of(copy), size, kept, missing)
    (folder / MANIFEST).write_bytes(msgspec.json.format(msgspec.json.encode(manifest)) + b"\n")
    return manifest


def _copy_files(assets: Path, folder: Path, copy: Path) -> tuple[int, list[str]]:
    kept, missing = 0, []
    for sha256, _ in files_of(copy):
        source, target = assets / sha256[:2] / sha256, folder / ASSETS / sha256[:2] / sha256
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            _copy(source, target)
            kept += 1
        except FileNotFoundError:
            missing.append(sha256)
    return kept, missing


def _copy(source: Path, target: Path) -> None:
    shutil.copyfile(source, target)
    target.chmod(0o600)


def _tar(folder: Path, target: Path) -> None:
    whole = folder / "whole.tar"
    with tarfile.open(whole, "w") as tar:
        for path in sorted(path for path in folder.rglob("*") if path.is_file() and path != whole):
            tar.add(path, str(path.relative_to(folder)), recursive=False)
    whole.chmod(0o600)
    fsync(whole)
    whole.rename(target)


def _make_durable(folder: Path) -> None:
    for path in sorted(folder.rglob("*"), reverse=True):
        fsync(path)
    fsync(folder)


def fsync(path: Path) -> None:
    """What is in the file or folder survives power loss."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def sha256_of(path: Path) -> str:
    """Of a file, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
