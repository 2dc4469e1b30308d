"""One settings value, checked whole: where each comes from, and what is said of mistakes."""

import re
from pathlib import Path
from typing import Any

import msgspec
import pytest

from actors import Limits
from runtime.settings import BadSettings, Settings, load_settings

ROOT = Path(__file__).parents[2]
TEXTS = {  # where not just any text will do
    "public_url": "https://a.example",
    "trusted_proxies": "10.0.0.0/8, ::1",
    "jwks_url": "https://a.example/keys",
    "jwt_algorithm": "ES256",
    "log_format": "json",
    "journal": "thread",
    "redis_url": "redis://127.0.0.1:6379/0",
}
NUMBERS = {"access_log_share": "0.5"}
BESIDE = {
    "jwks_url": {"INTERLOCK_JWT_ISSUER": "a"},
    "jwt_issuer": {"INTERLOCK_JWKS_URL": "https://a.example/keys"},
    "lease_seconds": {"INTERLOCK_HEARTBEAT_SECONDS": "10"},
}
FIELDS = [field.name for field in msgspec.structs.fields(Settings)]


def toml(folder: Path, text: str) -> Path:
    file = folder / "interlock.toml"
    file.write_text(text)
    return file


def mistakes(given: dict[str, Any] | None = None, environ: dict[str, str] | None = None, file: Any = None) -> list[str]:
    """The lines of the complaint."""
    with pytest.raises(BadSettings) as complaint:
        load_settings(given, environ, file)
    return complaint.value.detail.splitlines()


# ---- where they come from ----------------------------------------------------------------------------------------------


def test_nothing_set_is_the_defaults() -> None:
    assert load_settings() == load_settings({}, {}) == Settings()


def test_the_command_line_goes_before_the_environment_and_that_before_the_file(tmp_path: Path) -> None:
    file = toml(tmp_path, 'host = "file"\nport = 1\ndata_dir = "file"\n')
    settings = load_settings({"host": "line"}, {"INTERLOCK_HOST": "environ", "INTERLOCK_PORT": "2"}, file)
    assert (settings.host, settings.port, settings.data_dir) == ("line", 2, "file")


def test_what_the_command_line_leaves_unsaid_is_taken_from_elsewhere() -> None:
    assert load_settings({"port": None}, {"INTERLOCK_PORT": "81"}).port == 81


def test_zero_is_said_and_not_unsaid() -> None:
    assert load_settings({"port": 0}, {"INTERLOCK_PORT": "81"}).port == 0


def test_a_wrong_value_that_is_overruled_does_no_harm() -> None:
    assert load_settings({"port": 80}, {"INTERLOCK_PORT": "eighty"}).port == 80


@pytest.mark.parametrize("field", msgspec.structs.fields(Settings), ids=lambda field: field.name)
def test_every_setting_can_be_given_by_its_variable(field: msgspec.structs.FieldInfo) -> None:
    given = TEXTS.get(field.name, "debug") if isinstance(field.default, str) else NUMBERS.get(field.name, "20")
    settings = load_settings({}, {f"INTERLOCK_{field.name.upper()}": given, **BESIDE.get(field.name, {})})
    assert getattr(settings, field.name) == (given if isinstance(field.default, str) else float(given))


def test_a_variable_of_somebody_else_is_passed_over() -> None:
    assert load_settings({}, {"PORT": "1", "HOME": "/", "interlock_port": "x", "INTERLOCKPORT": "x"}) == Settings()


@pytest.mark.parametrize(
    "name", ["URL", "TOKEN", "ORG", "DEBUG", "AGENT_KEY", "STATE_DIR", "JOB_ID", "JOB_RUN_ID", "JOB_TYPE", "ATTEMPT"]
)
def test_variables_of_the_client_the_agent_and_its_jobs_are_no_mistakes(name: str) -> None:
    assert load_settings({}, {f"INTERLOCK_{name}": "x"}) == Settings()


def test_a_fraction_of_seconds_is_fine_and_a_whole_number_too(tmp_path: Path) -> None:
    settings = load_settings({}, {}, toml(tmp_path, "lease_seconds = 60\nlost_after_seconds = 0.25\n"))
    assert (settings.limits().lease_ms, settings.limits().lost_after_ms) == (60_000, 250)


