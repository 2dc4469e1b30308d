"""An agent's processes follow one another. Two that alternate use the same key: one of them is a clone."""

from actors.decision import Decision
from actors.host_state import CLONED, MINUTE, HostState, Switch
from actors.switchboard import POLICY
from interlock.errors import Superseded
from interlock.frames import Refused
from interlock.states import RunEvent

_REPLACED = "Another process of this host's agent has taken over"


def switch_instance(state: HostState, instance_id: str, named: frozenset[str], d: Decision) -> None:
    """Another process of the agent has come; what the old one ran and the new one does not name is lost."""
    host = state.host
    before, host.instance_id = host.instance_id, instance_id
    state.beats = False
    d.host_changed = True
    _leave_poll(state, d)
    _leave_socket(state, d)
    if before is None:
        return
    _note_switch(state, before, d)
    current = state.current
    if current is not None and current.run.id not in named:
        state.advance(current, RunEvent.NEW_INSTANCE, d)


def _note_switch(state: HostState, left: str, d: Decision) -> None:
    recent = tuple(switch for switch in state.switches if switch.at > d.now - MINUTE)
    returned = any(switch.left == state.host.instance_id for switch in recent)
    state.switches = (*recent, Switch(left, d.now, returned))
    if sum(switch.returned for switch in state.switches) >= state.limits.alternations:
        state.set_health(CLONED, d)


def _leave_poll(state: HostState, d: Decision) -> None:
    """A parked poll of the process that was replaced is given nothing any more."""
    if state.poll is not None and state.poll.instance_id not in {None, state.host.instance_id}:
        state.answer_poll(Superseded(_REPLACED, current={"instanceId": state.host.instance_id}), d)


def _leave_socket(state: HostState, d: Decision) -> None:
    """A socket of the process that was replaced says nothing any more. It is closed: should that process still live, and
    the other be gone, it comes back.
    """
    session = state.session
    if session is not None and session.instance_id not in {None, state.host.instance_id}:
        d.push(session, "error", Refused(code=Superseded.code, message=_REPLACED))
        d.end(session, POLICY, Superseded.code)
        state.session = None
        if state.current is not None:
            state.lease(state.current, d)
