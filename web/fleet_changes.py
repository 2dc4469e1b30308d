"""Changes to an organization's fleet: each in the audit trail, and at once known to the hosts' owners."""

import logging
from collections.abc import Callable
from typing import Any, TypeVar

from actors.messages import Caller
from interlock.errors import InterlockError
from interlock.wire import OrgEvent
from store.accounts import By
from web.services import Services

log = logging.getLogger(__name__)

Result = TypeVar("Result")


async def change(s: Services, caller: Caller, work: Callable[[Any, By], Result]) -> Result:
    """The result of `work(database, by)` in a transaction of its own."""
    by = By(caller.kind, caller.id, s.clock.now(), s.ids.new(), caller.request_id, caller.address)
    return await s.store.change(lambda database: work(database, by))


def tell_watchers(
    s: Services,
    org_id: str,
    what: str,
    thing_id: str | None = None,
    *,
    version: int | None = None,
    deleted: bool = False,
) -> None:
    """A change is committed: dashboards of the org hear `org.changed`, as `OrgEvent` says."""
    event = OrgEvent(what=what, id=thing_id, version=version, deleted=deleted)
    s.streams.publish(org_id, "org.changed", event)


async def tell_owner(s: Services, host_id: str) -> None:
    """The host's row has changed: its actor reads it, here before this returns, or at the node that owns the host."""
    try:
        await s.directory.changed(host_id)
    except InterlockError as error:
        log.warning(
            "Host %s could not be looked at after a change: %s", host_id, error.detail, extra={"host": host_id}
        )  # it will look again
    cluster = s.cluster
    if cluster is not None and not s.directory.holds(host_id):
        owner = await s.store.fetch(lambda database: cluster.owner_of(database, host_id))
        if owner is not None:
            cluster.ring(owner, host_id)
