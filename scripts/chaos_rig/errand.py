"""The command that real agents run: a lock that proves it is alone, a line in the diary, the work, another line.

    python -I -S errand.py DIARY LOCK HOST

The lock goes with the process, however it ends: who gets it while another holds it would be two on one machine.
"""

import fcntl
import json
import os
import signal
import sys
import time

DIARY, LOCK, HOST = sys.argv[1:4]
RUN = os.environ["INTERLOCK_JOB_RUN_ID"]


def note(what: str, **more: object) -> None:
    """One whole line at once, behind whatever others wrote."""
    entry = {"what": what, "at": time.monotonic_ns(), "host": HOST, "run": RUN, **more}
    descriptor = os.open(DIARY, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    os.write(descriptor, json.dumps(entry).encode() + b"\n")
    os.close(descriptor)


def stop(_number: int, _frame: object) -> None:
    """Asked to stop."""
    note("Ended", agent="command", how="cancelled")
    os._exit(143)


def main() -> int:
    """The exit code."""
    work = json.loads(sys.stdin.readline())
    lock = os.open(LOCK, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        note("Clashed")
        return 1
    signal.signal(signal.SIGTERM, signal.SIG_IGN if work.get("stubborn") else stop)
    note("Started", agent="command", alone=True)
    time.sleep(work["ms"] / 1000)
    fails = int(os.environ["INTERLOCK_ATTEMPT"]) <= work.get("fails", 0) or work.get("end", "success") != "success"
    print(json.dumps({"proof": RUN}), flush=True)
    note("Ended", agent="command", how="failed" if fails else "success")
    return 1 if fails else 0


if __name__ == "__main__":
    sys.exit(main())
