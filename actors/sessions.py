"""Connected sockets of agents. The directory keeps them, since they outlive the incarnations of their hosts' actors."""

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from interlock.clock import Millis
from interlock.frames import JobGiven

Value = TypeVar("Value")

REMEMBERED = 100  # jobs of a connection whose run is known by the job's id alone
_NOTHING: Mapping[str, str] = {}


class Session:
    """One connected socket of a host's agent, whichever transport carries it.

    `push(event, data)` writes one frame and never blocks or raises; `close(code, reason)` ends the connection. The
    gateway sets `open` to False when the transport has gone. `running` is what the agent said at connect: None says
    nothing, () that it runs nothing; it counts once, when the session is `introduced`. `jobs_named`: the job of each of
    these runs, as far as it is or was this host's.
    """

    __slots__ = (
        "_acked",
        "_handed",
        "_hinted",
        "_repeated",
        "close",
        "host_id",
        "id",
        "instance_id",
        "introduced",
        "jobs_named",
        "open",
        "push",
        "running",
    )

    def __init__(
        self,
        host_id: str,
        *,
        session_id: str,
        push: Callable[[str, Any], None],
        close: Callable[[int, str], None],
        instance_id: str | None = None,
        running: tuple[str, ...] | None = None,
    ) -> None:
        self.host_id = host_id
        self.id = session_id
        self.push = push
        self.close = close
        self.instance_id = instance_id
        self.running = running
        self.jobs_named = _NOTHING
        self.open = True
        self.introduced = False  # what it said at connect is in the rows
        self._acked: dict[str, str] | None = None  # run by job
        self._handed: dict[str, str] | None = None
        self._hinted: dict[str, Millis] | None = None
        self._repeated: dict[str, str] | None = None  # handed out here, and not the job's first run

    def run_of(self, job_id: str) -> str | None:
        """The run that is meant by the job's id alone: the one that this connection acked, else the one that it was last
        handed, never a later attempt. None when it has had none of that job.

        A job's later run must have been acked here: its agent may still be at an earlier one, from before it connected.
        """
        handed = self.handed(job_id)
        return self.acked(job_id) or (None if handed in (self._repeated or {}).values() else handed)

    def acked(self, job_id: str) -> str | None:
        """The run of that job which the agent has spoken of on this connection, or ran when it connected."""
        return (self._acked or {}).get(job_id)

    def handed(self, job_id: str) -> str | None:
        """The run of that job which this connection was last handed."""
        return (self._handed or {}).get(job_id)

    def note_acked(self, job_id: str, run_id: str) -> None:
        """With the job's id alone, the agent means this run from now on."""
        self._acked = _noted(self._acked, job_id, run_id)

    def note_handed(self, job_id: str, run_id: str) -> None:
        """It is given this run now."""
        self._handed = _noted(self._handed, job_id, run_id)

    def note_repeated(self, job_id: str, run_id: str) -> None:
        """This run, which is to be handed out, is not the first of its job: it is not meant before it is acked."""
        self._repeated = _noted(self._repeated, job_id, run_id)

    def note_hinted(self, job_id: str, at: Millis) -> None:
        """It is told now that this job waits in the pool."""
        self._hinted = _noted(self._hinted, job_id, at)

    def hinted(self, job_id: str) -> Millis | None:
        """When this connection was last told that the job waits, as far as that is remembered."""
        return (self._hinted or {}).get(job_id)

    def deliver(self, event: str, data: Any) -> None:
        """Push it, and remember what was handed out."""
        if not self.open:
            return
        if isinstance(data, JobGiven):
            self.note_handed(data.job_id, data.job_run_id)
        self.push(event, data)

    def end(self, code: int, reason: str) -> None:
        """Close the connection, unless it has gone already."""
        if self.open:
            self.open = False
            self.close(code, reason)


def _noted(known: dict[str, Value] | None, job_id: str, value: Value) -> dict[str, Value]:
    known = {} if known is None else known
    known.pop(job_id, None)  # so that the oldest comes first
    known[job_id] = value
    if len(known) > REMEMBERED:
        del known[next(iter(known))]
    return known
