"""The command line on a real terminal: a pseudo-terminal of the kernel's, read by a thread, and typed at."""

import os
import pty
import subprocess
import sys
import termios
import threading
from collections.abc import Mapping
from types import TracebackType
from typing import Self

PROGRAM = "import sys; from interlock.cli import main; main(sys.argv[1:], prog_name='interlock')"
PATIENCE = 30.0  # seconds until something that must be shown is missed


class Terminal:
    """A command whose stdin, stdout and stderr are one terminal of `columns` by 40."""

    def __init__(self, *words: str, env: Mapping[str, str], columns: int = 120) -> None:
        ours, theirs = pty.openpty()
        termios.tcsetwinsize(theirs, (40, columns))
        # A session of its own with this terminal in control, so that Ctrl-C typed at it is a signal to the command.
        self.process = subprocess.Popen(
            [sys.executable, "-c", _TAKE_TERMINAL + PROGRAM, *words],
            env={**_inherited(), "TERM": "xterm-256color", **env},
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            start_new_session=True,
        )
        os.close(theirs)
        self._ours = ours
        self._shown = b""
        self._changed = threading.Condition()
        self._ended = False
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def press(self, text: str) -> None:
        """Press keys; the character 3 is Ctrl-C."""
        os.write(self._ours, text.encode())

    def until(self, text: str) -> str:
        """All that was shown, once `text` is among it."""
        with self._changed:
            found = self._changed.wait_for(lambda: text.encode() in self._shown or self._ended, PATIENCE)
            shown = self._shown.decode(errors="replace")
        assert found, shown
        assert text in shown, shown
        return shown

    def end(self) -> tuple[str, int]:
        """All that was shown, and the exit code, once the command has ended."""
        code = self.process.wait(PATIENCE)
        self._reader.join(PATIENCE)
        return self._shown.decode(errors="replace"), code

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self._reader.join()
        os.close(self._ours)

    def _read(self) -> None:
        while True:
            try:
                piece = os.read(self._ours, 65536)
            except OSError:  # EIO is how Linux says that nobody writes any more
                piece = b""
            with self._changed:
                self._shown += piece
                self._ended = not piece
                self._changed.notify_all()
            if not piece:
                return


def _inherited() -> dict[str, str]:
    """Our variables without those that would count before the terminal's own size."""
    return {name: value for name, value in os.environ.items() if name not in {"COLUMNS", "LINES"}}


# A shell that runs the tests in the background has them ignore Ctrl-C, and children inherit that.
_HEED_CTRL_C = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); "
_TAKE_TERMINAL = "import fcntl, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0); " + _HEED_CTRL_C
