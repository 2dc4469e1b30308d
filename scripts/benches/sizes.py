"""How much of everything `bench fleet` does."""

import msgspec


class Sizes(msgspec.Struct, frozen=True, kw_only=True):
    """How much of everything."""

    rounds: int = 3
    tries: int = 2  # at most, for a step during which others were busy
    patience_seconds: float = 10.0  # at most, until others leave the machine alone before a step
    hosts: int = 100
    clients: int = 32
    jobs: int = 5000
    batch: int = 100
    drained: int = 2000
    others: int = 1000  # hosts that nobody serves
    pending_each: int = 100  # of their jobs
    dispatched: int = 300  # rounded up to a multiple of `hosts`
    echoes: int = 30_000
    idle: int = 10_000  # hosts that are brought to life for the memory's figure


QUICK = Sizes(
    rounds=1, tries=1, patience_seconds=0, jobs=500, drained=400, others=100, dispatched=100, echoes=3000, idle=1000
)
