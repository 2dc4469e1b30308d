"""`interlock doctor` finds what is wrong with a server's surroundings, and says what to do."""

import fcntl
import os
import resource
import socket
import threading
from collections.abc import Iterator
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import msgspec
import pytest
from click.testing import CliRunner
from peewee import Database

from interlock.clock import SystemClock
from runtime.check_database import clock_finding
from runtime.check_machine import free_disk, open_files
from runtime.check_others import check_server, is_loopback, redis_findings
from runtime.data_folder import note_database
from runtime.doctor import doctor, look
from runtime.findings import Finding, Verdict
from runtime.secret import load_secret
from runtime.settings import Settings
from store import open_database
from store.database import migrate

OK, WARN, FAIL = Verdict.OK, Verdict.WARN, Verdict.FAIL


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A data folder as a server leaves it."""
    path = tmp_path / "data"
    path.mkdir(mode=0o700)
    load_secret(path)
    database = opened(path)
    migrate(database)
    database.close()
    return path


def opened(folder: Path) -> Database:
    return open_database(f"sqlite://{folder / 'interlock.db'}")


def change(folder: Path, sql: str) -> None:
    database = opened(folder)
    with database.connection_context():
        database.execute_sql(sql)


def found(folder: Path, check: str, url: str | None = None, **settings: Any) -> Finding:
    """What is said of that check."""
    (finding,) = [each for each in all_found(folder, url, **settings) if each.check == check]
    return finding


def all_found(folder: Path, url: str | None = None, **settings: Any) -> list[Finding]:
    given: dict[str, Any] = {"data_dir": str(folder), "port": 0} | settings
    return list(look(Settings(**given), url, SystemClock()))


# ---- the command


def test_a_healthy_server_has_nothing_that_fails(folder: Path) -> None:
    result = CliRunner().invoke(doctor, ["--data-dir", str(folder), "--port", "0", "-o", "json"])
    report = msgspec.json.decode(result.stdout)
    assert (result.exit_code, report["ok"]) == (0, True)
    verdicts = {each["check"]: each["verdict"] for each in report["checks"]}
    assert verdicts.keys() == {
        *("settings", "disk", "data-folder", "secret", "port", "open-files", "database", "migrations", "accounts")
    }
    assert [check for check, verdict in verdicts.items() if verdict == "fail"] == []


def test_each_finding_is_a_line_with_what_to_do_below(folder: Path) -> None:
    (folder / "secret").chmod(0o644)
    result = CliRunner().invoke(doctor, ["--data-dir", str(folder), "--port", "0"])
    lines = result.stdout.splitlines()
    (place,) = [number for number, line in enumerate(lines) if line.startswith("fail  secret ")]
    assert lines[place + 1].strip().startswith("chmod 600 ")
    assert result.exit_code == 1


def test_all_mistakes_in_the_settings_are_told() -> None:
    result = CliRunner().invoke(doctor, ["-o", "json"], env={"INTERLOCK_PROT": "1", "INTERLOCK_LOG_LEVEL": "loud"})
    checks = msgspec.json.decode(result.stdout)["checks"]
    assert [(each["check"], each["verdict"]) for each in checks] == [("settings", "fail")] * 2
    assert result.exit_code == 1


def test_a_look_changes_nothing(tmp_path: Path) -> None:
    assert found(tmp_path / "none", "database").verdict is WARN
    assert not (tmp_path / "none").exists()


# ---- the database


def test_a_file_that_is_no_database_fails(folder: Path) -> None:
    (folder / "interlock.db").write_bytes(b"no database at all" * 1000)
    finding = found(folder, "database")
    assert finding.verdict is FAIL
    assert "backup" in finding.advice


def test_a_damaged_file_fails(folder: Path) -> None:
    path = folder / "interlock.db"
    whole = bytearray(path.read_bytes())
    whole[4096 * 3 : 4096 * 20] = b"\xa5" * (4096 * 17)
    path.write_bytes(whole)
    assert found(folder, "database").verdict is FAIL


def test_a_database_that_does_not_answer_fails(folder: Path) -> None:
    finding = found(folder, "database", database_url="postgresql://nobody@127.0.0.1:1/none?connect_timeout=1")
    assert finding.verdict is FAIL
    assert "database_url" in finding.advice


def test_migrations_that_are_missing_are_told(folder: Path) -> None:
    change(folder, "DELETE FROM schema_migration WHERE name = '0008_lines'")
    finding = found(folder, "migrations")
    assert (finding.verdict, "0008_lines" in finding.text) == (WARN, True)


def test_a_database_of_a_newer_version_fails(folder: Path) -> None:
    change(folder, "INSERT INTO schema_migration (name, applied) VALUES ('9999_later', '2030-01-01 00:00:00')")
    finding = found(folder, "migrations")
    assert (finding.verdict, "9999_later" in finding.text) == (FAIL, True)


def test_another_journal_mode_than_wal_is_told(folder: Path) -> None:
    change(folder, "PRAGMA journal_mode = DELETE")
    assert found(folder, "database-mode").verdict is WARN


@pytest.mark.parametrize(
    ("away_ms", "verdict"), [(0, OK), (-900, OK), (1500, WARN), (-9000, WARN), (11_000, FAIL), (-60_000, FAIL)]
)
def test_a_clock_that_is_far_away_fails(away_ms: int, verdict: Verdict) -> None:
    assert clock_finding("clock", "its clock", away_ms).verdict is verdict


# ---- the machine


@pytest.mark.parametrize(("free", "verdict"), [(2**40, OK), (2**29, WARN), (2**20, FAIL)])
def test_a_full_disk_fails(tmp_path: Path, free: int, verdict: Verdict) -> None:
    assert free_disk("disk", tmp_path, free).verdict is verdict


@pytest.mark.parametrize(
    ("limit", "verdict"), [(resource.RLIM_INFINITY, OK), (20_000, OK), (10_000, WARN), (1024, WARN), (256, FAIL)]
)
def test_a_fleet_takes_many_open_files(limit: int, verdict: Verdict) -> None:
    assert open_files(limit).verdict is verdict


def test_a_data_folder_that_others_may_look_into_is_told(folder: Path) -> None:
    folder.chmod(0o755)
    assert found(folder, "data-folder").verdict is WARN


def test_a_data_folder_that_cannot_be_written_fails(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "access", lambda *_: False)
    assert found(folder, "data-folder").verdict is FAIL


def test_a_secret_that_others_can_read_fails(folder: Path) -> None:
    (folder / "secret").chmod(0o640)
    finding = found(folder, "secret")
    assert (finding.verdict, "rotate-secret" in finding.advice) == (FAIL, True)


def test_a_secret_that_is_too_short_fails(folder: Path) -> None:
    (folder / "secret").write_text("short")
    assert found(folder, "secret").verdict is FAIL


def test_a_port_that_somebody_else_has_fails_and_the_servers_own_does_not(folder: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        assert found(folder, "port", port=port).verdict is FAIL
        with (folder / "serve.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            assert found(folder, "port", port=port).verdict is OK


def test_the_port_of_a_server_whose_rows_are_elsewhere_is_its_own(
    folder: Path, other: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    at: dict[str, Any] = {"port": int(other.rpartition(":")[2]), "database_url": "postgresql://127.0.0.1:1/x"}
    assert found(folder, "port", **at).verdict is FAIL
    monkeypatch.setattr(Other, "name", "interlock")
    assert found(folder, "port", **at).verdict is OK


def test_a_folder_whose_server_keeps_its_rows_elsewhere_is_not_taken_for_a_new_one(tmp_path: Path) -> None:
    note_database(Settings(data_dir=str(tmp_path), database_url="postgresql://db/interlock"))
    finding = found(tmp_path, "database")
    assert (finding.verdict, "another database" in finding.text) == (FAIL, True)


def test_an_address_of_another_machine_cannot_be_listened_on(folder: Path) -> None:
    assert found(folder, "port", host="192.0.2.1").verdict is FAIL


# ---- Redis, the settings together, a running server


def test_a_redis_that_does_not_answer_fails(folder: Path) -> None:
    assert found(folder, "redis", redis_url="redis://127.0.0.1:1/0").verdict is FAIL


@pytest.mark.parametrize(
    ("about", "verdict"),
    [
        ({"redis_version": "7.2.1", "maxmemory_policy": "noeviction", "role": "master"}, OK),
        ({"redis_version": "7.2.1", "maxmemory_policy": "allkeys-lru", "role": "master"}, WARN),
        ({"redis_version": "7.2.1", "maxmemory_policy": "noeviction", "role": "slave"}, FAIL),
        ({"redis_version": "5.0.9"}, FAIL),
    ],
)
def test_a_redis_that_forgets_or_is_too_old_is_told(about: dict[str, Any], verdict: Verdict) -> None:
    assert [each.verdict for each in redis_findings(about)] == [verdict]


@pytest.mark.parametrize(
    ("settings", "name"),
    [
        ({"host": "0.0.0.0"}, "public_url"),  # noqa: S104
        ({"public_url": "http://interlock.example.com"}, "https"),
        ({"public_url": "https://interlock.example.com"}, "trusted_proxies"),
        ({"database_url": "postgresql://a@127.0.0.1:1/b", "node_url": "http://a"}, "asset_dir"),
        ({"database_url": "postgresql://a@127.0.0.1:1/b", "asset_dir": "/x", "host": "::"}, "node_url"),
    ],
)
def test_settings_that_do_not_fit_together_are_told(settings: dict[str, Any], name: str, tmp_path: Path) -> None:
    told = [each for each in all_found(tmp_path, **settings) if each.check == "settings"]
    assert {each.verdict for each in told} == {WARN}
    assert any(name in each.text for each in told)


def test_loopback_is_told_from_other_addresses() -> None:
    assert [is_loopback(host) for host in ("127.0.0.1", "::1", "localhost")] == [True] * 3
    assert [is_loopback(host) for host in ("0.0.0.0", "10.0.0.1", "example.com", "")] == [False] * 4  # noqa: S104


class Other(BaseHTTPRequestHandler):
    """A server whose clock is an hour ahead."""

    status = 200
    name = "other"

    def do_GET(self) -> None:
        self.send_response_only(self.status)
        self.send_header("Server", self.name)
        self.send_header("Date", formatdate(SystemClock().now() / 1000 + 3600, usegmt=True))
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


@pytest.fixture
def other() -> Iterator[str]:
    with HTTPServer(("127.0.0.1", 0), Other) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_a_ready_server_with_another_clock_fails(other: str) -> None:
    assert [(each.check, each.verdict) for each in check_server(other, SystemClock())] == [
        ("server", OK),
        ("server-clock", FAIL),
    ]


def test_a_server_that_is_not_ready_fails(other: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Other, "status", 503)
    first, _ = check_server(other, SystemClock())
    assert (first.verdict, "503" in first.text) == (FAIL, True)


@pytest.mark.parametrize("url", ["http://127.0.0.1:1", "ftp://127.0.0.1", "file:///etc/passwd", "x", "http://"])
def test_a_server_that_does_not_answer_fails(url: str) -> None:
    assert [each.verdict for each in check_server(url, SystemClock())] == [FAIL]


# ---- what the doctor need not complain of


def test_what_a_server_makes_is_for_its_user_alone(tmp_path: Path) -> None:
    old = os.umask(0o022)
    try:
        database = open_database(f"sqlite://{tmp_path / 'interlock.db'}")
        migrate(database)
        modes = {path.name: path.stat().st_mode & 0o777 for path in tmp_path.iterdir()}
        database.close()
    finally:
        os.umask(old)
    assert modes["interlock.db"] == 0o600
    assert set(modes.values()) == {0o600}
