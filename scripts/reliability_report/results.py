"""A result: what a script said, with when, where and of which commit it was taken. One JSON file each."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import msgspec

FOLDER = Path(__file__).parents[2] / "docs" / "results"
Value = TypeVar("Value")


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """What `command` said."""

    name: str
    command: str
    taken: dict[str, str]  # facts of the machine, the date and the commit
    seconds: float  # that it took
    result: dict[str, Any]

    def read(self, kind: type[Value]) -> Value:
        """What was said, as far as the page needs it."""
        return msgspec.convert(self.result, kind, strict=False)

    def save(self, folder: Path) -> Path:
        """Write it; where."""
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{self.name}.json"
        path.write_bytes(msgspec.json.format(msgspec.json.encode(self)) + b"\n")
        return path


def load_all(folder: Path) -> list[Result]:
    """All results of a folder, by their names."""
    return [msgspec.json.decode(path.read_bytes(), type=Result) for path in sorted(folder.glob("*.json"))]


# ---- what the scripts say: only what the page shows ------------------------------------------------------------------


class Stick(msgspec.Struct, frozen=True):
    """What a figure is compared with."""

    name: str
    rounds: Sequence[float]


class Figure(msgspec.Struct, frozen=True):
    """A row of a bench."""

    name: str
    unit: str
    median: float
    rounds: Sequence[float]
    yardstick: Stick | None = None
    ratio: float | None = None
    floor: str | None = None
    passed: bool | None = None


class Bench(msgspec.Struct, frozen=True):
    """What `./scripts/bench` says."""

    bench: str
    rows: Sequence[Figure]
    machine: Mapping[str, str] = {}
    sizes: Mapping[str, Any] = {}
    steps: int = 0
    disturbed: int = 0


class Chaos(msgspec.Struct, frozen=True, rename="camel"):
    """What `./scripts/chaos` says."""

    mode: str
    seed: int
    seconds: float
    violations: Mapping[str, int]
    mutant: str = ""
    accepted: int = 0
    runs: int = 0
    kills: int = 0
    writers_killed: int = 0
    pauses: int = 0
    longest_pause_seconds: float = 0
    outages: int = 0
    network_cuts: int = 0
    agents_killed: int = 0
    takeovers: int = 0
    takeover_seconds: Mapping[str, float | None] = {}

    @property
    def broken(self) -> int:
        """Promises that were broken."""
        return sum(self.violations.values())


class Mutant(msgspec.Struct, frozen=True):
    """How a planted bug fared; `seeds` is None when it survived."""

    mutant: str
    described: str
    seeds: int | None
    what: str


class Simulation(msgspec.Struct, frozen=True):
    """What `reliability_report.simulated` says: of seeds, or of mutants."""

    first: int
    seeds: int
    kept: int = 0  # cases of tests/seeds.txt, run first
    stats: Mapping[str, int] = {}
    failures: Sequence[Mapping[str, str]] = ()
    mutants: Sequence[Mutant] = ()
