"""How much of everything `bench production` does."""

from benches.steps import Effort


class ProductionSizes(Effort, frozen=True, kw_only=True):
    """How much of everything."""

    hosts: int = 100
    clients: int = 32
    jobs: int = 5000
    drained: int = 2000
    others: int = 1000  # hosts that nobody serves
    pending_each: int = 1000  # of their jobs
    echoes: int = 30_000
    kills: int = 3  # of an owner, in each round


QUICK_PRODUCTION = ProductionSizes(
    rounds=1, tries=1, patience_seconds=0, jobs=500, drained=400, others=100, pending_each=100, echoes=3000, kills=1
)