# ---- mistakes ----------------------------------------------------------------------------------------------------------


def test_all_mistakes_are_told_at_once(tmp_path: Path) -> None:
    file = toml(tmp_path, 'prot = 1\nmailbox = "many"\n')
    told = mistakes({"port": 70_000}, {"INTERLOCK_LEASE_SECONDS": "soon", "INTERLOCK_LEESE": "1"}, file)
    assert len(told) == 5
    for name in ("prot", "mailbox", "port", "lease_seconds", "INTERLOCK_LEESE"):
        assert any(line.startswith(name) or f" {name}:" in line for line in told)


@pytest.mark.parametrize(
    ("wrong", "meant"),
    [("INTERLOCK_PROT", "port"), ("INTERLOCK_LEASE_SECOND", "lease_seconds"), ("INTERLOCK_DATADIR", "data_dir")],
)
def test_a_setting_that_does_not_exist_is_told_with_the_one_that_may_be_meant(wrong: str, meant: str) -> None:
    (line,) = mistakes({}, {wrong: "x"})
    assert line == f"{wrong}: no such setting; did you mean {meant}?"


def test_a_name_like_no_other_is_told_without_a_guess() -> None:
    assert mistakes({}, {"INTERLOCK_XYZZY": "x"}) == ["INTERLOCK_XYZZY: no such setting"]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("port", "-1"),
        ("port", "65536"),
        ("port", "eighty"),
        ("port", ""),
        ("port", "1.5"),
        ("lease_seconds", "-1"),
        ("lease_seconds", "nan"),
        ("lease_seconds", "inf"),
        ("lease_seconds", "1e300"),
        ("sweep_seconds", "0"),
        ("max_attempts", "0"),
        ("max_batch_jobs", "1001"),
        ("max_pending_per_org", "9999999999999999999999"),
        ("read_threads", "0"),
    ],
)
def test_a_value_out_of_its_bounds_is_told_with_its_name(field: str, value: str) -> None:
    (line,) = mistakes({}, {f"INTERLOCK_{field.upper()}": value})
    assert line.startswith(f"{field}: ")


def test_a_mistake_names_what_was_given_and_where_it_came_from(tmp_path: Path) -> None:
    file = toml(tmp_path, "port = true")
    whole = "port: expected a whole number from 0 to 65535, not"
    assert mistakes({"port": 70_000}) == [f"{whole} 70000 (--port)"]
    assert mistakes({}, {"INTERLOCK_PORT": "eighty"}) == [f"{whole} 'eighty' (INTERLOCK_PORT)"]
    assert mistakes({}, {}, file) == [f"{whole} True ({file})"]
    assert mistakes({}, {"INTERLOCK_LOG_LEVEL": "loud"}) == [
        "log_level: expected one of debug, error, info, warning, not 'loud' (INTERLOCK_LOG_LEVEL)"
    ]


@pytest.mark.parametrize(("beat", "lease"), [(30, 2), (60, 5), (30.5, 60)])
def test_a_heartbeat_that_a_lease_does_not_outlast_twice_is_a_mistake(beat: float, lease: float) -> None:
    (line,) = mistakes({"heartbeat_seconds": beat, "lease_seconds": lease})
    assert line.startswith(f"heartbeat_seconds: expected at most half of lease_seconds, which is {lease}, not {beat}")


@pytest.mark.parametrize(("lease", "beat"), [(2, 0.5), (60, 15), (3600, 15)])
def test_a_heartbeat_that_nobody_has_set_fits_the_lease(lease: float, beat: float) -> None:
    assert load_settings({"lease_seconds": lease}).heartbeat_seconds == beat


def test_a_heartbeat_of_half_a_lease_is_fine() -> None:
    assert load_settings({"heartbeat_seconds": 0.25, "lease_seconds": 0.5}).limits().heartbeat_ms == 250


