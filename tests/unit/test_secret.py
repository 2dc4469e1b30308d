"""The instance's signing secret: made once, kept to this user, the same for whoever asks first."""

import os
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import pytest

from runtime.secret import MINIMUM, BadSecret, load_secret


def test_it_is_made_once_and_stays(tmp_path: Path) -> None:
    secret = load_secret(tmp_path)
    assert len(secret) >= MINIMUM
    assert load_secret(tmp_path) == secret


def test_each_instance_has_its_own(tmp_path: Path) -> None:
    folders = [tmp_path / name for name in ("one", "other")]
    for folder in folders:
        folder.mkdir()
    one, other = map(load_secret, folders)
    assert one != other


def test_only_this_user_may_read_it_and_nothing_else_is_left_behind(tmp_path: Path) -> None:
    load_secret(tmp_path)
    (file,) = tmp_path.iterdir()
    assert file.stat().st_mode & 0o777 == 0o600


def test_processes_that_make_it_at_once_end_with_the_same(tmp_path: Path) -> None:
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
        secrets = set(pool.map(load_secret, [tmp_path] * 8))
    assert len(secrets) == 1


def test_what_a_crash_left_behind_under_the_same_process_number_is_no_obstacle(tmp_path: Path) -> None:
    (tmp_path / f".secret-{os.getpid()}").write_text("half")  # in a container the number is always the same
    assert len(load_secret(tmp_path)) >= MINIMUM


@pytest.mark.parametrize("content", [b"", b"short", b"   \n", b"\xff" * 31], ids=["empty", "short", "blank", "bytes"])
def test_a_secret_that_cannot_be_used_is_refused_with_what_to_do(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "secret").write_bytes(content)
    with pytest.raises(BadSecret, match="secret"):
        load_secret(tmp_path)


def test_a_secret_that_an_operator_made_of_any_bytes_is_used(tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(b"\xff" * 64)
    assert load_secret(tmp_path) == b"\xff" * 64


def test_a_folder_that_is_not_there_is_refused_with_its_name(tmp_path: Path) -> None:
    with pytest.raises(BadSecret, match="missing"):
        load_secret(tmp_path / "missing")
