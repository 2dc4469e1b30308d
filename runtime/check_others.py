"""The doctor's look at what is beside the database and the machine: Redis, the settings together, a running server."""

import ipaddress
import socket
import urllib.error
import urllib.request
from collections.abc import Iterator
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import urlsplit

import redis

from interlock.clock import Clock, Millis
from runtime.check_database import NEAR_MS, clock_finding
from runtime.findings import Finding, fail, ok, warn
from runtime.settings import Settings

SECONDS = 5.0  # that a server may take to answer
OLDEST_REDIS = 6


def check_redis(settings: Settings) -> Iterator[Finding]:
    """Is it there, and does it keep what it is given."""
    if not settings.redis_url:
        return
    advice = "See that it runs, and that `redis_url` is right. Until then the sweep stands in for alarms."
    try:
        with redis.Redis.from_url(
            settings.redis_url, socket_timeout=SECONDS, socket_connect_timeout=SECONDS, decode_responses=True
        ) as client:
            about: Any = client.info()
    except (redis.RedisError, ValueError, OSError) as error:
        yield fail("redis", f"Redis does not answer: {error}", advice)
        return
    yield from redis_findings(about)


def redis_findings(about: dict[str, Any]) -> Iterator[Finding]:
    """What `INFO` says of it."""
    version, policy = str(about.get("redis_version", "0")), about.get("maxmemory_policy", "noeviction")
    if int(version.partition(".")[0]) < OLDEST_REDIS:
        yield fail("redis", f"Redis {version} is too old", f"Use {OLDEST_REDIS} or newer.")
    elif policy != "noeviction":
        text = f"Redis {version} throws away what it holds when it is full ({policy})"
        yield warn("redis", text, "CONFIG SET maxmemory-policy noeviction")
    elif about.get("role", "master") != "master":
        yield fail("redis", f"Redis {version} is a replica", "Let `redis_url` name the primary.")
    else:
        yield ok("redis", f"Redis {version} answers")


def check_settings(settings: Settings) -> Iterator[Finding]:
    """Do they fit together; each by itself was checked when it was read."""
    found = [*_of_browsers(settings), *_of_several_servers(settings)]
    yield from found or [ok("settings", "they fit together")]


def _of_browsers(settings: Settings) -> Iterator[Finding]:
    outside = not is_loopback(settings.host)
    public = urlsplit(settings.public_url)
    if outside and not settings.public_url:
        text = f"the server listens on {settings.host}, and `public_url` is not set"
        yield warn("settings", text, "Set it to where browsers reach it: links and checks of origins rest on it.")
    if public.scheme == "http" and not is_loopback(public.hostname or ""):
        text = "`public_url` is not https: passwords, keys and cookies travel in the open"
        yield warn("settings", text, "Put a proxy with TLS before it.")
    if public.scheme == "https" and not settings.trusted_proxies:
        text = "`public_url` is https, which a proxy must speak, and `trusted_proxies` is not set"
        yield warn("settings", text, "Name the proxy: else all requests seem to come from its address.")


def _of_several_servers(settings: Settings) -> Iterator[Finding]:
    if settings.is_embedded:
        return
    if not settings.asset_dir:
        text = "with PostgreSQL there may be several servers, and `asset_dir` is not set"
        yield warn("settings", text, "Set it to a folder that they share: else a file is on one of them alone.")
    if not settings.node_url and settings.host in {"0.0.0.0", "::", ""}:  # noqa: S104 - it is looked for, not used
        text = f"the server listens on {settings.host}, and `node_url` is not set"
        yield warn("settings", text, "Set it to where other servers reach this one.")


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches that host."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def check_server(url: str, clock: Clock) -> Iterator[Finding]:
    """A running server: is it ready, and is its clock right."""
    if urlsplit(url).scheme not in {"http", "https"}:
        yield fail("server", f"{url} is no http:// or https:// address", "Give the server's address with --url.")
        return
    before = clock.now()
    try:
        with urllib.request.urlopen(f"{url.rstrip('/')}/readyz", timeout=SECONDS) as answer:  # noqa: S310 - looked at above
            status, said = answer.status, answer.headers.get("Date")
    except urllib.error.HTTPError as error:
        with error:
            status, said = error.code, error.headers.get("Date")
    except (OSError, ValueError, socket.gaierror) as error:
        reason = getattr(error, "reason", error)
        yield fail("server", f"{url} does not answer: {reason}", "Start it, or see what is between.")
        return
    if status == 200:  # noqa: PLR2004 - HTTP's
        yield ok("server", f"{url} is ready")
    else:
        yield fail("server", f"{url}/readyz answers {status}", "Its log says why: often the database is away.")
    yield from _its_clock(said, (before + clock.now()) // 2)


def _its_clock(said: str | None, now: Millis) -> Iterator[Finding]:
    try:
        theirs = parsedate_to_datetime(said or "").timestamp()
    except (TypeError, ValueError):
        return
    away = round(theirs * 1000) + 500 - now  # the header has whole seconds
    yield clock_finding("server-clock", "the server's clock", away if abs(away) > NEAR_MS else 0)
