"""docs/settings.md: every setting of the server, from `runtime.settings`."""

from typing import Any

import msgspec
from msgspec import inspect

from docs_pages.comments import fields_of
from runtime.settings import PREFIX, Settings

HEAD = """# Settings of the server

`interlock serve` has options for `host`, `port`, `data_dir`, `database_url` and `redis_url`. Every setting can also be an
environment variable, or stand in the TOML file that `--config` names. The option counts before the variable, the variable
before the file, the file before the default. All mistakes are told at once, before anything starts.

Times are in seconds, and fractions are fine; sizes are in bytes; 0 switches a quota off.

```toml
# interlock.toml
data_dir = "/var/lib/interlock"
port = 8443
lease_seconds = 90
```

`INTERLOCK_` variables of the client and the agent are in [cli.md](cli.md) and [agent.md](agent.md).
This page is written from `runtime/settings.py` by `./scripts/docs`.
"""
TITLES = ("Where", "Times", "Limits")


def settings_page() -> str:
    """The whole page."""
    known = {field.name: field for field in msgspec.structs.fields(Settings)}
    types = {field.name: field.type for field in _struct().fields}
    parts = [HEAD]
    group = None
    for field in fields_of(Settings):
        if field.group != group:
            group = field.group
            parts += [
                *[""][: group - 1],
                f"## {TITLES[group - 1]}",
                "",
                "| setting | variable | value | default | meaning |",
            ]
            parts += ["| --- | --- | --- | --- | --- |"]
        value, default = _value(field.name, types[field.name]), _shown(known[field.name].default)
        parts.append(f"| `{field.name}` | `{PREFIX}{field.name.upper()}` | {value} | {default} | {field.comment} |")
    return "\n".join([*parts, ""])


def _struct() -> inspect.StructType:
    info = inspect.type_info(Settings)
    if not isinstance(info, inspect.StructType):
        raise TypeError(f"{info} is no struct")
    return info


def _value(name: str, kind: inspect.Type) -> str:
    """What may stand there, with its unit and bounds."""
    if isinstance(kind, inspect.LiteralType):
        return " ".join(f"`{value}`" for value in sorted(map(str, kind.values)))
    if isinstance(kind, inspect.IntType | inspect.FloatType):
        unit = "seconds" if name.endswith("_seconds") else "bytes" if name.endswith("_bytes") else "number"
        low = f"more than {_shown(kind.gt)}" if kind.gt is not None else _shown(kind.ge)
        return f"{unit}, {low} to {_shown(kind.le)}"
    return "text"


def _shown(value: Any) -> str:
    if isinstance(value, str):
        return f"`{value}`" if value else "empty"
    return f"{value:.15g}"
