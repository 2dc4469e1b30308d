"""The demo's job handler: really starts, stops and restarts one server process of this host.

An agent runs it as `python game_server.py start|stop|restart --home DIR --port N`, with the job's payload as JSON
on stdin. Exit code 0 is success; otherwise the last line on stderr says why.

The server is a detached `python -m http.server`. It inherits the lock on `DIR/server.lock` and so holds it exactly
as long as it lives, however it dies: whether a server runs is asked of the kernel, not of a pid that may by now be
somebody else's. That no two handlers work on one host at the same time is what Interlock is for.
"""

import argparse
import fcntl
import http.client
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

MAPS = ("de_dust2", "de_inferno", "de_nuke")
READY_SECONDS = 10.0  # a server that has not answered by then has not started
STOP_SECONDS = 5.0  # between SIGTERM and SIGKILL
LOOK_SECONDS = 0.02  # between two looks at a server that is coming or going


class Refusal(Exception):
    """The job cannot be done; the message goes to the job's errorMessage."""


def start(home: Path, port: int, map_name: str) -> str:
    """Start the server and wait until it answers; one that is up already is left alone."""
    lock = claim(home)
    if lock is None:
        return f"already up on port {port}, pid {pid_of(home)}"
    try:
        server = _spawn(home, port, lock)
        (home / "pid").write_text(f"{server.pid}\n", encoding="ascii")
        pages = home / "www"
        (pages / "pid").write_text(f"{server.pid}\n", encoding="ascii")
        (pages / "map").write_text(f"{map_name}\n", encoding="ascii")
        _wait_until_ready(server, port)
    finally:
        os.close(lock)
    return f"{map_name} is up on http://127.0.0.1:{port}, pid {server.pid}"


def stop(home: Path) -> str:
    """Stop the server and wait until it is gone; one that is down already stays down."""
    lock = claim(home)
    if lock is not None:
        os.close(lock)
        return "already down"
    pid = pid_of(home)
    for order in (signal.SIGTERM, signal.SIGKILL):
        os.kill(pid, order)
        if _gone(home):
            return f"down, pid {pid} has ended"
    raise Refusal(f"pid {pid} survived SIGKILL")


def claim(home: Path) -> int | None:
    """The lock as a file descriptor, or None while a server holds it."""
    lock = os.open(home / "server.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(lock)
        return None
    return lock


def pid_of(home: Path) -> int:
    """The pid of the server that holds the lock."""
    return int((home / "pid").read_text(encoding="ascii"))


def _spawn(home: Path, port: int, lock: int) -> subprocess.Popen[bytes]:
    pages = home / "www"
    pages.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "http.server", str(port), "--bind", "127.0.0.1", "--directory", str(pages)]
    with (home / "server.log").open("ab") as log:
        # A session and an environment of its own: it outlives this job, and nothing in it points back to the job.
        return subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            pass_fds=[lock],
            start_new_session=True,
            env={"PATH": os.environ.get("PATH", os.defpath)},
        )


def _wait_until_ready(server: subprocess.Popen[bytes], port: int) -> None:
    deadline = time.monotonic() + READY_SECONDS
    while time.monotonic() < deadline:
        if server.poll() is not None:
            raise Refusal(f"the server ended with exit code {server.returncode}; server.log says why")
        if answered_pid(port) == server.pid:
            return
        time.sleep(LOOK_SECONDS)
    server.kill()
    server.wait()
    raise Refusal(f"the server did not answer on port {port} within {READY_SECONDS:g} s")


def answered_pid(port: int) -> int | None:
    """The pid that the server on `port` answers with; None when nothing answers."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=2)
    try:
        connection.request("GET", "/pid")
        return int(connection.getresponse().read())
    except (OSError, ValueError, http.client.HTTPException):
        return None
    finally:
        connection.close()


def _gone(home: Path) -> bool:
    deadline = time.monotonic() + STOP_SECONDS
    while time.monotonic() < deadline:
        lock = claim(home)
        if lock is not None:
            os.close(lock)
            return True
        time.sleep(LOOK_SECONDS)
    return False


def _act(action: str, home: Path, port: int, payload: dict[str, Any]) -> str:
    map_name = payload.get("map", MAPS[0])
    if map_name not in MAPS:
        raise Refusal(f"there is no map {map_name!r}")
    if payload.get("download"):
        _download()
    attempt = int(os.environ.get("INTERLOCK_ATTEMPT", "1"))
    if attempt <= payload.get("breaksOff", 0):
        raise Refusal(f"the download of {map_name} broke off")
    if action == "start":
        return start(home, port, map_name)
    stopped = stop(home)
    return stopped if action == "stop" else f"{stopped}; {start(home, port, map_name)}"


def _download() -> None:
    """Fetch maps without end, by a process of its own, until somebody stops the job."""
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    print(json.dumps({"job": os.getpid(), "download": child.pid}), flush=True)
    child.wait()


def _main() -> int:
    parser = argparse.ArgumentParser(description="Start, stop or restart this host's game server.")
    parser.add_argument("action", choices=("start", "stop", "restart"))
    parser.add_argument("--home", type=Path, required=True, help="folder of the server's pid, log and pages")
    parser.add_argument("--port", type=int, required=True, help="loopback port")
    options = parser.parse_args()
    options.home.mkdir(parents=True, exist_ok=True)
    try:
        print(_act(options.action, options.home, options.port, json.load(sys.stdin) or {}))
    except Refusal as refusal:
        print(refusal, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(_main())
