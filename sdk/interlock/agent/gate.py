"""Run as a script in the new process: wait until the agent lets us through, then become the command.

    python -I -S gate.py GATE_FD STATUS_FD LC_CTYPE COMMAND [ARGUMENT…]

The agent writes our pid to its journal before it opens the gate, so no command ever runs that the journal does not
know. If the agent dies first, the gate reads as closed and nothing is started. STATUS_FD closes when the command
has been started; otherwise the reason is written to it.
"""

import os
import signal
import sys

NOT_STARTED = 127  # what a shell says of a command that cannot be started
AGENT_GONE = 125


def main() -> None:
    """Wait, undo what Python's own start changed (LC_CTYPE and two ignored signals), then exec; never returns."""
    gate, status, locale = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
    command = sys.argv[4:]
    if os.read(gate, 1) != b"!":
        os._exit(AGENT_GONE)
    os.close(gate)
    os.set_inheritable(status, False)
    os.environ.pop("LC_CTYPE", None)
    if locale:
        os.environ["LC_CTYPE"] = locale
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
    try:
        os.execvp(command[0], command)  # noqa: S606 - an argument list from agent.toml, without a shell
    except OSError as error:
        os.write(status, (error.strerror or "unknown reason").encode("utf-8", "replace"))
    os._exit(NOT_STARTED)


if __name__ == "__main__":
    main()
