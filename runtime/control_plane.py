"""The one place that builds, starts and stops. Start in order and wait until started; stop in reverse; twice is harmless."""

import asyncio
import logging
import os
import socket
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Any

from aiohttp import web

from actors import Directory, Surroundings
from actors.messages import RunDue
from interlock.clock import SystemClock
from interlock.errors import InterlockError
from interlock.ids import UuidIds
from runtime.asset_store import AssetFolder
from runtime.cluster import Cluster, Times
from runtime.data_folder import note_database
from runtime.endings import end
from runtime.figures import make_metrics
from runtime.redis_parts import Parts, build_parts
from runtime.request_limits import rates_for
from runtime.retention import Retention
from runtime.rotation import SecretWatch, older_signing_secrets
from runtime.secret import signing_secret
from runtime.settings import Settings
from runtime.sweep import Sweep
from runtime.watch import Watch
from store import Store, open_database
from store.claims import hosts_with_live_runs
from store.database import DataDirectory
from store.probe import write_probe
from store.writer import CommitterElsewhere, Writer
from web.app import make_app
from web.configs import Configs
from web.edge import EdgeRunner, Patience
from web.followers import Followers
from web.idempotency import Idempotency
from web.issuer_keys import IssuerKeys
from web.key_fetch import fetch_from
from web.links import Links
from web.lookups import Lookups
from web.passwords import Passwords
from web.revocations import Revocations
from web.services import Services, WebLimits
from web.sessions import Sessions
from web.sign_in_limits import SignIns
from web.tokens import Tokens
from web.uploads import Uploads

log = logging.getLogger(__name__)

BACKLOG = 1024  # connections that may wait to be accepted: a whole fleet may come back at once


class CannotStart(InterlockError):
    """The server cannot start; the sentence says why and what to do."""

    title = "The server cannot start"


