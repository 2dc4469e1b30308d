"""Looking at something every so often."""

import asyncio
import logging
from collections.abc import Awaitable, Callable

from interlock.errors import InterlockError

log = logging.getLogger(__name__)


async def keep_looking(name: str, every_seconds: float, look: Callable[[], Awaitable[object] | None]) -> None:
    """Look until cancelled, first after a pause; a look that fails is logged and the next one comes anyway."""
    while True:
        await asyncio.sleep(every_seconds)
        try:
            found = look()
            if found is not None:
                await found
        except InterlockError as error:
            log.warning("The %s could not look: %s", name, error.detail)
        except Exception:
            log.exception("A look of the %s failed", name)
