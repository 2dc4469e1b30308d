"""What goes over the sockets, from the same structs: agents' frames, and events for dashboards."""

from typing import Any, NamedTuple

from interlock import frames
from interlock.fleet import Config
from interlock.wire import EvidenceEvent, HostEvent, JobEvent, LogEvent, OrgEvent
from web.openapi.description import Shape
from web.openapi.shapes import EventFrame, Gap, Problem, SocketFrame


class Event(NamedTuple):
    """Something that the server says of its own accord."""

    shape: Shape
    text: str


PUSHES: dict[str, Event] = {
    "config": Event(Config, "The organization's settings: on connecting, and whenever they change."),
    "job:available": Event(frames.JobAvailable, "A pool job waits that this host could ack."),
    "job:new": Event(frames.JobGiven, "The host's own next job, to be acked soon: else it is offered again."),
    "job:cancel": Event(frames.CancelRun, "Stop this run, and say `job:cancelled`."),
    "job:resume": Event(frames.ResumeRun, "The run's user has done what was needed."),
    "error": Event(frames.Refused, "A frame was not taken, or the connection is about to end."),
}
EVENTS: dict[str, Event] = {
    "job.created": Event(JobEvent, "A job is on disk."),
    "job.updated": Event(JobEvent, "Its progress, its place or its need of a user has changed, or it is tried again."),
    "job.cancelled": Event(JobEvent, "It is cancelled."),
    "job.log": Event(LogEvent, "There are more lines in its log."),
    "job_run.started": Event(JobEvent, "A host runs it."),
    "job_run.done": Event(JobEvent, "A run has ended; `willRetry` says whether another follows."),
    "evidence.added": Event(EvidenceEvent, "There is more evidence, or another file."),
    "host.online": Event(HostEvent, "A host's agent is there."),
    "host.offline": Event(HostEvent, "It has not been heard of."),
    "host.updated": Event(HostEvent, "A host has been changed or deleted, or what is known of it has."),
    "org.changed": Event(OrgEvent, "A type, the settings, a member, or what else is the organization's, has changed."),
    "gap": Event(Gap, "Events are lost to this watcher: it should read afresh."),
    "error": Event(Problem, "The credential does not hold; the socket closes."),
}
SHAPES: frozenset[Shape] = frozenset(
    {
        SocketFrame,
        EventFrame,
        frames.Auth,
        *(event.shape for event in (*PUSHES.values(), *EVENTS.values())),
        *(shape for exchange in frames.EXCHANGES.values() for shape in (exchange.asks, exchange.answers)),
    }
)


def sockets(ref: Any) -> dict[str, Any]:
    """The protocol as an extension of the document; `ref` makes a reference to a struct's schema."""
    exchanges = [
        {
            "event": event,
            "data": ref(exchange.asks),
            "answer": {"event": exchange.event, "data": ref(exchange.answers)},
        }
        for event, exchange in frames.EXCHANGES.items()
    ]
    return {
        "/agent": {
            "description": "Text frames, each an envelope of JSON. Whoever brings no `Authorization` header sends `auth`"
            " first. Every event of the agent is answered by one of its own, or by `error`.",
            "envelope": ref(SocketFrame),
            "auth": ref(frames.Auth),
            "exchanges": exchanges,
            "pushes": [_listed(name, event, ref) for name, event in PUSHES.items()],
        },
        "/ws": {
            "description": "Text frames, each an envelope of JSON. Whoever brings no credential sends `auth` first."
            " `after` replays what was missed, or begins with `gap` when that is no longer known.",
            "envelope": ref(EventFrame),
            "auth": ref(frames.Auth),
            "pushes": [_listed(name, event, ref) for name, event in EVENTS.items()],
        },
    }


def _listed(name: str, event: Event, ref: Any) -> dict[str, Any]:
    return {"event": name, "description": event.text, "data": ref(event.shape)}
