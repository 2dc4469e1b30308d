"""What counts requests, when a setting limits them: in this process, or in the Redis that servers share."""

from importlib import import_module
from typing import Any

from interlock.clock import Clock
from runtime.settings import Settings
from web.request_limits import RequestRates


def rates_for(settings: Settings, clock: Clock) -> RequestRates | None:
    """None when nothing is limited: the library is not even loaded then."""
    limits = settings.rates()
    if not limits.any:
        return None
    windows: Any = import_module("web.request_windows")
    shared: Any = None
    if settings.redis_url:
        counts: Any = import_module("web.request_counts")
        timeout, pause = settings.redis_timeout_seconds, settings.redis_retry_seconds
        shared = counts.SharedCounts(settings.redis_url, clock, timeout=timeout, pause=pause)
    made: RequestRates = windows.RequestWindows(limits, clock, shared)
    return made
