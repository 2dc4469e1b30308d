"""How much of everything `bench sockets` does."""

from benches.steps import Effort


class SocketSizes(Effort, frozen=True, kw_only=True):
    """How much of everything."""

    hosts: int = 100
    clients: int = 8  # connections that create jobs in batches
    batch: int = 100
    jobs: int = 20_000
    pool_jobs: int = 20_000
    echoes: int = 100_000
    idle: int = 1000  # connections that only sit there, beside `hosts` others; agents in the storm too
    cancels: int = 300  # rounded up to a multiple of `hosts`
    dashboards: int = 100
    watched: int = 8000  # jobs while dashboards watch: more events than a server remembers


QUICK_SOCKETS = SocketSizes(
    rounds=1,
    tries=1,
    patience_seconds=0,
    jobs=1000,
    pool_jobs=500,
    echoes=5000,
    idle=200,
    cancels=100,
    dashboards=20,
    watched=1000,
)
