"""The doctor's look at the machine: the disk, who may read what, the port, and how many files may be open."""

import errno
import fcntl
import http.client
import os
import resource
import shutil
import socket
import stat
from collections.abc import Iterator
from pathlib import Path

from runtime.findings import Finding, fail, ok, warn
from runtime.settings import Settings

LEAST_BYTES = 100 * 2**20  # of free disk, below which a server fails soon
FEW_BYTES = 2**30
FLEET = 10_000  # agents that one server is made for
SPARE_FILES = 500  # that a server opens for itself and for dashboards
LEAST_FILES = 512
LEAST_SECRET = 32  # bytes
ANSWER_SECONDS = 2.0  # that a server may take to say that it is there
_OTHERS = stat.S_IRWXG | stat.S_IRWXO


def check_machine(settings: Settings) -> Iterator[Finding]:
    """All findings about it."""
    yield from _disks(settings)
    yield from _rights(settings)
    yield from _secret(settings.data_path / "secret")
    yield _port(settings)
    yield open_files(resource.getrlimit(resource.RLIMIT_NOFILE)[0])


def _disks(settings: Settings) -> Iterator[Finding]:
    places = {"disk": settings.data_path} | ({"assets-disk": settings.asset_path} if settings.asset_dir else {})
    for check, path in places.items():
        there = next(each for each in (path.absolute(), *path.absolute().parents) if each.exists())
        yield free_disk(check, path, shutil.disk_usage(there).free)


def free_disk(check: str, path: Path, free: int) -> Finding:
    """How much room is left for what is kept at the path."""
    text = f"{free / 2**30:.1f} GiB are free for {path}"
    if free < LEAST_BYTES:
        return fail(check, text, "Make room: a server that cannot write takes nothing in.")
    return warn(check, text, "Make room soon.") if free < FEW_BYTES else ok(check, text)


def _rights(settings: Settings) -> Iterator[Finding]:
    folder = settings.data_path
    if not folder.exists():
        yield ok("data-folder", f"{folder} is made at the first start, for this user alone")
        return
    if not os.access(folder, os.R_OK | os.W_OK | os.X_OK):
        yield fail("data-folder", f"{folder} cannot be written by this user", f"Run as its owner, or `chown` {folder}.")
        return
    open_to_others = [path for path in (folder, *sorted(folder.glob("interlock.db*"))) if path.stat().st_mode & _OTHERS]
    if folder in open_to_others:
        names = ", ".join(str(path) for path in open_to_others)
        yield warn("data-folder", f"others on this machine may look at {names}", f"chmod -R go= {folder}")
    else:
        yield ok("data-folder", f"{folder} is for this user alone")


def _secret(path: Path) -> Iterator[Finding]:
    if not path.exists():
        return
    mode = stat.S_IMODE(path.stat().st_mode)
    if mode & _OTHERS:
        advice = f"chmod 600 {path}; then `interlock admin rotate-secret`: whoever has read it can sign tokens."
        yield fail("secret", f"{path} has the mode {mode:04o}: others can read it", advice)
    elif not os.access(path, os.R_OK):
        yield fail("secret", f"{path} cannot be read by this user", "Run as its owner.")
    elif len(path.read_bytes().strip()) < LEAST_SECRET:
        yield fail("secret", f"{path} is too short", "Remove it: the next start makes a new one, and all sign in anew.")
    else:
        yield ok("secret", f"{path} is for this user alone")


def _port(settings: Settings) -> Finding:
    place = f"{settings.host}:{settings.port}"
    try:
        found = socket.getaddrinfo(settings.host, settings.port, type=socket.SOCK_STREAM)
        family, kind, protocol, _, address = found[0]
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except OSError as error:
        if error.errno == errno.EADDRINUSE and _is_served(settings.data_path):
            return ok("port", f"{place} is in use, and a server runs on this data folder")
        if error.errno == errno.EADDRINUSE and not settings.is_embedded and _is_interlock(settings):
            return ok("port", f"{place} is in use by a server of Interlock")
        why = error.strerror or str(error)
        return fail("port", f"{place} cannot be listened on: {why}", "Choose another `port` or `host`.")
    return ok("port", f"{place} is free")


def _is_served(folder: Path) -> bool:
    """Whether a server holds the folder's lock."""
    try:
        with (folder / "serve.lock").open("r") as lock:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False


def _is_interlock(settings: Settings) -> bool:
    """Whether it is Interlock that answers there: who keeps its rows elsewhere holds no lock."""
    connection = http.client.HTTPConnection(settings.host, settings.port, timeout=ANSWER_SECONDS)
    try:
        connection.request("GET", "/healthz")
        return connection.getresponse().getheader("Server") == "interlock"
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def open_files(limit: int) -> Finding:
    """Whether a whole fleet can be connected; each agent and dashboard takes one."""
    if limit in {resource.RLIM_INFINITY, -1} or limit >= FLEET + SPARE_FILES:
        return ok("open-files", f"this user may have {limit if limit > 0 else 'any number of'} files open")
    text = f"this user may have {limit} files open: room for some {max(limit - SPARE_FILES, 0)} agents"
    advice = f"`ulimit -n {2 * FLEET}`, or LimitNOFILE={2 * FLEET} in the systemd unit."
    return fail("open-files", text, advice) if limit < LEAST_FILES else warn("open-files", text, advice)
