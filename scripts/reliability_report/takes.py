"""The results that the page is made of, and the scripts that say them."""

import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec
from benches.machine import ROOT, facts
from chaos_rig.planted import BUGS

from reliability_report.results import Result

_SAID = (0, 1)  # exit codes with a verdict: all well, or not
_TAIL = 2000
MUTANT_SECONDS = "60"
BEHIND_PAUSES = ("--only-pauses", "5")  # where alone an owner that has lost its host, and does not know it, goes on
BENCHES = ("fleet", "production", "overload", "sockets", "guards", "lists", "dashboard")  # of ./scripts/bench


class Take(NamedTuple):
    """A module of ours that prints one JSON document."""

    name: str
    module: str
    words: Sequence[str] = ()


class TakeFailed(Exception):
    """There is no verdict; the sentence says why."""


def _chaos(mode: str, mutant: str = "") -> Take:
    seconds = MUTANT_SECONDS if mutant else "600"
    planted = ("--mutant", mutant, *(BEHIND_PAUSES if mutant.startswith("no_fence") else ())) if mutant else ()
    name = "-".join(filter(None, ("chaos", mode, mutant)))
    return Take(name, "chaos_rig", ("--seconds", seconds, "--mode", mode, *planted, "-o", "json"))


TAKES = {
    take.name: take
    for take in (
        *(Take(bench, "benches", (bench, "-o", "json")) for bench in BENCHES),
        _chaos("embedded"),
        _chaos("cluster"),
        *(_chaos("cluster", bug) for bug in BUGS),
        Take("mutants", "reliability_report.simulated", ("--mutants",)),
        Take("simulate", "reliability_report.simulated"),
    )
}


def described() -> dict[str, str]:
    """What each planted bug of the chaos rig does wrong."""
    return {name: plant.__doc__ or "" for name, plant in BUGS.items()}


def take(name: str, further: Sequence[str]) -> Result:
    """Run it, and wait; what it says on the way goes to stderr."""
    _, module, words = TAKES[name]
    before = facts(ROOT, "asyncio")
    command = [sys.executable, "-m", module, *words, *further]
    began = time.monotonic()
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, check=False)
    if done.returncode not in _SAID:
        raise TakeFailed(f"{name}: ended with {done.returncode}")
    try:
        said = msgspec.json.decode(done.stdout, type=dict)
    except msgspec.DecodeError as error:
        raise TakeFailed(f"{name}: no document: {done.stdout[-_TAIL:].decode(errors='replace')}") from error
    taken = {fact: value for fact, value in before.items() if fact not in {"data", "loop"}}
    shown = " ".join(["python", "-m", module, *words, *further])
    return Result(name=name, command=shown, taken=taken, seconds=round(time.monotonic() - began, 1), result=said)


def page_path() -> Path:
    """Where the page is."""
    return ROOT / "docs" / "reliability.md"
