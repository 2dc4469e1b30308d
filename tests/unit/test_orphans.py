"""Files that nothing leads to go; one that is just coming, or comes again at that very moment, stays."""

import hashlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from peewee import Database

from interlock.clock import Millis
from runtime import orphans
from runtime.orphans import PREFIXES, UNTOUCHED, Orphans, hold_files
from store import open_database
from store.database import migrate
from store.models import Asset

NOW: Millis = 1_800_000_000_000


class Now:
    """A clock that stands."""

    def now(self) -> Millis:
        return NOW

    def chance(self) -> float:
        return 0.5


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    made = open_database(f"sqlite://{tmp_path / 'interlock.db'}")
    migrate(made)
    yield made
    made.close()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "assets").mkdir()
    return tmp_path / "assets"


def file(folder: Path, content: bytes, age: Millis = UNTOUCHED) -> Path:
    sha256 = hashlib.sha256(content).hexdigest()
    path = folder / sha256[:2] / sha256
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(content)
    os.utime(path, ((NOW - age) / 1000, (NOW - age) / 1000))
    return path


def lead_to(database: Database, path: Path) -> None:
    """A row for it."""
    row = {"id": path.name[:36], "org_id": "o", "job_id": "j", "job_run_id": "r", "name": "n", "content_type": "a/b"}
    Asset.insert(row | {"size_bytes": 1, "sha256": path.name, "created_at": 1}).execute(database)


def swept(database: Database, folder: Path) -> int:
    return Orphans(folder, Now()).sweep(database, whole=True)


def test_an_old_file_without_a_row_goes_and_others_stay(database: Database, folder: Path) -> None:
    orphan, used, fresh = file(folder, b"1"), file(folder, b"2"), file(folder, b"3", UNTOUCHED - 1000)
    lead_to(database, used)
    (folder / "partial").mkdir()
    (folder / "partial" / "x").write_text("coming")
    assert Orphans(folder, Now()).count(database) == 1
    assert swept(database, folder) == 1
    assert [path.exists() for path in (orphan, used, fresh, folder / "partial" / "x")] == [False, True, True, True]


def test_each_round_looks_at_the_next_of_the_folders(database: Database, folder: Path) -> None:
    paths = [file(folder, bytes([number])) for number in range(20)]
    made = Orphans(folder, Now())
    assert sum(made.sweep(database) for _ in PREFIXES) == len(paths)


def test_a_file_that_is_uploaded_again_while_it_is_looked_at_is_put_back(
    database: Database, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = file(folder, b"again")
    rename: Callable[[Path, Any], Path] = Path.rename

    def upload_first(self: Path, target: Any) -> Path:
        if self == path:
            self.write_bytes(b"again")
            os.utime(self, (NOW / 1000, NOW / 1000))
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", upload_first)
    assert swept(database, folder) == 0
    assert path.read_bytes() == b"again"


def test_a_row_that_comes_while_its_file_is_looked_at_keeps_it(
    database: Database, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = file(folder, b"row")
    answers = iter([set(), {path.name}])
    monkeypatch.setattr(orphans, "files_in_use", lambda *_: next(answers))
    assert swept(database, folder) == 0
    assert path.exists()


def test_what_a_crash_left_aside_is_put_back(database: Database, folder: Path) -> None:
    path = file(folder, b"aside")
    lead_to(database, path)
    (folder / "aside").mkdir()
    path.rename(folder / "aside" / path.name)
    assert swept(database, folder) == 0
    assert path.read_bytes() == b"aside"


def test_nothing_goes_while_a_backup_holds_the_files(database: Database, folder: Path) -> None:
    path = file(folder, b"held")
    with hold_files(folder, alone=False) as held:
        assert held
        assert swept(database, folder) == 0
    assert path.exists()
    assert swept(database, folder) == 1


def test_a_folder_that_is_not_there_has_no_orphans(database: Database, tmp_path: Path) -> None:
    assert swept(database, tmp_path / "nowhere") == 0
    assert Orphans(tmp_path / "nowhere", Now()).count(database) == 0
