"""What a bench prints at the end: a page for people, or a document."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from benches.figures import Row, document, loads, table
from benches.steps import QUIET_CORES, Steps


def as_document(
    bench: str, sizes: msgspec.Struct, machine: Mapping[str, str], steps: Steps, rows: Sequence[Row]
) -> str:
    """JSON text."""
    found: dict[str, Any] = {
        "bench": bench,
        "sizes": sizes,
        "machine": machine,
        "rows": [document(row) for row in rows],
        "missed": [row.name for row in rows if row.passed is False],
        "cores": {load: [times._asdict() for times in each] for load, each in steps.cores.items()},
        "steps": steps.count,
        "disturbed": steps.disturbed,
    }
    return msgspec.json.format(msgspec.json.encode(found)).decode()


def as_page(machine: Mapping[str, str], steps: Steps, rows: Sequence[Row]) -> str:
    """Aligned text."""
    head = "\n".join(f"{name + ':':<12}{fact}" for name, fact in machine.items())
    floors = [row.passed for row in rows if row.passed is not None]
    busy = f"Cores kept busy (medians):\n\n{loads(steps.cores)}"
    reached = f"{sum(floors)} of {len(floors)} floors are reached."
    return f"\n{head}\n\n{table(rows)}\n\n{busy}\n\n{trust(steps.disturbed, steps.count)}\n{reached}"


def trust(disturbed: int, steps: int) -> str:
    """A word of caution, where there is cause."""
    if not disturbed:
        return ""
    return (
        f"{disturbed} of {steps} steps were disturbed: others used more than {QUIET_CORES:g} cores. The echo needs two "
        "cores and suffers more than a server with agents does, so ratios of disturbed steps flatter."
    )
