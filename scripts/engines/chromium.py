"""A Chromium without a window, for what looks at the dashboard: found on this machine, started as lean as it goes."""

import shutil

from engines.processes import EngineMissing

NAMES = ("chromium", "chromium-browser", "google-chrome")
# Root has no sandbox to be in, there is no screen to draw on, and nothing is to be asked of anybody else.
LEAN = [
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"),
    *("--disable-component-update", "--disable-sync"),
]


def chromium() -> str:
    """The program; `EngineMissing` says how to get one."""
    found = next(filter(None, map(shutil.which, NAMES)), None)
    if found is None:
        raise EngineMissing("There is no Chromium on this machine (Debian: apt install chromium)")
    return found
