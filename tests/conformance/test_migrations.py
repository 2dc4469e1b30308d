"""Migrations make what the models say, one migrator at a time, and can be taken back."""

import re
import threading
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import pytest
from peewee import Database, Model, SqliteDatabase
from playhouse.migrations import Runner

from store import open_database
from store.database import MIGRATIONS, migrate
from store.errors import DatabaseUnusable
from store.models import ALL_MODELS, AgentKey, Host, Job, JobRun
from store.rows import HOST_COLUMNS, JOB_COLUMNS, RUN_COLUMNS
from store.statements import APPENDABLE
from tests.support.backends import Backend

NAMES = sorted(path.stem for path in MIGRATIONS.glob("[0-9]*.py"))
TABLES = [model._meta.table_name for model in ALL_MODELS]
BY_TABLE: dict[str, type[Model]] = dict(zip(TABLES, ALL_MODELS, strict=True))
DECLARED = {"BIGINT": "BIGINT", "INT": "INTEGER", "BOOL": "BOOLEAN", "VARCHAR": "VARCHAR", "TEXT": "TEXT"}


Schema = dict[str, tuple[dict[str, Any], dict[str, Any]]]  # columns and indexes by table
_MODELLED: dict[str, Schema] = {}  # by kind of database: made once


@pytest.fixture
def modelled(backend: Backend, tmp_path: Path) -> Schema:
    """What a database looks like that is made from the models."""
    if backend.name not in _MODELLED:
        folder = tmp_path / "modelled"
        folder.mkdir()
        made = open_database(backend.fresh(folder))
        with made.connection_context(), made.bind_ctx(ALL_MODELS):
            made.create_tables(ALL_MODELS)
            _MODELLED[backend.name] = schema_of(made)
    return _MODELLED[backend.name]


def schema_of(database: Database) -> Schema:
    """Its tables."""
    return {table: (columns_of(database, table), indexes_of(database, table)) for table in TABLES}


def columns_of(database: Database, table: str) -> dict[str, tuple[Any, ...]]:
    """Type, whether nothing may stand there, and whether it is the key, by name."""
    return {
        column.name: (_type(database, column.data_type), column.null, column.primary_key, column.default)
        for column in database.get_columns(table)
    }


def _type(database: Database, declared: str) -> str:
    """SQLite keeps all whole numbers alike, whatever the column says."""
    numbers = isinstance(database, SqliteDatabase) and declared.upper() in {"BIGINT", "BOOLEAN", "INTEGER"}
    return "INTEGER" if numbers else declared.upper()


def indexes_of(database: Database, table: str) -> dict[str, tuple[Any, ...]]:
    """Columns, uniqueness and condition, by name; the key's own index, which has no text, is left out."""
    return {
        index.name: (tuple(index.columns), bool(index.unique), _condition(index.sql))
        for index in database.get_indexes(table)
        if index.sql
    }


def _condition(sql: str) -> str:
    """What stands behind WHERE, without quotes and spaces that mean nothing."""
    _, _, condition = re.sub(r"[\s\"()]+", " ", sql).partition(" WHERE ")
    return re.sub(r"::\w+( varying)?(\[\])?", "", condition).strip()


def test_every_model_has_its_table_and_there_are_no_others(database: Database) -> None:
    assert set(database.get_tables()) == {*TABLES, "schema_migration"}


@pytest.mark.parametrize("table", TABLES)
def test_a_migrated_table_has_the_columns_of_its_model(database: Database, modelled: Schema, table: str) -> None:
    assert columns_of(database, table) == modelled[table][0]
    assert set(columns_of(database, table)) == set(BY_TABLE[table]._meta.columns)


@pytest.mark.parametrize("table", TABLES)
def test_a_migrated_table_has_the_indexes_of_its_model(database: Database, modelled: Schema, table: str) -> None:
    assert indexes_of(database, table) == modelled[table][1]


@pytest.mark.parametrize("table", TABLES)
def test_a_migration_names_the_very_types_of_the_models(table: str) -> None:
    database = open_database("sqlite:///:memory:")  # it gives back the words with which a table was made
    migrate(database)
    wanted = {}
    for name, field in BY_TABLE[table]._meta.columns.items():
        length = f"({field.max_length})" if field.field_type == "VARCHAR" else ""
        wanted[name] = DECLARED[field.field_type] + length
    assert {column.name: column.data_type for column in database.get_columns(table)} == wanted
    database.close()


