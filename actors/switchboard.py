"""The connected sockets of this process, one per host: a newer one takes the place of an older."""

from actors.sessions import Session
from interlock.frames import Refused

POLICY, RESTART, GOING_AWAY = 1008, 1012, 1001  # close codes of RFC 6455 and its registry
_NEWER = "A newer connection of this host has taken this one's place"


class Switchboard:
    """Keeps the sessions; whoever closes one here is rid of it, and its own late close harms nothing."""

    def __init__(self) -> None:
        self.sessions: dict[str, Session] = {}  # by host

    def put(self, session: Session) -> None:
        """Keep it; an older one of the same host is told that it has been superseded, and closed."""
        older = self.sessions.get(session.host_id)
        self.sessions[session.host_id] = session
        if older is not None and older is not session:
            older.deliver("error", Refused(code="superseded", message=_NEWER))
            older.end(POLICY, "superseded")

    def forget(self, session: Session) -> bool:
        """Whether it was the host's present one; a later one stays."""
        if self.sessions.get(session.host_id) is not session:
            return False
        del self.sessions[session.host_id]
        return True

    def close(self, host_id: str, code: int, reason: str) -> None:
        """End the host's connection, if it has one."""
        session = self.sessions.pop(host_id, None)
        if session is not None:
            session.end(code, reason)

    def close_all(self, code: int, reason: str) -> None:
        """End them all."""
        for host_id in list(self.sessions):
            self.close(host_id, code, reason)