@pytest.mark.parametrize("field", ["heartbeat_seconds", "lease_seconds", "timeout_seconds"])
def test_a_time_of_nothing_is_a_mistake_where_it_would_end_every_run(field: str) -> None:
    assert mistakes({}, {f"INTERLOCK_{field.upper()}": "0"}) == [
        f"{field}: expected a number more than 0 to 10000000, not '0' (INTERLOCK_{field.upper()})"
    ]


@pytest.mark.parametrize(
    "url",
    [
        "foo",
        "127.0.0.1:6379",
        "http://127.0.0.1:1",
        "redis:/x",
        "redis:",
        "redis://127.0.0.1:port/0",
        "redis://127.0.0.1:0/0",
        "rediss://127.0.0.1:99999/0",
        "redis://127.0.0.1/abc",
        "redis://127.0.0.1/0/1",
        "redis://[::1/0",
        "redis://a b/0",
        "unix://",
        " redis://a/0",
    ],
)
def test_a_url_that_leads_to_no_redis_is_a_mistake(url: str) -> None:
    assert mistakes({"redis_url": url}) == [f"redis_url: expected redis://host:port/0, not {url!r}"]


@pytest.mark.parametrize(
    "url",
    [
        "redis://h",
        "redis://h/",
        "redis://:hunter2@h:6379/3",
        "rediss://u:p@[::1]:1/0?ssl_cert_reqs=none",
        "unix:///run/redis.sock?db=1",
    ],
)
def test_a_url_that_leads_to_redis_is_taken_as_it_is(url: str) -> None:
    assert load_settings({}, {"INTERLOCK_REDIS_URL": url}).redis_url == url


@pytest.mark.parametrize(
    "url",
    [
        "http://:hunter2@h/0",
        "ann:hunter2@h",
        "hunter2@h",
        "redis://ann:a/b@hunter2@h:port/0",
        "foo?password=hunter2",
        "redis://h/x?password=hunter2",
        "redis:/ann:hunter2@h",
    ],
)
@pytest.mark.parametrize("field", ["redis_url", "public_url"])
def test_no_password_is_told_of_a_url_that_is_a_mistake(field: str, url: str) -> None:
    (line,) = mistakes({field: url})
    assert line.startswith(f"{field}: expected ")
    assert "hunter2" not in line


def test_a_log_level_that_does_not_exist_is_a_mistake() -> None:
    (line,) = mistakes({}, {"INTERLOCK_LOG_LEVEL": "loud"})
    assert line.startswith("log_level: ")


@pytest.mark.parametrize("text", ["port = true", "host = 1", "port = 80.5", "lease_seconds = nan", "port = [80]"])
def test_a_value_of_another_type_in_the_file_is_a_mistake(tmp_path: Path, text: str) -> None:
    (line,) = mistakes({}, {}, toml(tmp_path, text))
    assert line.startswith(text.split(" ", 1)[0])


@pytest.mark.parametrize("text", ["port = ", "[server]\nport = 1", '"\x00" = 1'])
def test_a_file_that_cannot_be_understood_is_named(tmp_path: Path, text: str) -> None:
    file = toml(tmp_path, text)
    assert mistakes({}, {}, file)[0].startswith(str(file))


def test_a_file_that_is_not_there_or_no_text_is_named(tmp_path: Path) -> None:
    missing, binary = tmp_path / "missing.toml", tmp_path / "binary.toml"
    binary.write_bytes(b"\xff\xfe\x00")
    assert mistakes({}, {}, missing) == [f"there is no file {missing}"]
    assert mistakes({}, {}, tmp_path) == [f"{tmp_path}: Is a directory"]
    (line,) = mistakes({}, {}, binary)
    assert line.startswith(str(binary))


# ---- what becomes of them ----------------------------------------------------------------------------------------------


def test_what_may_hold_a_password_is_hidden() -> None:
    settings = Settings(database_url="postgresql://u:hunter2@h/d", redis_url="redis://:hunter2@h/0")
    assert "hunter2" not in f"{settings!r} {settings}"


def test_nobody_changes_settings_later() -> None:
    with pytest.raises(AttributeError):
        Settings().port = 1  # type: ignore[misc]  # that is the point


