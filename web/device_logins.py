"""Signing in at a command line by way of a browser: it shows a code, somebody who is signed in types that at a page of ours
and says yes, and the command line takes a token, once.
"""

import re

import msgspec
from aiohttp import web

from actors.documents import encode
from interlock.clock import rfc3339, seconds
from interlock.errors import Forbidden, InvalidRequest, NotFound, Unauthenticated
from interlock.sessions import (
    AnswerDevice,
    AskingDevice,
    AskToSignIn,
    DeviceLogin,
    DeviceToken,
    LookAtDevice,
    TakeToken,
)
from store import device_logins as rows
from store.device_logins import DeviceRow
from web.access import caller
from web.fleet_changes import change
from web.front import place_of
from web.opaque import digest, new_code, new_secret
from web.parsing import decode, read_json
from web.services import Services
from web.sign_in import MAX_ADDRESS, NO_STORE, Visitor

PAGE = "/app/device"
BEGINS = "ild_"  # every secret of a device, so that nobody takes it for a token
LETTERS = "BCDFGHJKLMNPQRSTVWXZ"  # 20, without vowels and digits: no words, nothing to mistake (RFC 8628, 6.1)
LENGTH = 8  # 20 ** 8 codes: 35 bits
MAX_NAME = 100
MAX_TYPED = 50  # characters of a code, with what people put between

_ask = msgspec.json.Decoder(AskToSignIn)
_take = msgspec.json.Decoder(TakeToken)
_look = msgspec.json.Decoder(LookAtDevice)
_answer = msgspec.json.Decoder(AnswerDevice)


def shown_code(code: str) -> str:
    """As people read it: `BCDF-GHJK`."""
    return f"{code[: LENGTH // 2]}-{code[LENGTH // 2 :]}"


def typed_code(text: str) -> str:
    """The code that somebody has typed, whatever the case and what stands between; `InvalidRequest` for what is none."""
    code = re.sub(r"[\s-]", "", text[:MAX_TYPED]).upper()
    if not text.isascii() or len(code) != LENGTH or not set(code) <= set(LETTERS):
        raise InvalidRequest.at("$.userCode", f"a code has {LENGTH} letters, such as BCDF-GHJK")
    return code


async def begin(request: web.Request, s: Services, _: None) -> web.Response:
    """201: what the command line shows, and what it asks with from now on."""
    body = await read_json(request, s.web_limits.max_body_bytes)
    name = _name(decode(body, _ask, s.web_limits.max_json_depth).name)
    address = s.sessions.front.address(request)
    await s.sign_ins.enter(None, place_of(address))
    limits, secret = s.device_limits, BEGINS + new_secret()
    asks, code = _asks(s, name, address, secret)
    while not await _begins(s, asks):
        asks, code = _asks(s, name, address, secret)
    begun = DeviceLogin(
        device_code=secret,
        user_code=shown_code(code),
        verification_path=PAGE,
        expires_at=rfc3339(asks.expires_at),
        expires_in_seconds=seconds(limits.whole_ms),
        interval_seconds=seconds(limits.poll_ms),
    )
    return _json(begun, 201)


def _asks(s: Services, name: str, address: str | None, secret: str) -> tuple[DeviceRow, str]:
    """A row that begins to wait, and the code that it is found by."""
    code, now = new_code(LETTERS, LENGTH), s.clock.now()
    row = DeviceRow(
        id=s.ids.new(),
        device_hash=digest(secret),
        user_code_hash=digest(code),
        name=name,
        address=None if address is None else address[:MAX_ADDRESS],
        status=rows.WAITING,
        user_id=None,
        created_at=now,
        expires_at=now + s.device_limits.whole_ms,
    )
    return row, code


async def _begins(s: Services, asks: DeviceRow) -> bool:
    """Whether it waits now; its code may be another's by chance."""
    return await s.store.change(lambda db: rows.begin(db, asks, s.device_limits.at_once))


async def look(request: web.Request, s: Services, who: Visitor) -> web.Response:
    """Who asks with that code."""
    body = await read_json(request, s.web_limits.max_body_bytes)
    code = await _guessed(request, s, who, decode(body, _look, s.web_limits.max_json_depth).user_code)
    now = s.clock.now()
    asks = await s.store.fetch(lambda db: rows.waiting(db, digest(code), now))
    if asks is None:
        raise NotFound("No command line waits with this code: it was mistyped, answered already, or its time is over")
    shown = AskingDevice(
        name=asks.name,
        address=asks.address,
        created_at=rfc3339(asks.created_at),
        expires_at=rfc3339(asks.expires_at),
    )
    return _json(shown)


async def answer(request: web.Request, s: Services, who: Visitor) -> web.Response:
    """204: the command line that asks with that code is let in as whoever is signed in here, or is not."""
    body = await read_json(request, s.web_limits.max_body_bytes)
    wanted = decode(body, _answer, s.web_limits.max_json_depth)
    hashed, user_id = digest(await _guessed(request, s, who, wanted.user_code)), who.person.id
    by = caller(request, s, "user", user_id)
    await change(s, by, lambda db, by: rows.answer(db, hashed, user_id, by, allow=wanted.allow))
    return web.Response(status=204, headers=NO_STORE)


async def token(request: web.Request, s: Services, _: None) -> web.Response:
    """200 with a token, once it is allowed; 202 until then; 403 when it was denied; 401 when its time is over, or the token
    was taken. It is read first: a stranger's guesses cost no transaction.
    """
    body = await read_json(request, s.web_limits.max_body_bytes)
    hashed, now = digest(decode(body, _take, s.web_limits.max_json_depth).device_code), s.clock.now()
    s.device_polls.enter(hashed, now)
    asks = await s.store.fetch(lambda db: rows.of_device(db, hashed, now))
    if asks is None:
        s.device_polls.over(hashed)
        raise _over()
    if asks.status == rows.DENIED:
        raise Forbidden("Somebody has said no to this sign-in")
    if asks.status == rows.WAITING or asks.user_id is None:
        s.device_polls.went_on(hashed, now, s.device_limits)
        return _json(DeviceToken(status=rows.WAITING), 202)
    ttl, user_id = s.device_limits.token_seconds, asks.user_id
    expires_at = now + ttl * 1000
    by = caller(request, s, "user", user_id)
    if not await change(s, by, lambda db, by: rows.take(db, asks, expires_at, by)):
        raise _over()
    s.device_polls.over(hashed)
    signed = s.tokens.user_token(user_id, None, ttl)
    return _json(DeviceToken(status=rows.ALLOWED, token=signed, expires_at=rfc3339(expires_at)))


async def _guessed(request: web.Request, s: Services, who: Visitor, text: str) -> str:
    """The code that was typed; counted as an attempt by that person from there, and never forgiven: whoever knows codes of his
    own could else guess at others' without end.
    """
    if who.session is None:
        raise Forbidden("Only somebody at a browser may let a command line in; a bearer token may not")
    code = typed_code(text)
    await s.sign_ins.enter(f"device {who.person.id}", place_of(s.sessions.front.address(request)))
    return code


def _name(text: str) -> str:
    name = text.strip()
    if not 1 <= len(name) <= MAX_NAME or not name.isprintable():
        raise InvalidRequest.at("$.name", f"1 to {MAX_NAME} printable characters")
    return name


def _over() -> Unauthenticated:
    return Unauthenticated("This sign-in is over: its time has passed, or its token was taken")


def _json(document: msgspec.Struct, status: int = 200) -> web.Response:
    return web.Response(body=encode(document), status=status, content_type="application/json", headers=NO_STORE)
