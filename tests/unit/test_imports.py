"""Imports only go down, third-party names stay in their room, and time and the environment come in by one door."""

import ast
import re
import sys
import tomllib
from functools import cache
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parents[2]
# From the ground up: a room may import itself and what stands before it.
ROOMS = ("interlock", "store", "actors", "web", "runtime")
FOLDERS = {"interlock": ROOT / "sdk" / "interlock", **{room: ROOT / room for room in ROOMS[1:]}}
SCRIPTS = {path.parent.name for path in (ROOT / "scripts").glob("*/__init__.py")}

THIRD_PARTY: dict[str, set[str]] = {
    "interlock": {"aiohttp", "click", "msgspec", "rich", "uuid_utils"},
    "store": {"msgspec", "peewee", "playhouse", "psycopg2"},
    "actors": {"msgspec", "pykka"},
    "web": {
        "aiohttp",
        "argon2",
        "engineio",
        "jsonschema_rs",
        "jwt",
        "limits",
        "msgspec",
        "prometheus_client",
        "socketio",
        "structlog",
    },
    "runtime": {"click", "dramatiq", "msgspec", "redis", "structlog", "uvloop"},
}
# Who may use a name outside its room, and why.
GUESTS: dict[tuple[str, str], str] = {
    ("runtime/control_plane.py", "aiohttp"): "the composition root starts the site",
    ("runtime/admin.py", "peewee"): "the type of what its transactions are given",
    ("runtime/sweep.py", "peewee"): "the type of what its reading is given",
    ("web/sign_in.py", "peewee"): "the type of what its transactions are given",
    ("web/set_up.py", "peewee"): "the type of what its transactions are given",
    ("web/health.py", "peewee"): "the type of what its reading is given",
    ("web/idempotency.py", "peewee"): "the type of what its reading is given",
    ("web/lookups.py", "peewee"): "the type of what its reading is given",
}
PEEWEE_OUTSIDE_STORE = {"Database"}  # a type to annotate with: queries are written in the store
SERVER_SIDE = {"aiohttp.web", "aiohttp.web_protocol", "aiohttp.web_log", "aiohttp.web_exceptions", "aiohttp.http"}


class Import(NamedTuple):
    """One import: the file, the dotted module, and the names taken from it."""

    path: str
    line: int
    module: str
    names: frozenset[str]

    @property
    def top(self) -> str:
        return self.module.split(".")[0]

    def __str__(self) -> str:
        return f"{self.path}:{self.line} imports {self.module} {sorted(self.names)}"


def files_of(room: str) -> list[Path]:
    return sorted(FOLDERS[room].rglob("*.py"))


def imports_of(paths: list[Path]) -> list[Import]:
    return [each for path in paths for each in look_at(path).imports]


class Look(NamedTuple):
    """What one file imports, and the dotted names that it uses, such as `os.environ`, with their lines."""

    imports: list[Import]
    uses: list[tuple[str, int]]