@pytest.mark.parametrize("field", FIELDS)
def test_every_setting_is_used_somewhere(field: str) -> None:
    sources = [path.read_text() for path in (ROOT / "runtime").glob("*.py")]
    assert any(re.search(rf"(self|settings)\.{field}\b", source) for source in sources)


PLAIN_LIMITS = {"claim_retry_ms", "claims_per_batch", "alternations"}  # workings, not limits that users meet


@pytest.mark.parametrize("limit", [field.name for field in msgspec.structs.fields(Limits)])
def test_every_limit_of_the_actors_is_a_setting_in_seconds_or_as_it_is(limit: str) -> None:
    name = f"{limit.removesuffix('_ms')}_seconds" if limit.endswith("_ms") else limit
    if name not in FIELDS:
        assert limit in PLAIN_LIMITS
        return
    settings = load_settings({"heartbeat_seconds": 1} | {name: 17})
    assert getattr(settings.limits(), limit) == (17_000 if limit.endswith("_ms") else 17)


def test_the_defaults_of_settings_and_limits_are_the_same() -> None:
    assert Settings().limits() == Limits()


@pytest.mark.parametrize("field", FIELDS)
def test_every_setting_is_named_in_the_docs(field: str) -> None:
    assert f"`{field}`" in (ROOT / "docs" / "settings.md").read_text()


def test_the_embedded_database_lies_in_the_data_folder(tmp_path: Path) -> None:
    assert Settings(data_dir=str(tmp_path)).url_of_database == f"sqlite://{tmp_path}/interlock.db"
    assert Settings(database_url="postgresql://u@h/d").url_of_database == "postgresql://u@h/d"


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ({"JWKS_URL": "http://id.example.com/keys", "JWT_ISSUER": "a"}, "jwks_url"),
        ({"JWKS_URL": "ftp://id.example.com/keys", "JWT_ISSUER": "a"}, "jwks_url"),
        ({"JWKS_URL": "https://ann:secret@id.example.com/keys", "JWT_ISSUER": "a"}, "jwks_url"),
        ({"JWKS_URL": "file:///etc/passwd", "JWT_ISSUER": "a"}, "jwks_url"),
        ({"JWKS_URL": "https:///keys", "JWT_ISSUER": "a"}, "jwks_url"),
        ({"JWKS_URL": "http://127.0.0.1.example.com/keys", "JWT_ISSUER": "a"}, "jwks_url"),
        ({"JWKS_URL": "https://[::1/keys", "JWT_ISSUER": "a"}, "jwks_url"),
        ({"JWKS_URL": "https://id.example.com/keys"}, "jwt_issuer"),
        ({"JWKS_URL": "https://id.example.com/keys", "JWT_ISSUER": "a", "JWT_AUDIENCE": ""}, "jwt_audience"),
        ({"JWKS_URL": "https://a.example/", "JWT_ISSUER": "a", "JWT_AUDIENCE": "interlock-agent"}, "jwt_audience"),
        ({"JWKS_URL": "https://id.example.com/keys", "JWT_ISSUER": "a", "JWT_USER_CLAIM": ""}, "jwt_user_claim"),
        ({"JWKS_URL": "https://id.example.com/keys", "JWT_ISSUER": "a", "JWT_ALGORITHM": "HS256"}, "jwt_algorithm"),
        ({"JWKS_URL": "https://id.example.com/keys", "JWT_ISSUER": "a", "JWT_ALGORITHM": "none"}, "jwt_algorithm"),
        ({"JWT_ISSUER": "a"}, "jwks_url"),
    ],
)
def test_an_issuer_that_cannot_be_trusted_is_told_at_the_start(given: dict[str, str], named: str) -> None:
    (line,) = mistakes({}, {f"INTERLOCK_{name}": value for name, value in given.items()})
    assert line.startswith(f"{named}: ")
    assert "secret" not in line


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:9/keys", "http://localhost/keys", "http://[::1]:9/k", "https://a.example/"]
)
def test_plain_http_may_lead_to_this_machine_only(url: str) -> None:
    issuer = load_settings({}, {"INTERLOCK_JWKS_URL": url, "INTERLOCK_JWT_ISSUER": "a"}).issuer()
    assert issuer is not None
    assert issuer.jwks_url == url
