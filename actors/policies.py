"""How jobs of a type retry. Frozen into the job when it is created, so that a later edit changes no job under way."""

from functools import lru_cache
from typing import Literal

import msgspec

from interlock.retry import Backoff


class Policy(msgspec.Struct, frozen=True, rename="camel"):
    """What a job type says of its attempts."""

    backoff: Backoff = Backoff()
    while_backing_off: Literal["overtake", "hold"] = "overtake"
    on_lost: Literal["retry", "fail"] = "retry"


DEFAULT = Policy()


@lru_cache(maxsize=1024)
def policy_of(text: str | None) -> Policy:
    """The policy that a job carries as JSON text; None is the default."""
    return DEFAULT if text is None else msgspec.json.decode(text, type=Policy)


def text_of(policy: Policy) -> str | None:
    """The policy as a job carries it."""
    return None if policy == DEFAULT else msgspec.json.encode(policy).decode()
