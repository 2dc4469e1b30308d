"""Where a job stands, and who is asked about it: the actor of its host, or its org's supervisor while it has none."""

from collections.abc import Iterable

from actors import messages
from actors.host_state import SEEN_SAVED_EVERY
from actors.pool_waits import Census, wait_in_pool
from interlock.errors import InvalidState, NotFound, Unavailable
from interlock.ids import is_id
from interlock.states import JobStatus
from interlock.wire import Wait
from store.fleet import host_sight
from store.jobs import FullJob, instance_of_job, statuses_of
from store.labels import ANY_HOST
from store.pool import count_hosts, place_of_job
from web.access import Member
from web.services import Services

MOST_MOVES = 5  # of a job between its pool and hosts, while somebody asks about it


async def place_of(s: Services, who: Member, job_id: str) -> tuple[str | None, str | None]:
    """The host that has the job, or had it last, and the labels of a pool job; `NotFound` when it is not the org's."""
    found = await s.store.fetch(lambda db: place_of_job(db, job_id)) if is_id(job_id) else None
    if found is None or found[0] != who.org_id:
        raise NotFound("No such job")
    return found[1], found[2]


async def cancel(s: Services, who: Member, message: messages.CancelJob) -> bool:
    """Whether it is CANCELLED now; else its agent is being asked. Asked again where it has just gone."""
    for _ in range(MOST_MOVES):
        host_id, _labels = await place_of(s, who, message.job_id)
        try:
            done: bool
            if host_id is None:
                done = await s.directory.ask_org(who.org_id, message)
            else:
                done = await s.directory.ask(host_id, message)
        except NotFound:
            if host_id is not None and await _is_deleted(s, who, host_id):
                return await _was_cancelled(s, who, message.job_id)
            continue  # it has gone back to its pool, or to another host, meanwhile
        return done
    raise Unavailable("The job is just being moved; ask again")


async def retry(s: Services, who: Member, message: messages.RetryJob) -> None:
    """A pool job that is tried afresh goes back to its pool; the supervisor sees to that."""
    host_id, labels = await place_of(s, who, message.job_id)
    if labels is not None or host_id is None:
        await s.directory.ask_org(who.org_id, message)
        return
    if await _is_deleted(s, who, host_id):
        status = await _status_of(s, who, message.job_id)
        raise InvalidState("The job's host has been deleted: it cannot be tried again", current={"status": status})
    about, place = await s.store.fetch(lambda db: instance_of_job(db, message.job_id))
    if about is not None and place != host_id:
        what = "has been deleted" if place is None else "is on another host now"
        status = await _status_of(s, who, message.job_id)
        raise InvalidState(f"The job's server instance {what}: make a new job", current={"status": status})
    s.directory.supervisor(who.org_id).moves.check(about, host_id)
    await s.directory.ask(host_id, message)


async def _is_deleted(s: Services, who: Member, host_id: str) -> bool:
    """Whether the host is gone; then all of its jobs have ended."""
    return await s.store.fetch(lambda db: host_sight(db, who.org_id, host_id)) is None


async def _was_cancelled(s: Services, who: Member, job_id: str) -> bool:
    """True, or `InvalidState` for a job that has ended otherwise."""
    status = await _status_of(s, who, job_id)
    if status != JobStatus.CANCELLED:
        raise InvalidState(f"The job has ended: {status}", current={"status": status})
    return True


async def _status_of(s: Services, who: Member, job_id: str) -> str:
    found = await s.store.fetch(lambda db: statuses_of(db, who.org_id, [job_id]))
    if job_id not in found:
        raise NotFound("No such job")
    return found[job_id]


async def waits_in_pool(
    s: Services, org_id: str, jobs: Iterable[FullJob], *, one: bool = False
) -> dict[str, Wait | None]:
    """Why those of these jobs wait that have no host, by their ids. `one`: the place in line is of interest too."""
    waiting = [full for full in jobs if full.job.host_id is None and full.job.status is JobStatus.PENDING]
    if not waiting:
        return {}
    now = s.clock.now()
    seen_since = now - s.limits.offline_after_ms - SEEN_SAVED_EVERY
    hosts = await s.store.fetch(lambda db: count_hosts(db, org_id, seen_since, now))
    memory = s.directory.supervisor(org_id).pool.memory
    census = Census(hosts, memory.idle_labels)
    if not one:
        return {full.job.id: wait_in_pool(full.job, full.runs[-1], census, None) for full in waiting}
    return {
        job.id: wait_in_pool(
            job,
            runs[-1],
            census,
            memory.position(job.id),
            turned_down=memory.is_turned_down(job.id, job.labels or ANY_HOST),
        )
        for job, runs in ((full.job, full.runs) for full in waiting)
    }
