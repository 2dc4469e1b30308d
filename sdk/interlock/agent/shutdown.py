"""How urgently the agent is to end. Each request makes it one step more urgent."""

import asyncio


class Shutdown:
    """First request: take no more work, let the run finish. Second: end the run now. Third: without grace."""

    def __init__(self) -> None:
        self.draining = asyncio.Event()
        self.stopping = asyncio.Event()
        self.killing = asyncio.Event()

    def request(self) -> None:
        """One step further; what lies beyond the third is the same."""
        for step in (self.draining, self.stopping, self.killing):
            if not step.is_set():
                step.set()
                return
