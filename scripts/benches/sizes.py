"""How much of everything `bench fleet` does."""

from benches.steps import Effort


class Sizes(Effort, frozen=True, kw_only=True):
    """How much of everything."""

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
