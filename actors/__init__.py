"""The actors: one per host, with a pending line and one current slot, and a supervisor per org that routes to them."""

from actors.directory import Directory
from actors.host import HostActor
from actors.limits import Limits
from actors.loop_actor import LoopActor, LoopFuture
from actors.org import OrgSupervisor
from actors.surroundings import Surroundings

__all__ = ["Directory", "HostActor", "Limits", "LoopActor", "LoopFuture", "OrgSupervisor", "Surroundings"]