class ControlPlane:
    """A whole server on its embedded default, or on PostgreSQL."""

    def __init__(self, settings: Settings, writer: Writer | None = None) -> None:
        self.settings = settings
        self._writer = writer
        self.url = ""
        self._folder = DataDirectory(settings.data_path)
        self._clock = SystemClock()
        self._ids = UuidIds()
        self._assets = AssetFolder(settings.asset_path, self._clock, self._ids, alone=settings.is_embedded)
        self._held = AsyncExitStack()  # how what is there is let go
        self.services: Services
        self._parts: Parts
        self._cluster: Cluster | None = None
        self._issuer_keys: IssuerKeys | None = None
        self._sweep: Sweep
        self._retention: Retention
        self._config_watch: Watch
        self._secret_watch: SecretWatch
        self._key_watch: Watch | None = None
        self._runner: EdgeRunner | None = None

    async def start(self) -> None:
        """Up to answering requests; raises an `InterlockError` that says what is in the way."""
        settings, loop = self.settings, asyncio.get_running_loop()
        self._folder.create()
        database = open_database(settings.url_of_database)
        self._held.callback(self._folder.unlock)
        if settings.is_embedded:
            self._folder.lock()
        note_database(settings)
        owner = f"{socket.gethostname()[:40]}:{os.getpid()}:{self._ids.new()}"
        url, writer = settings.url_of_database, self._writer
        elsewhere = None if writer is None else CommitterElsewhere(database, owner, writer, url)
        store = Store(database, owner, read_threads=settings.read_threads, elsewhere=elsewhere)
        for name in await asyncio.to_thread(store.start, loop):
            log.info("Migration %s applied", name)
        self._hold("store", lambda: asyncio.to_thread(store.stop))
        known = await store.change(lambda database: _secrets(settings, database))
        self._build(store, owner, *known)
        self._hold_all()
        await asyncio.to_thread(self._assets.start)
        await self._parts.start()
        if self._cluster is not None:
            await self._cluster.start()
            self._config_watch.start()
        self._secret_watch.start()
        if self._issuer_keys is not None and self._key_watch is not None:
            await self._issuer_keys.look()
            self._key_watch.start()
        if self.services.request_rates is not None:
            await self.services.request_rates.start()
        await self._bring_back()
        await self._listen()

    def _hold(self, name: str, stop: Callable[[], Awaitable[object]]) -> None:
        """It will be stopped, before all that is held already and whatever becomes of others."""

        async def let_go() -> None:
            try:
                await stop()
            except Exception:
                log.exception("The %s could not be stopped", name)
                raise

        self._held.push_async_callback(let_go)

    def _hold_all(self) -> None:
        """All of them can be stopped before they were started."""
        s, lag = self.services, asyncio.create_task(self.services.metrics.watch_loop(), name="loop-lag")
        self._hold("assets", lambda: asyncio.to_thread(self._assets.stop))
        self._hold("passwords", lambda: asyncio.to_thread(s.passwords.stop))
        if self._cluster is not None:
            self._hold("cluster", self._cluster.stop)
        self._hold("watch of the loop", lambda: end(lag))
        self._hold("link to Redis", self._parts.stop)
        self._hold("alarms", lambda: asyncio.to_thread(self._parts.alarms.stop))
        if s.request_rates is not None:
            self._hold("count of requests", s.request_rates.stop)
        if self._key_watch is not None:
            self._hold("key-watch", self._key_watch.stop)
        self._hold("secret-watch", self._secret_watch.stop)
        self._hold("config-watch", self._config_watch.stop)
        self._hold("sweep", self._sweep.stop)
        self._hold("retention", self._retention.stop)
        self._hold("edge", self._end_requests)

    def _build(self, store: Store, owner: str, secret: bytes, older: tuple[bytes, ...]) -> None:
        settings = self.settings
        directory = self._build_actors(store, owner)
        self._sweep = Sweep(
            store, directory, self._parts.alarms, self._clock, settings.sweep_seconds, cluster=self._cluster
        )
        self.services = self._build_services(store, directory, secret, older)
        self._build_watches(store)

    def _build_actors(self, store: Store, owner: str) -> Directory:
        """What the actors need, and the directory that finds them."""
        settings, loop, clock = self.settings, asyncio.get_running_loop(), self._clock
        times = Times(settings.node_lease_seconds, settings.node_look_seconds)
        cluster = self._cluster = None if settings.is_embedded else Cluster(store, clock, owner, times)
        parts = self._parts = build_parts(
            settings,
            clock,
            owner,
            due=lambda host_id: directory.tell(host_id, RunDue()),
            on_ring=lambda host_id: directory.rung(host_id),  # noqa: PLW0108 - the directory is made below
            on_doubt=None if cluster is None else cluster.doubt,
        )
        around = Surroundings(
            scheduler=loop,
            clock=clock,
            ids=self._ids,
            journal=store.journal,
            reader=store,
            events=parts.streams,
            limits=settings.limits(),
            ownership=cluster,
        )
        around.alarms = parts.alarms
        directory = Directory(around, loop, owner, started_at=clock.now())
        if cluster is not None:
            cluster.directory, cluster.bell, cluster.on_trust = directory, parts.doorbells, self._trusted
        return directory

    def _build_services(self, store: Store, directory: Directory, secret: bytes, older: tuple[bytes, ...]) -> Services:
        """What the routes need."""
        settings, clock, parts = self.settings, self._clock, self._parts
        trusted_ms = round(settings.lookup_cache_seconds * 1000)
        lookups, links = Lookups(store, clock, trusted_ms), Links(settings.sockets())
        issuer = settings.issuer()
        keys = self._issuer_keys = None if issuer is None else IssuerKeys(issuer, fetch_from(issuer), time.monotonic)
        return Services(
            store=store,
            directory=directory,
            clock=clock,
            ids=self._ids,
            limits=settings.limits(),
            web_limits=_web_limits(settings),
            tokens=Tokens(secret, clock, older, limits=settings.token_limits(), issuer=issuer, keys=keys),
            lookups=lookups,
            configs=Configs(store, clock, trusted_ms, lambda: links),
            links=links,
            revocations=Revocations(store, lookups, clock),
            sessions=Sessions(store, lookups, clock, settings.front(), settings.session_limits()),
            passwords=_passwords(settings),
            sign_ins=SignIns(clock, settings.attempts()),
            streams=parts.streams,
            followers=Followers(parts.streams),
            assets=self._assets,
            uploads=Uploads(settings.max_uploads, settings.max_uploads_per_org),
            idempotency=Idempotency(store, clock, self._ids),
            metrics=make_metrics(store, directory, parts, self._sweep, settings.data_path),
            cluster=self._cluster,
            request_rates=rates_for(settings, clock),
            device_limits=settings.device_limits(),
        )

    def _build_watches(self, store: Store) -> None:
        """What looks again and again, beside the sweep."""
        settings, s = self.settings, self.services
        if self._issuer_keys is not None:
            self._key_watch = Watch("key-watch", settings.jwks_retry_seconds, self._issuer_keys.look)
        self._retention = Retention(
            store,
            settings.retention(),
            self._clock,
            settings.asset_path,
            settings.retention_every_seconds,
            embedded=settings.is_embedded,
        )
        s.metrics.counters += self._retention.counters
        self._config_watch = Watch("config-watch", settings.node_look_seconds, s.configs.look)
        self._secret_watch = SecretWatch(store, settings, s.tokens)

    def _trusted(self, trusted: bool) -> None:
        """A node that has lost its database says so to its load balancer."""
        ready = self.services.ready
        if trusted and self.url:
            ready.set()
        elif not trusted:
            ready.clear()

    async def _bring_back(self) -> None:
        """The actors of hosts that held a run when the last server ended; then the clocks start to run."""
        s = self.services
        s.directory.activate(await s.store.fetch(hosts_with_live_runs))
        self._parts.alarms.start()
        self._sweep.start()
        self._retention.start()
        await s.directory.all_claimed()

    async def _listen(self) -> None:
        s, settings = self.services, self.settings
        runner = self._runner = EdgeRunner(
            make_app(s),
            patience=Patience(*settings.patience()),
            shutdown_timeout=settings.shutdown_seconds,
            handle_signals=False,
        )
        await runner.setup()
        site = web.TCPSite(runner, settings.host, settings.port, backlog=BACKLOG)
        try:
            await site.start()
        except OSError as error:
            raise CannotStart(f"{settings.host}:{settings.port} cannot be listened on: {error.strerror}") from error
        host, port = runner.addresses[0][:2]
        self.url = f"http://{host}:{port}"
        if self._cluster is not None:
            await self._cluster.listens(settings.node_url or self.url)
        s.ready.set()

    async def stop(self) -> None:
        """Answer parked polls, let requests end, write what was decided, let go. Each part is stopped whatever becomes of the
        others; what went wrong is logged, and raised by a server that had started. Twice does no harm.
        """
        try:
            await self._held.aclose()
        except Exception:
            if self.url:
                raise

    async def _end_requests(self) -> None:
        s = self.services
        s.stopping.set()
        s.directory.close()
        s.streams.wake_all()
        if self._runner is not None:
            await self._runner.cleanup()


