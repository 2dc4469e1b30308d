"""`interlock dev` in a process of its own, as a person would start it."""

import os
import shlex
import signal
import subprocess
import sys
import threading
from pathlib import Path

INTERLOCK = Path(sys.executable).with_name("interlock")
PATIENCE = 30.0


class Dev:
    """`interlock dev` as a process, until it is interrupted as by Ctrl-C."""

    def __init__(self, home: Path, *words: str) -> None:
        self.home = home
        self.said: list[str] = []
        command = [str(INTERLOCK), "dev", "--port", "0", *words]
        env = os.environ | {"XDG_CONFIG_HOME": str(home), "TMPDIR": str(home)}
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=env)
        self._reader = threading.Thread(target=self._read)
        self._reader.start()
        assert self.process.stdout is not None
        lines = [self.process.stdout.readline() for _ in range(3)]
        self.exports = dict(word.partition("=")[::2] for line in lines for word in shlex.split(line)[1:])

    def interrupt(self) -> int:
        """The exit code."""
        self.process.send_signal(signal.SIGINT)
        try:
            return self.process.wait(PATIENCE)
        finally:
            self.process.kill()
            self.process.wait()
            self._reader.join()
            for pipe in (self.process.stdout, self.process.stderr):
                assert pipe is not None
                pipe.close()

    def _read(self) -> None:
        assert self.process.stderr is not None
        self.said.extend(self.process.stderr)
