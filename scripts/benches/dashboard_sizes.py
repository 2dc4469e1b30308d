"""How much of everything `bench dashboard` does."""

from benches.steps import Effort


class DashboardSizes(Effort, frozen=True, kw_only=True):
    """How much of everything."""

    rounds: int = 1
    hosts: int = 1000  # each with one job: as many rows, cards and cells
    clients: int = 32
    events: int = 200  # a second
    opened: int = 9  # cold loads of each page; the median counts
    seconds: float = 30.0  # of events for each page by itself
    minutes: float = 10.0  # of events for all pages at once, while their memory is looked at


QUICK_DASHBOARD = DashboardSizes(patience_seconds=0, opened=3, seconds=5.0, minutes=1.0)
