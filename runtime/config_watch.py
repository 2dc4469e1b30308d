"""What other servers have changed of the organizations' settings, for the agents that are connected here."""

import asyncio
import logging

from interlock.errors import InterlockError
from web.configs import Configs

log = logging.getLogger(__name__)


class ConfigWatch:
    """Looks every so many seconds until stopped; a look that fails is logged and the next one comes anyway."""

    def __init__(self, configs: Configs, every: float) -> None:
        self._configs = configs
        self._every = every
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin."""
        self._task = asyncio.create_task(self._run(), name="config-watch")

    async def stop(self) -> None:
        """End; twice does no harm."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(self._every)
            try:
                await self._configs.look()
            except InterlockError as error:
                log.warning("The settings could not be looked at: %s", error.detail)
            except Exception:
                log.exception("A look at the settings failed")
