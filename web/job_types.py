"""What is known of a job's type: the built-in ones, and those that an org has defined."""

from functools import lru_cache

import msgspec

from actors.policies import Policy, text_of
from interlock.clock import Millis
from interlock.errors import PayloadSchema
from web.services import Services


class TypeDefinition(msgspec.Struct, frozen=True, kw_only=True):
    """How jobs of a type are run."""

    timeout_ms: Millis | None = None  # None: the server's setting
    max_attempts: int | None = None  # None: the server's setting
    policy: Policy = Policy()
    needs_target: bool = False  # it is about one machine
    needs_run_at: bool = False
    schema: str | None = None  # of the payload, as JSON text; None: any object

    @property
    def policy_text(self) -> str | None:
        """As a job carries it."""
        return text_of(self.policy)


_SERVER = TypeDefinition(needs_target=True)
_SEARCH = TypeDefinition()
# Posting twice is worse than not knowing whether it was posted: one attempt, and none when its outcome is unknown.
_PUBLISH = TypeDefinition(max_attempts=1, policy=Policy(on_lost="fail"))
_SCHEDULED = TypeDefinition(max_attempts=1, policy=Policy(on_lost="fail"), needs_run_at=True)

BUILT_IN: dict[str, TypeDefinition] = {
    "SERVER_START": _SERVER,
    "SERVER_STOP": _SERVER,
    "SERVER_RESTART": _SERVER,
    "SEARCH_SINGLE": _SEARCH,
    "SEARCH_BULK": _SEARCH,
    "google_maps": _SEARCH,
    "google_maps_search": _SEARCH,
    "PUBLISH_POST": _PUBLISH,
    "PUBLISH_VARIANT": _PUBLISH,
    "SCHEDULE_POST": _SCHEDULED,
}
MAX_NAME = 100  # characters


async def definition_of(s: Services, org_id: str, name: str) -> TypeDefinition:
    """The type's definition; `PayloadSchema` when there is none of that name."""
    built_in = BUILT_IN.get(name)
    if built_in is not None:
        changed = (await s.lookups.definitions_of_types(org_id, BUILT_IN)).get(name)
        return built_in if changed is None else read(changed)
    own = await s.lookups.definition_of_type(org_id, name) if len(name) <= MAX_NAME and name.isprintable() else None
    if own is None:
        raise PayloadSchema.at("$.type", f"there is no job type {name[:100]!r}")
    return read(own)


@lru_cache(maxsize=1024)
def read(definition: str) -> TypeDefinition:
    """The definition as its row has it, JSON text."""
    return msgspec.json.decode(definition, type=TypeDefinition)