def _secrets(settings: Settings, database: Any) -> tuple[bytes, tuple[bytes, ...]]:
    """The signing secret, and older ones that are still accepted. A full disk is found out now, not by the first job: what can only be read is not served."""
    write_probe(database)
    return signing_secret(settings, database), older_signing_secrets(settings, database)


def _web_limits(settings: Settings) -> WebLimits:
    return WebLimits(
        max_body_bytes=settings.max_body_bytes,
        max_batch_bytes=settings.max_batch_bytes,
        max_batch_jobs=settings.max_batch_jobs,
        max_payload_bytes=settings.max_payload_bytes,
        max_schema_bytes=settings.max_schema_bytes,
        max_schema_checks=settings.max_schema_checks,
        max_job_types=settings.max_job_types,
        max_json_depth=settings.max_json_depth,
        job_wait_max_seconds=settings.job_wait_max_seconds,
        job_waiters=settings.job_waiters,
        job_waiters_per_org=settings.job_waiters_per_org,
        max_log_line_bytes=settings.max_log_line_bytes,
        max_evidence_items=settings.max_evidence_items,
        max_evidence_item_bytes=settings.max_evidence_item_bytes,
        max_asset_bytes=settings.max_asset_bytes,
        max_assets_per_job=settings.max_assets_per_job,
        max_asset_bytes_per_job=settings.max_asset_bytes_per_job,
        max_asset_bytes_per_org=settings.max_asset_bytes_per_org,
        journal_queue=settings.journal_queue,
        creates=settings.creates(),
        retry_after_seconds=settings.retry_after_seconds,
        answer_seconds=settings.answer_seconds,
        access_log_share=settings.access_log_share,
        socket_auth_seconds=settings.socket_auth_seconds,
    )


def _passwords(settings: Settings) -> Passwords:
    return Passwords(
        settings.password_cost(),
        threads=settings.password_threads,
        waiting=settings.password_queue,
        least=settings.password_length,
    )
