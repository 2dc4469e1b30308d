"""Where and when figures were taken: without that they cannot be compared with others."""

import os
import platform
import shutil
import sqlite3
import subprocess
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import psutil

ROOT = Path(__file__).resolve().parents[2]
_MEASURED = (":!docs/results", ":!docs/reliability.md")  # what a bench itself changes


def facts(folder: Path, loop: str, engines: str = "") -> dict[str, str]:
    """A fact a line, by its name. `engines` are the versions of servers beside ours."""
    load = ", ".join(f"{average:.2f}" for average in os.getloadavg())
    return {
        "date": f"{datetime.now(UTC):%Y-%m-%d %H:%M:%S} UTC",
        "commit": _commit(),
        "processor": f"{_processor()}, {os.cpu_count()} cores",
        "memory": f"{psutil.virtual_memory().total / 2**30:.0f} GiB",
        "system": f"{platform.system()} {platform.release()}",
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "libraries": f"aiohttp {version('aiohttp')}, SQLite {sqlite3.sqlite_version}",
        **({"engines": engines} if engines else {}),
        "loop": loop,
        "data": f"{folder} ({_file_system(folder)})",
        "load": f"{load} (averages over 1, 5 and 15 minutes before the start)",
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.machine())


def _commit() -> str:
    """Of the sources; what has been measured with them already is no change of them."""
    git = shutil.which("git")
    if git is None:
        return "unknown"
    changed = ("status", "--porcelain", "--untracked-files=no", "--", ".", *_MEASURED)
    said = [
        subprocess.run([git, *words], cwd=ROOT, capture_output=True, text=True, check=False).stdout.strip()
        for words in (("rev-parse", "--short", "HEAD"), changed)
    ]
    return f"{said[0] or 'unknown'}{' with changes' if said[1] else ''}"


def _file_system(folder: Path) -> str:
    """Its type: on tmpfs nothing is ever flushed to a disk."""
    inside = [part for part in psutil.disk_partitions(all=True) if folder.is_relative_to(part.mountpoint)]
    return max(inside, key=lambda part: len(part.mountpoint)).fstype if inside else "unknown"