@cache
def look_at(path: Path) -> Look:
    look, shown = Look([], []), str(path.relative_to(ROOT))
    for node in ast.walk(ast.parse(path.read_text(), str(path))):
        if isinstance(node, ast.Import):
            look.imports.extend(Import(shown, node.lineno, alias.name, frozenset()) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{shown}:{node.lineno}: imports are written in full"
            names = frozenset(alias.name for alias in node.names)
            look.imports.append(Import(shown, node.lineno, node.module or "", names))
        elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            look.uses.append((f"{node.value.id}.{node.attr}", node.lineno))
    return look


@pytest.mark.parametrize("room", ROOMS)
def test_imports_only_go_down(room: str) -> None:
    above = {*ROOMS[ROOMS.index(room) + 1 :], "scripts", "tests", *SCRIPTS}
    assert [str(each) for each in imports_of(files_of(room)) if each.top in above] == []


@pytest.mark.parametrize("room", ROOMS)
def test_third_party_names_stay_in_their_room(room: str) -> None:
    known = {*sys.stdlib_module_names, *ROOMS, *THIRD_PARTY[room]}
    strays = [each for each in imports_of(files_of(room)) if each.top not in known]
    assert [str(each) for each in strays if (each.path, each.top) not in GUESTS] == []


def test_every_guest_is_still_there() -> None:
    present = {(each.path, each.top) for room in ROOMS for each in imports_of(files_of(room))}
    assert set(GUESTS) <= present


def test_outside_the_store_peewee_is_a_type_to_annotate_with() -> None:
    outside = [each for room in ROOMS[2:] for each in imports_of(files_of(room)) if each.top == "peewee"]
    assert [str(each) for each in outside if not each.names or not each.names <= PEEWEE_OUTSIDE_STORE] == []


def test_the_client_and_the_agent_use_no_server_side_of_aiohttp() -> None:
    imports = [each for each in imports_of(files_of("interlock")) if each.top == "aiohttp"]
    strays = [each for each in imports if each.module in SERVER_SIDE or "web" in each.names]
    assert [str(each) for each in strays] == []


def test_the_vocabulary_needs_nothing_but_msgspec_and_ids() -> None:
    vocabulary = [path for path in files_of("interlock") if path.parent.name == "interlock" and path.stem != "__main__"]
    tops = {each.top for each in imports_of(vocabulary)} - set(sys.stdlib_module_names)
    assert tops <= {"interlock", "msgspec", "uuid_utils"}
    parts = {each.module for each in imports_of(vocabulary) if each.top == "interlock"}
    assert not any(part.startswith(("interlock.client", "interlock.agent", "interlock.cli")) for part in parts)


@pytest.mark.parametrize("name", ["click", "rich"])
def test_what_speaks_to_terminals_stays_at_the_command_line(name: str) -> None:
    users = {each.path for room in ROOMS for each in imports_of(files_of(room)) if each.top == name}
    assert all(path.startswith(("sdk/interlock/cli/", "runtime/")) for path in users)


def test_pykkas_inner_names_are_used_where_its_hooks_are_pinned() -> None:
    users = {each.path for room in ROOMS for each in imports_of(files_of(room)) if re.match(r"pykka\._", each.module)}
    assert users <= {"actors/loop_actor.py"}


def test_nobody_looks_actors_up_in_a_registry() -> None:
    sources = [path for room in ROOMS for path in files_of(room)]
    assert [str(path) for path in sources if re.search(r"\bActorRegistry\b", path.read_text())] == []


# Where the environment is read, and handed on as a value.
READS_ENVIRONMENT = (
    "runtime/cli.py",
    "runtime/admin.py",
    "runtime/dev.py",
    "runtime/doctor.py",
    "sdk/interlock/cli/",
    "sdk/interlock/agent/gate.py",
)


def test_the_environment_is_read_at_the_command_line_only() -> None:
    readers = {
        str(path.relative_to(ROOT))
        for room in ROOMS
        for path in files_of(room)
        for name, _ in look_at(path).uses
        if name in {"os.environ", "os.getenv", "os.environb", "os.putenv"}
    }
    assert [path for path in readers if not path.startswith(READS_ENVIRONMENT)] == []


SYSTEM_TIME = {"time.time", "time.time_ns", "datetime.now", "datetime.utcnow", "datetime.today", "date.today"}
CHANCE = {"random", "uuid", "uuid_utils", "secrets"}
DOORS = {"sdk/interlock/clock.py", "sdk/interlock/ids.py"}
HTTP_DATES = "sdk/interlock/client/problems.py"  # a Retry-After date is meant in the machine's own time
SECRETS = {
    "runtime/rotation.py",
    "runtime/secret.py",
    "web/opaque.py",
}  # a secret is no chance that anybody may want to repeat


def test_time_comes_in_through_the_clock() -> None:
    users = {
        f"{path.relative_to(ROOT)}:{line} {name}"
        for room in ROOMS
        for path in files_of(room)
        for name, line in look_at(path).uses
        if name in SYSTEM_TIME and str(path.relative_to(ROOT)) not in {*DOORS, HTTP_DATES}
    }
    assert users == set()


def test_chance_and_ids_come_in_through_their_doors() -> None:
    users = [each for room in ROOMS[1:] for each in imports_of(files_of(room)) if each.top in CHANCE]
    assert [str(each) for each in users if each.path not in DOORS | SECRETS] == []


DISTRIBUTIONS = {
    "argon2": "argon2-cffi",
    "jsonschema_rs": "jsonschema-rs",
    "jwt": "pyjwt",
    "playhouse": "peewee",
    "prometheus_client": "prometheus-client",
    "psycopg2": "psycopg2-binary",
    "uuid_utils": "uuid-utils",
    "engineio": "python-engineio",
    "socketio": "python-socketio",
}


@pytest.mark.parametrize(
    ("file", "rooms"), [("sdk/pyproject.toml", ROOMS[:1]), ("pyproject.toml", ROOMS[1:])], ids=["sdk", "server"]
)
def test_what_is_imported_is_declared(file: str, rooms: tuple[str, ...]) -> None:
    declared = tomllib.loads((ROOT / file).read_text())["project"]["dependencies"]
    names = {re.split(r"[\[<>=! ;]", each, maxsplit=1)[0].lower() for each in declared}
    for room in rooms:
        for each in imports_of(files_of(room)):
            if each.top not in {*sys.stdlib_module_names, *ROOMS}:
                assert DISTRIBUTIONS.get(each.top, each.top) in names, str(each)


def test_every_folder_of_code_is_a_room() -> None:
    folders = {path.name for path in ROOT.iterdir() if path.is_dir() and any(path.glob("*.py"))}
    assert folders <= {*ROOMS, "scripts", "tests"}