@pytest.mark.parametrize("table", TABLES)
def test_nothing_may_be_missing_where_the_model_wants_a_value(database: Database, table: str) -> None:
    wanted = {name for name, field in BY_TABLE[table]._meta.columns.items() if not field.null}
    assert {name for name, column in columns_of(database, table).items() if not column[1]} == wanted


def test_the_index_over_live_runs_is_unique_and_partial(database: Database) -> None:
    columns, unique, condition = indexes_of(database, "job_run")["job_run_one_live"]
    assert (columns, unique) == (("host_id",), True)
    for state in ("offered", "running", "cancelling", "unreachable"):
        assert f"'{state}'" in condition
    assert "'pending'" not in condition


@pytest.mark.parametrize(("model", "columns"), [(Host, HOST_COLUMNS), (Job, JOB_COLUMNS), (JobRun, RUN_COLUMNS)])
def test_rows_in_memory_have_the_columns_of_their_model(model: type[Model], columns: tuple[str, ...]) -> None:
    assert set(columns) == set(model._meta.columns)
    assert len(set(columns)) == len(columns)


@pytest.mark.parametrize("table", APPENDABLE)
def test_what_is_appended_has_the_columns_of_its_model(table: str) -> None:
    assert set(APPENDABLE[table]) == set(BY_TABLE[table]._meta.columns)


def test_migrating_again_applies_nothing(empty: str) -> None:
    database = open_database(empty)
    assert migrate(database) == NAMES
    assert migrate(database) == []
    database.close()


def test_migrations_can_be_taken_back_and_applied_again(database: Database) -> None:
    before = schema_of(database)
    runner = Runner(database, str(MIGRATIONS))
    assert runner.down(NAMES[0]) == NAMES[::-1]
    assert set(database.get_tables()) == {"schema_migration"}
    assert migrate(database) == NAMES
    assert schema_of(database) == before


def test_rows_are_kept_by_a_second_migrate(database: Database) -> None:
    AgentKey.insert(kid="k", org_id="o", host_id="h", created_at=1).execute(database)
    migrate(database)
    assert AgentKey.select().count(database) == 1


def test_migrations_are_numbered_without_gaps() -> None:
    assert [int(name.split("_")[0]) for name in NAMES] == list(range(1, len(NAMES) + 1))


def migrate_at(url: str) -> list[str]:
    """In a process or thread of its own."""
    database = open_database(url)
    try:
        return migrate(database)
    finally:
        database.close()


def test_of_several_threads_that_migrate_at_once_one_does_it(empty: str) -> None:
    ready = threading.Barrier(4)

    def go() -> list[str]:
        ready.wait()
        return migrate_at(empty)

    with ThreadPoolExecutor(4) as pool:
        applied = [future.result() for future in [pool.submit(go) for _ in range(4)]]
    assert sorted(applied) == [[], [], [], NAMES]


def test_of_several_processes_that_migrate_one_fresh_database_at_once_one_does_it(
    backend: Backend, tmp_path: Path
) -> None:
    with ProcessPoolExecutor(4, mp_context=get_context("spawn")) as pool:
        for number in range(6):
            folder = tmp_path / str(number)
            folder.mkdir()
            applied = list(pool.map(migrate_at, [backend.fresh(folder)] * 4))
            assert sorted(applied) == [[], [], [], NAMES]


@pytest.mark.parametrize("url", ["mysql://h/d", "nonsense", "", "file:///etc/passwd"])
def test_a_database_of_a_kind_that_we_do_not_know_is_refused_with_a_sentence(url: str) -> None:
    with pytest.raises(DatabaseUnusable, match="no database that Interlock knows"):
        open_database(url)


def test_a_database_that_cannot_be_opened_is_refused_with_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(DatabaseUnusable):
        migrate(open_database(f"sqlite://{tmp_path}/missing/interlock.db"))


def test_a_file_that_is_no_database_is_refused_with_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "interlock.db").write_text("This is a letter, not a database. " * 100)
    with pytest.raises(DatabaseUnusable):
        migrate(open_database(f"sqlite://{tmp_path}/interlock.db"))
