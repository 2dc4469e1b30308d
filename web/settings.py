"""An organization's settings, for its people and for its agents."""

import msgspec
from aiohttp import web

from actors.documents import encode
from interlock.errors import InvalidRequest, PayloadTooLarge
from interlock.fleet import CONNECTORS, PLATFORM, Config, Connector, PutSettings, Scalar
from store.accounts import By
from store.settings import put_setting
from web.access import Agent, Member
from web.conditions import also_expecting, expected_versions, tag_of, unchanged
from web.configs import config_from
from web.fleet_changes import tell_watchers
from web.parsing import decode, read_json
from web.services import Services

MAX_KEYS = 100  # of `platform`
MAX_CONNECTORS = 100
MAX_NAME = 100  # characters of a key or of a connector's id
MAX_TITLE = 200  # characters of a connector's name
MAX_TEXT = 4096  # characters of a value

_put = msgspec.json.Decoder(PutSettings)


async def show(request: web.Request, s: Services, who: Member) -> web.Response:
    """The org's settings, as they are now."""
    return _answer(request, await s.configs.read(who.org_id))


async def show_agent(request: web.Request, s: Services, who: Agent) -> web.Response:
    """The same, for an agent of the org."""
    return _answer(request, await s.configs.read(who.org_id))


async def put(request: web.Request, s: Services, who: Member) -> web.Response:
    """A whole new document, which every connected agent of the org is sent."""
    body = await read_json(request, s.web_limits.max_body_bytes)
    wanted = decode(body, _put, s.web_limits.max_json_depth)
    document = _document(wanted, s.web_limits.max_payload_bytes)
    expected = also_expecting(expected_versions(request), wanted.version)
    by = By(who.by.kind, who.by.id, s.clock.now(), s.ids.new(), who.by.request_id, who.by.address)
    setting = await s.store.change(lambda db: put_setting(db, who.org_id, document, by, expected))
    tell_watchers(s, who.org_id, "settings", version=setting.version)
    return _shown(s.configs.learn(who.org_id, config_from(setting)))


def _answer(request: web.Request, config: Config) -> web.Response:
    return unchanged(request, tag_of(config.version)) or _shown(config)


def _shown(config: Config) -> web.Response:
    headers = {"ETag": tag_of(config.version)}
    return web.Response(body=encode(config), content_type="application/json", headers=headers)


def _document(wanted: PutSettings, most_bytes: int) -> str:
    """As it is stored: with the keys that every agent finds, and within bounds."""
    platform = PLATFORM | _checked_platform(wanted.platform or {})
    connectors = CONNECTORS if wanted.connectors is None else _checked_connectors(wanted.connectors)
    text: bytes = encode({"platform": platform, "connectors": connectors})
    if len(text) > most_bytes:
        raise PayloadTooLarge(f"The settings may have {most_bytes} bytes")
    return text.decode()


def _checked_platform(platform: dict[str, Scalar]) -> dict[str, Scalar]:
    if len(platform) > MAX_KEYS:
        raise InvalidRequest.at("$.platform", f"up to {MAX_KEYS} keys")
    for key, value in platform.items():
        _check_name(key, "$.platform", "a key", MAX_NAME)
        if isinstance(value, str) and len(value) > MAX_TEXT:
            raise InvalidRequest.at(f"$.platform.{key}", f"up to {MAX_TEXT} characters")
    return platform


def _checked_connectors(connectors: list[Connector]) -> list[Connector]:
    if len(connectors) > MAX_CONNECTORS:
        raise InvalidRequest.at("$.connectors", f"up to {MAX_CONNECTORS} connectors")
    seen: set[str] = set()
    for place, connector in enumerate(connectors):
        path = f"$.connectors[{place}]"
        _check_name(connector.id, f"{path}.id", "an id", MAX_NAME)
        _check_name(connector.name, f"{path}.name", "a name", MAX_TITLE)
        if connector.id in seen:
            raise InvalidRequest.at(f"{path}.id", "another connector has this id")
        seen.add(connector.id)
    return connectors


def _check_name(text: str, path: str, what: str, most: int) -> None:
    if not 1 <= len(text) <= most or not text.isprintable() or not text.strip():
        raise InvalidRequest.at(path, f"{what} has 1 to {most} printable characters")
