"""What the handlers are given: one value, built by the composition root."""

import asyncio
from dataclasses import dataclass, field

from aiohttp import web

from actors import Directory, Limits
from interlock.clock import Clock
from interlock.fleet import Config
from interlock.ids import Ids
from store import Store
from web.configs import Configs
from web.device_polls import DeviceLimits, Polls
from web.followers import Followers
from web.gate import BOUNDS, Bounds
from web.idempotency import Idempotency
from web.links import Links
from web.lookups import Lookups
from web.metrics import Metrics
from web.passwords import Passwords
from web.ports import AssetStorePort, ClusterPort, EventStreamsPort
from web.request_limits import RequestRates
from web.revocations import Revocations
from web.sessions import Sessions
from web.sign_in_limits import SignIns
from web.tokens import Tokens
from web.uploads import Uploads


@dataclass(frozen=True, slots=True)
class WebLimits:
    """Bounds on what comes from outside; described in `runtime/settings.py`."""

    max_body_bytes: int = 1_048_576
    max_batch_bytes: int = 16_777_216
    max_batch_jobs: int = 1000
    max_payload_bytes: int = 262_144
    max_schema_bytes: int = 65_536
    max_schema_checks: int = 500_000
    max_job_types: int = 500
    max_json_depth: int = 64
    job_wait_max_seconds: float = 50.0
    job_waiters: int = 1000
    job_waiters_per_org: int = 200
    max_log_line_bytes: int = 16_384
    max_asset_bytes: int = 67_108_864
    max_assets_per_job: int = 1000
    max_asset_bytes_per_job: int = 536_870_912
    max_asset_bytes_per_org: int = 0
    max_evidence_items: int = 1000
    max_evidence_item_bytes: int = 65_536
    journal_queue: int = 20_000
    creates: Bounds = BOUNDS
    retry_after_seconds: float = 2.0
    answer_seconds: float = 10.0
    access_log_share: float = 0.0
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
    configs: Configs
    links: Links
    revocations: Revocations
    sessions: Sessions
    passwords: Passwords
    sign_ins: SignIns
    streams: EventStreamsPort
    followers: Followers
    assets: AssetStorePort
    uploads: Uploads
    idempotency: Idempotency
    metrics: Metrics
    cluster: ClusterPort | None = None  # None: this process is alone
    request_rates: RequestRates | None = None  # None: requests are not counted
    device_limits: DeviceLimits = field(default_factory=DeviceLimits)
    device_polls: Polls = field(default_factory=Polls)
    ready: asyncio.Event = field(default_factory=asyncio.Event)
    stopping: asyncio.Event = field(default_factory=asyncio.Event)

    async def config_of(self, org_id: str) -> Config:
        """What the org's agents get as `config`, with its version; see `Configs.of`."""
        return await self.configs.of(org_id)


SERVICES: web.AppKey[Services] = web.AppKey("services", Services)
