"""What a job asks a machine to do."""

import random

import msgspec

from actors.policies import Policy
from interlock.retry import Backoff
from web.job_types import TypeDefinition

_SOON = Backoff(base_seconds=0.3)
# The organization's own job types: retried soon; holding their host until then; not repeated when nobody knows.
QUICK, HOLDING, ONCE = "CHAOS_QUICK", "CHAOS_HOLDING", "CHAOS_ONCE"
TYPES = {
    QUICK: TypeDefinition(policy=Policy(backoff=_SOON)),
    HOLDING: TypeDefinition(policy=Policy(backoff=_SOON, while_backing_off="hold")),
    ONCE: TypeDefinition(policy=Policy(backoff=_SOON, on_lost="fail")),
}
WEIGHTS = (0.8, 0.1, 0.1)


class Work(msgspec.Struct, frozen=True, kw_only=True):
    """A job's payload."""

    tag: str
    ms: int = 10  # how long it takes
    end: str = "success"  # or failed, rejected
    fails: int = 0  # so many attempts fail first
    stubborn: bool = False  # does not stop when asked to


SLOW = 0.03  # shares of all jobs
STUBBORN = 0.01
FAILING = 0.06
HOPELESS = 0.01
REJECTED = 0.01


def draw(tag: str, chance: random.Random) -> Work:
    """Mostly short and successful; some slow, some that do not stop, some that fail once, twice or for good."""
    dice = chance.random()
    ms = chance.randint(5, 60)
    if dice < STUBBORN:
        return Work(tag=tag, ms=chance.randint(2000, 5000), stubborn=True)
    if dice < STUBBORN + SLOW:
        ms = chance.randint(500, 3000)
    dice = chance.random()
    if dice < HOPELESS:
        return Work(tag=tag, ms=ms, end="failed")
    if dice < HOPELESS + REJECTED:
        return Work(tag=tag, ms=ms, end="rejected")
    return Work(tag=tag, ms=ms, fails=chance.choice((1, 1, 2)) if dice < HOPELESS + REJECTED + FAILING else 0)
