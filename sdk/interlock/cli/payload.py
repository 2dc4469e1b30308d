"""Where a payload comes from: the argument itself, a file, or stdin; and how labels are written."""

import sys
from pathlib import Path
from typing import Any

import click
import msgspec


def read_payload(text: str, option: str = "--payload") -> dict[str, Any]:
    """The JSON object that `text` holds, or names as `@file`, or `-` for stdin; a usage error for anything else."""
    try:
        if text == "-":
            raw: str | bytes = sys.stdin.buffer.read()
        else:
            raw = Path(text[1:]).read_bytes() if text.startswith("@") else text
        return msgspec.json.decode(raw, type=dict[str, Any])
    except OSError as error:
        raise click.BadParameter(f"cannot read {text[1:]}: {error.strerror}", param_hint=option) from error
    except (ValueError, RecursionError) as error:
        raise click.BadParameter(f"expected a JSON object ({error})", param_hint=option) from error


def read_labels(texts: tuple[str, ...]) -> dict[str, str] | None:
    """`KEY=VALUE` texts as labels, None when there are none; a usage error for anything else."""
    labels = {}
    for text in texts:
        key, equals, value = text.partition("=")
        if not equals or not key:
            raise click.BadParameter(f"expected KEY=VALUE, not {text!r}", param_hint="--label")
        labels[key] = value
    return labels or None
