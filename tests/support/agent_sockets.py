"""An agent on a socket, as a host's state sees it: the frames that it was sent, and what it says."""

from typing import Any

from actors.messages import Ack, Beat, Connect, Disconnect, Reject, ResolveAction
from actors.sessions import Session
from interlock.frames import JobGiven
from tests.support.hosts import USER, HostRig


class Socket:
    """One connection. `frames` is what came over it, `closed` with what code and reason the server closed it."""

    def __init__(
        self,
        number: int = 1,
        *,
        host_id: str = "host",
        instance: str | None = None,
        running: tuple[str, ...] | None = None,
    ) -> None:
        self.frames: list[tuple[str, Any]] = []
        self.closed: tuple[int, str] | None = None
        self.session = Session(
            host_id,
            session_id=f"socket-{number}",
            push=lambda event, data: self.frames.append((event, data)),
            close=self._close,
            instance_id=instance,
            running=running,
        )

    def _close(self, code: int, reason: str) -> None:
        self.closed = (code, reason)

    @property
    def events(self) -> list[str]:
        """The names of its frames."""
        return [event for event, _ in self.frames]

    def of(self, event: str) -> list[Any]:
        """What the frames of that name carried."""
        return [data for name, data in self.frames if name == event]

    def offered(self) -> JobGiven:
        """The job that was pushed last."""
        given = self.of("job:new")[-1]
        assert isinstance(given, JobGiven)
        return given


class SocketRig(HostRig):
    """A host whose agents may come on sockets."""

    def connect(
        self, number: int = 1, *, instance: str | None = None, running: tuple[str, ...] | None = None
    ) -> Socket:
        """A new connection, which takes the place of any other."""
        socket = Socket(number, instance=instance, running=running)
        self.tell_of(socket)
        return socket

    def tell_of(self, socket: Socket) -> None:
        """As the directory does, to a new incarnation as well."""
        assert self.do(Connect(session=socket.session)).reply is None
        socket.session.introduced = True

    def drop(self, socket: Socket) -> None:
        """Its transport has gone."""
        socket.session.open = False
        self.do(Disconnect(session=socket.session))

    def ack(self, socket: Socket | None, job_id: str, run_id: str | None = None) -> Any:
        """The agent accepts; the reply."""
        session = None if socket is None else socket.session
        return self.do(Ack(session=session, job_id=job_id, job_run_id=run_id)).reply

    def reject(self, socket: Socket, job_id: str, run_id: str | None = None, reason: str | None = None) -> Any:
        """The agent refuses; the reply."""
        return self.do(Reject(session=socket.session, job_id=job_id, job_run_id=run_id, reason=reason)).reply

    def beat_on(self, socket: Socket, *running: str, silent: bool = False) -> Any:
        """A heartbeat on the socket, which names these runs, or (`silent`) has no list at all; the reply."""
        session = socket.session
        running_now = None if silent else running
        return self.do(Beat(instance_id=session.instance_id, running=running_now, session=session)).reply

    def resolve(self, job_id: str) -> Any:
        """A user has done what was needed; the reply."""
        return self.do(ResolveAction(job_id=job_id, by=USER)).reply

    def start(self, socket: Socket) -> str:
        """A new job that the connected agent accepts: the run's id."""
        created = self.create()
        given = socket.offered()
        assert given.job_run_id == created.run.id
        taken = self.ack(socket, given.job_id)
        assert taken.job_run_id == created.run.id
        return str(created.run.id)
