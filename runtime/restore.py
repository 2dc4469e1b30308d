"""From a backup to a data folder that a server can be started on. Nothing is in its place before all of it was checked."""

import re
import shutil
import tarfile
import tempfile
from pathlib import Path

import msgspec

from runtime.backup import ASSETS, DATABASE, FORMAT, MANIFEST, SECRETS, BackupFailed, Manifest, fsync, sha256_of
from runtime.settings import Settings
from store.backups import check_database
from store.database import DataDirectory

_FILE = re.compile(r"assets/([0-9a-f]{2})/(\1[0-9a-f]{62})", re.ASCII)
_LOCK = "serve.lock"


def restore(settings: Settings, source: Path) -> Manifest:
    """Put it into the data folder and the asset folder, which must be empty; `BackupFailed` when it is not whole."""
    if not settings.is_embedded:
        raise BackupFailed("A backup of the embedded database is not for PostgreSQL: leave --database-url out")
    folder = DataDirectory(settings.data_path)
    folder.create()
    try:
        folder.lock()  # a server that runs, or begins to, holds it
        for path in {settings.data_path, settings.asset_path}:
            _check_empty(path)
        with tempfile.TemporaryDirectory(prefix=".restore-", dir=settings.data_path) as made:
            fresh = Path(made)
            _unpack(source, fresh)
            manifest = _checked(fresh)
            _put(fresh, settings)
            return manifest
    except OSError as error:
        raise BackupFailed(f"{error.filename or source} cannot be read or written: {error.strerror}") from error
    finally:
        folder.unlock()


def _check_empty(folder: Path) -> None:
    inside = [path.name for path in folder.iterdir() if path.name != _LOCK] if folder.is_dir() else []
    if inside:
        raise BackupFailed(f"{folder} is not empty ({min(inside)}): name a new one with --data-dir")


def _unpack(source: Path, fresh: Path) -> None:
    """Only what a backup has, by names that are spelled out here: a tar file may hold anything."""
    if source.is_dir():
        for path in source.rglob("*"):
            name = path.relative_to(source).as_posix()
            if _belongs(name) and path.is_file() and not path.is_symlink():
                (fresh / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(path, fresh / name)
        return
    try:
        with tarfile.open(source, "r:") as tar:
            for member in tar:
                inside = tar.extractfile(member) if member.isreg() and _belongs(member.name) else None
                if inside is not None:
                    (fresh / member.name).parent.mkdir(parents=True, exist_ok=True)
                    with (fresh / member.name).open("wb") as file:
                        shutil.copyfileobj(inside, file)
    except tarfile.TarError as error:
        raise BackupFailed(f"{source} is no backup: {error}") from error


def _belongs(name: str) -> bool:
    return name in {MANIFEST, DATABASE, *SECRETS} or _FILE.fullmatch(name) is not None


def _checked(fresh: Path) -> Manifest:
    try:
        manifest = msgspec.json.decode((fresh / MANIFEST).read_bytes(), type=Manifest)
    except (FileNotFoundError, msgspec.DecodeError) as error:
        raise BackupFailed(f"It is no backup, or not whole: {MANIFEST} {error}") from error
    if manifest.format != FORMAT:
        raise BackupFailed(f"It was made by another Interlock: format {manifest.format}, this one reads {FORMAT}")
    database = fresh / DATABASE
    if not database.is_file() or sha256_of(database) != manifest.database_sha256:
        raise BackupFailed(f"{DATABASE} is damaged or missing: its SHA-256 is not the one in {MANIFEST}")
    check_database(database)
    files = [path for path in (fresh / ASSETS).rglob("*") if path.is_file()]
    damaged = [path.name for path in files if sha256_of(path) != path.name]
    if damaged or len(files) != manifest.files:
        what = f"{damaged[0]} is damaged" if damaged else f"{len(files)} of {manifest.files} files are there"
        raise BackupFailed(f"The files are not whole: {what}")
    if not (fresh / SECRETS[0]).is_file():
        raise BackupFailed("The secret is missing: without it no agent's key would hold")
    return manifest


def _put(fresh: Path, settings: Settings) -> None:
    """The database last: a folder with one is taken to be whole."""
    for path in fresh.rglob("*"):
        path.chmod(0o700 if path.is_dir() else 0o600)
        fsync(path)
    if (fresh / ASSETS).is_dir():
        settings.asset_path.parent.mkdir(parents=True, exist_ok=True)
        shutil.copytree(fresh / ASSETS, settings.asset_path, dirs_exist_ok=True)
    for name in (*SECRETS, DATABASE):
        if (fresh / name).exists():
            (fresh / name).rename(settings.data_path / name)
    fsync(settings.data_path)
