"""Why jobs wait, for a whole page at once and from the rows alone: no actor is brought to life, so no place in line."""

from collections.abc import Mapping

from actors.waits import BY_HAND, offline, paused
from interlock.clock import Millis
from interlock.states import RunStatus
from interlock.wire import Wait, when
from store.jobs import FullJob, HostGlance
from store.rows import HELD


def wait_from_rows(full: FullJob, hosts: Mapping[str, HostGlance], now: Millis, offline_after: Millis) -> Wait | None:
    """The reason as far as the rows tell it."""
    run, host = full.runs[-1], hosts.get(full.job.host_id or "")
    if run.status is RunStatus.OFFERED:
        return Wait("offered", None, "Offered to the host's agent", when(run.offered_until))
    if run.status is RunStatus.SCHEDULED:
        return Wait("scheduled" if run.attempt == 1 else "backoff", None, "Not due yet", when(run.available_at))
    if full.job.rank == HELD:
        return Wait("held", None, BY_HAND)
    if run.status is not RunStatus.PENDING or host is None:
        return None
    return _of_host(host, now, offline_after)


def _of_host(host: HostGlance, now: Millis, offline_after: Millis) -> Wait:
    if host.paused and (host.paused_until is None or host.paused_until > now):
        return Wait("host_paused", None, paused(host.paused_by, host.note), when(host.paused_until))
    if host.draining:
        return Wait("host_draining", None, "The host is being drained: it takes nothing new")
    if host.unhealthy is not None:
        return Wait("host_unhealthy", None, f"Nothing is offered to the host: {host.unhealthy}")
    if host.busy:
        return Wait("host_busy", None, "The host runs another job")
    if host.awaiting_idle:
        return Wait("awaiting_idle", None, "The host's agent has yet to say that it is idle")
    if host.last_seen_at is None or host.last_seen_at + offline_after < now:
        return Wait("host_offline", None, offline(host.last_seen_at))
    return Wait("behind", None, "In line on its host")
