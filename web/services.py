"""What the handlers are given: one value, built by the composition root."""

import asyncio
from dataclasses import dataclass, field

from aiohttp import web

from actors import Directory, Limits
from interlock.clock import Clock
from interlock.ids import Ids
from store import Store
from web.gate import BOUNDS, Bounds
from web.idempotency import Idempotency
from web.lookups import Lookups
from web.metrics import Metrics
from web.ports import ClusterPort, EventStreamsPort
from web.tokens import Tokens


@dataclass(frozen=True, slots=True)
class WebLimits:
    """Bounds on what comes from outside; described in `runtime/settings.py`."""

    max_body_bytes: int = 1_048_576
    max_batch_bytes: int = 16_777_216
    max_batch_jobs: int = 1000
    max_payload_bytes: int = 262_144
    max_json_depth: int = 64
    max_log_line_bytes: int = 16_384
    journal_queue: int = 20_000
    creates: Bounds = BOUNDS
    retry_after_seconds: float = 2.0
    answer_seconds: float = 10.0
    socket_auth_seconds: float = 5.0


@dataclass(slots=True)
class Services:
    """Everything a handler may call."""

    store: Store
    directory: Directory
    clock: Clock
    ids: Ids
    limits: Limits
    web_limits: WebLimits
    tokens: Tokens
    lookups: Lookups
    streams: EventStreamsPort
    idempotency: Idempotency
    metrics: Metrics
    cluster: ClusterPort | None = None  # None: this process is alone
    ready: asyncio.Event = field(default_factory=asyncio.Event)
    stopping: asyncio.Event = field(default_factory=asyncio.Event)


SERVICES: web.AppKey[Services] = web.AppKey("services", Services)
