"""What the launchers of the engines share: finding the programs, an account to run them, a folder, a process, its end.

Every server is started with `subprocess` and known by its pid; nothing is ever ended by a name.
"""

import contextlib
import importlib.util
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

PAUSE_SECONDS = 0.01  # between two looks at whether a server answers
TERM_SECONDS = 30.0  # between asking a server to end and killing it


class EngineMissing(Exception):
    """No such engine on this machine; the sentence says how to get one."""


class EngineFailed(Exception):
    """An engine did not start or end as it should; the sentence ends with what it said last."""


@dataclass(frozen=True, slots=True)
class Account:
    """Whom a server runs as. PostgreSQL refuses to be root, so root becomes `nobody` for it."""

    uid: int
    gid: int
    other: bool  # than whoever calls

    def own(self, path: Path) -> None:
        """Give it a file or folder."""
        if self.other:
            os.chown(path, self.uid, self.gid)

    @property
    def options(self) -> dict[str, object]:
        """What `subprocess` wants to become it; none of our own groups are kept."""
        return {"user": self.uid, "group": self.gid, "extra_groups": []} if self.other else {}


def plain_account() -> Account:
    """Whoever calls, unless that is root."""
    if os.geteuid() != 0:
        return Account(os.getuid(), os.getgid(), other=False)
    nobody = pwd.getpwnam("nobody")
    return Account(nobody.pw_uid, nobody.pw_gid, other=True)


def wheel_folder(module: str) -> Path | None:
    """Where an installed wheel lies. It is never imported: only its programs are of interest."""
    spec = importlib.util.find_spec(module)
    return Path(spec.origin).parent if spec is not None and spec.origin is not None else None


def may_run(program: Path, account: Account) -> bool:
    """Whether the account reaches and may start it, as far as the modes of the folders above tell."""
    if not account.other:
        return os.access(program, os.X_OK)
    folders = all(folder.stat().st_mode & 0o001 for folder in program.resolve().parents)
    return folders and program.stat().st_mode & 0o005 == 0o005  # noqa: PLR2004 - everybody reads and runs


@contextmanager
def short_folder(prefix: str, account: Account) -> Iterator[Path]:
    """A folder that the account owns, gone afterwards. Its path is short: that of a Unix socket has 107 bytes at most."""
    folder = Path(tempfile.mkdtemp(prefix=prefix, dir="/tmp"))  # TMPDIR may be long, or for root alone
    try:
        account.own(folder)
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


class Server:
    """One process of an engine. `command` is run in `folder`; what it says goes to the end of `log`."""

    def __init__(self, command: Sequence[str | Path], folder: Path, account: Account, env: Mapping[str, str]) -> None:
        self.log = folder / "log"
        with self.log.open("ab") as sink:
            self._process = subprocess.Popen(  # type: ignore[call-overload]  # options by name
                [str(part) for part in command],
                cwd=folder,
                env=dict(env),
                stdin=subprocess.DEVNULL,
                stdout=sink,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                **account.options,
            )
        self.pid: int = self._process.pid

    @property
    def alive(self) -> bool:
        """Whether it has not ended."""
        return self._process.poll() is None

    def wait_until(self, ready: Callable[[], bool], seconds: float) -> None:
        """Return once `ready` says yes; `EngineFailed` when the server has ended or the time is up."""
        deadline = time.monotonic() + seconds
        while not ready():
            if not self.alive:
                raise EngineFailed(f"The server ended at once. {self.last_words()}")
            if time.monotonic() > deadline:
                raise EngineFailed(f"The server was not ready within {seconds:g} s. {self.last_words()}")
            time.sleep(PAUSE_SECONDS)

    def end(self, order: signal.Signals) -> None:
        """Send the signal and wait until it is gone; killed if that takes too long. Twice does no harm."""
        if self.alive:
            self._process.send_signal(order)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(TERM_SECONDS)
                return
            self.kill()

    def kill(self) -> None:
        """SIGKILL to it and to all its children, as if the machine had lost them in one moment."""
        if not self.alive:
            return
        family = [psutil.Process(self.pid), *psutil.Process(self.pid).children(recursive=True)]
        for member in family:
            with contextlib.suppress(psutil.NoSuchProcess):
                member.kill()
        self._process.wait()
        while any(map(_runs, family[1:])):  # its orphans: they may still hold the data directory
            time.sleep(PAUSE_SECONDS)

    def pause(self) -> None:
        """SIGSTOP: it keeps its connections and answers nothing."""
        self._process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        """SIGCONT."""
        self._process.send_signal(signal.SIGCONT)

    def last_words(self) -> str:
        """The end of its log."""
        return self.log.read_text(encoding="utf-8", errors="replace")[-2000:]


def _runs(process: psutil.Process) -> bool:
    """Whether it has not ended; a zombie has, even when nobody has taken notice yet."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
