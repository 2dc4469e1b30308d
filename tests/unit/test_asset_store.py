"""Files in a folder: whole or not there at all, and a disk that does not work is said so."""

import asyncio
import errno
import hashlib
import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from interlock.clock import SystemClock
from interlock.errors import Unavailable
from interlock.ids import UuidIds
from runtime.asset_store import ABANDONED, AssetFolder

DATA = b"some bytes " * 50_000
CLOCK, IDS = SystemClock(), UuidIds()
SHA256 = hashlib.sha256(DATA).hexdigest()


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[AssetFolder]:
    made = AssetFolder(tmp_path / "assets", CLOCK, IDS, alone=True)
    made.start()
    yield made
    made.stop()


async def keep(folder: AssetFolder, data: bytes = DATA) -> str:
    """Its SHA-256."""
    draft = await folder.draft()
    for start in range(0, len(data), 100_000):
        await draft.write(data[start : start + 100_000])
    await draft.keep()
    await draft.discard()
    return draft.sha256


async def read(folder: AssetFolder, sha256: str) -> bytes | None:
    reader = await folder.open(sha256)
    if reader is None:
        return None
    data = b""
    while portion := await reader.read():
        data += portion
    await reader.close()
    await reader.close()
    assert (await reader.read(), len(data)) == (b"", reader.size_bytes)
    return data


def partial(folder: AssetFolder) -> list[Path]:
    return list((folder.folder / "partial").iterdir())


async def test_what_was_kept_is_found_under_its_sha256(folder: AssetFolder) -> None:
    assert await keep(folder) == SHA256
    assert await read(folder, SHA256) == DATA
    assert folder.path_of(SHA256) == folder.folder / SHA256[:2] / SHA256
    assert partial(folder) == []


async def test_nobody_else_on_the_machine_reads_it(folder: AssetFolder) -> None:
    await keep(folder)
    assert stat.S_IMODE(folder.path_of(SHA256).parent.stat().st_mode) == 0o700


async def test_what_was_not_kept_is_not_found(folder: AssetFolder) -> None:
    assert await folder.open("0" * 64) is None
    draft = await folder.draft()
    await draft.write(DATA)
    assert await folder.open(SHA256) is None
    await draft.discard()
    await draft.discard()
    assert (await folder.open(SHA256), partial(folder)) == (None, [])
    with pytest.raises(Unavailable):
        await draft.write(b"more")


@pytest.mark.parametrize("name", ["", "../../etc/passwd", "0" * 63, "G" * 64, "0" * 65, f"{'0' * 63}/"])
async def test_nothing_but_a_sha256_ever_becomes_a_path(folder: AssetFolder, name: str) -> None:
    with pytest.raises(ValueError, match="not a SHA-256"):
        folder.path_of(name)


async def test_the_same_content_is_kept_once_and_heals_what_was_damaged(folder: AssetFolder) -> None:
    await asyncio.gather(*(keep(folder) for _ in range(5)))
    folder.path_of(SHA256).write_bytes(b"damaged")
    await keep(folder)
    assert await read(folder, SHA256) == DATA
    assert [file.name for file in folder.folder.glob("??/*")] == [SHA256]


async def test_what_a_crash_left_is_swept_at_the_start(folder: AssetFolder) -> None:
    left = folder.folder / "partial" / "left"
    left.write_bytes(b"half")
    await keep(folder)
    folder.start()
    assert partial(folder) == []
    assert await read(folder, SHA256) == DATA


async def test_another_servers_partial_file_is_left_alone_while_it_is_written(folder: AssetFolder) -> None:
    fresh, old = folder.folder / "partial" / "fresh", folder.folder / "partial" / "old"
    fresh.write_bytes(b"half")
    old.write_bytes(b"half")
    os.utime(old, (0, old.stat().st_mtime - 2 * ABANDONED / 1000))
    shared = AssetFolder(folder.folder, CLOCK, IDS, alone=False)
    shared.start()
    shared.stop()
    assert partial(folder) == [fresh]


async def test_a_full_disk_is_unavailable_and_leaves_nothing(
    folder: AssetFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    draft = await folder.draft()
    await draft.write(DATA)
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(Unavailable, match="No space left"):
        await draft.keep()
    await draft.discard()
    assert (await folder.open(SHA256), partial(folder)) == (None, [])


def full(_: int) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


async def test_a_folder_that_cannot_be_made_stops_no_server_but_refuses_files(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    folder = AssetFolder(tmp_path / "file" / "assets", CLOCK, IDS, alone=True)
    folder.start()
    with pytest.raises(Unavailable):
        await folder.draft()
    folder.stop()
    with pytest.raises(Unavailable, match="stopping"):
        await folder.draft()
