"""agent.toml: which command does which type of job, and the agent's limits.

The whole file is checked before anything starts, and all mistakes are told at once.
"""

import tomllib
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, TypeVar

import msgspec

from interlock.agent.errors import ConfigInvalid
from interlock.agent.settings import AgentSettings, PositiveSeconds

T = TypeVar("T", bound=msgspec.Struct)
Word = Annotated[str, msgspec.Meta(min_length=1, pattern=r"^[^\x00]*$")]
Argument = Annotated[str, msgspec.Meta(pattern=r"^[^\x00]*$")]
VariableName = Annotated[str, msgspec.Meta(pattern=r"^[^=\x00]+$")]

RESERVED = frozenset({"INTERLOCK_JOB_ID", "INTERLOCK_JOB_RUN_ID", "INTERLOCK_JOB_TYPE", "INTERLOCK_ATTEMPT"})
MAX_TYPE = 200  # characters of a job type's name, as on the server


class CommandSpec(msgspec.Struct, frozen=True, kw_only=True):
    """One `[handlers.TYPE]` table. The command is a list of arguments and never passes through a shell."""

    command: Annotated[list[Argument], msgspec.Meta(min_length=1)]
    timeout_seconds: PositiveSeconds | None = None  # the smaller of this and the server's counts
    env: dict[VariableName, Argument] = {}  # added to the agent's own environment
    cwd: Word = "."  # relative to the file


class AgentConfig(msgspec.Struct, frozen=True, kw_only=True):
    """A file that has been checked; `cwd` of every command is absolute."""

    settings: AgentSettings
    commands: dict[str, CommandSpec]


class _Document(msgspec.Struct):
    agent: dict[str, Any] = {}
    handlers: dict[str, Any] = {}


def load_config(path: Path) -> AgentConfig:
    """Read and check the file at `path`; `ConfigInvalid` lists everything that is wrong with it."""
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigInvalid(str(path), [f"cannot be read: {error.strerror}"]) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigInvalid(str(path), [f"is not TOML: {error}"]) from error
    return check_config(document, path)


def check_config(document: Mapping[str, Any], path: Path) -> AgentConfig:
    """The configuration in `document`, which was read from `path`; `ConfigInvalid` lists all mistakes."""
    mistakes: list[str] = []
    _read(_Document, document, "", mistakes)
    settings = _read(AgentSettings, _table(document, "agent"), "agent.", mistakes)
    folder = path.absolute().parent
    commands: dict[str, CommandSpec] = {}
    for job_type, table in _table(document, "handlers").items():
        spec = _command(job_type, table, mistakes)
        if spec is not None:
            commands[job_type] = msgspec.structs.replace(spec, cwd=str(folder / spec.cwd))
    if not mistakes and not commands:
        mistakes.append("handlers: none is given, so every job would be rejected; add a [handlers.TYPE] table")
    if mistakes or settings is None:
        raise ConfigInvalid(str(path), mistakes)
    return AgentConfig(settings=settings, commands=commands)


def _command(job_type: str, table: object, mistakes: list[str]) -> CommandSpec | None:
    """The command for `job_type`, or None when something is wrong with it, which `mistakes` then tells."""
    where = f"handlers.{job_type}"
    if not 0 < len(job_type) <= MAX_TYPE:
        mistakes.append(f"handlers: a job type has 1 to {MAX_TYPE} characters, {job_type[:40]!r} does not")
    spec = _read(CommandSpec, table, f"{where}.", mistakes)
    if isinstance(table, Mapping):
        command = table.get("command")
        if isinstance(command, list) and command[:1] == [""]:
            mistakes.append(f"{where}.command: the first word names the program and cannot be empty")
        taken = sorted(RESERVED.intersection(_table(table, "env")))
        mistakes.extend(f"{where}.env: {name} is set by the agent" for name in taken)
    return spec


def _table(parent: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """The table of that name; an empty one for what is none, which `_read` of the parent has told."""
    table = parent.get(name, {})
    return table if isinstance(table, Mapping) else {}


def _read(kind: type[T], table: object, prefix: str, mistakes: list[str]) -> T | None:
    """`table` as a `kind`, or None; every mistake in it is added to `mistakes`, not only the first."""
    if not isinstance(table, Mapping):
        mistakes.append(f"{prefix.rstrip('.')}: a table is expected")
        return None
    fields = {field.name: field for field in msgspec.structs.fields(kind)}
    values: dict[str, Any] = {}
    meant: set[str] = set()
    before = len(mistakes)
    for name, value in table.items():
        if name not in fields:
            guess = _closest(name, fields)
            meant.update(guess)
            mistakes.append(f"{prefix}{name}: unknown key" + (f"; did you mean {guess[0]!r}?" if guess else ""))
            continue
        try:
            values[name] = msgspec.convert(value, fields[name].type)
        except msgspec.ValidationError as error:
            mistakes.append(f"{prefix}{name}: {_plain(error)}")
    absent = {name for name, field in fields.items() if field.required} - table.keys() - meant
    mistakes.extend(f"{prefix}{name}: missing" for name in sorted(absent))
    return kind(**values) if len(mistakes) == before else None


def _closest(name: str, known: Iterable[str]) -> list[str]:
    """The known name that `name` was most likely meant to be, if any."""
    return get_close_matches(name, list(known), n=1)


def _plain(error: msgspec.ValidationError) -> str:
    """The decoder's sentence in TOML's words."""
    text = str(error).replace("`", "").replace(" - at $", " at ").replace("array", "list").replace("object", "table")
    return text[:1].lower() + text[1:]
