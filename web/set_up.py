"""The first account of all, for whoever holds the token that the server has printed."""

from dataclasses import replace

import msgspec
from aiohttp import web
from peewee import Database

from interlock.errors import InvalidRequest
from interlock.sessions import SetUp
from store.accounts import By, Person, clean_email, clean_name
from store.first_run import First, check_token, set_up_with_token
from store.sessions import begin
from web.access import caller
from web.fleet_changes import change
from web.front import place_of
from web.opaque import digest
from web.parsing import decode, read_json
from web.services import Services
from web.sign_in import begun, new_session

ORG_NAME = "Main"  # unless another is asked for

_set_up = msgspec.json.Decoder(SetUp)


async def create(request: web.Request, s: Services, _: None) -> web.Response:
    """201: the account, its organization, and a session, all in one transaction that also closes the door. 409 once there
    is an account; 401 for a token that does not hold.
    """
    body = await read_json(request, s.web_limits.max_body_bytes)
    wanted = decode(body, _set_up, s.web_limits.max_json_depth)
    await s.sign_ins.enter(None, place_of(s.sessions.front.address(request)))
    token_hash, now = digest(wanted.token), s.clock.now()
    await s.store.fetch(lambda db: check_token(db, token_hash, now))
    first = await _first(s, wanted)
    cookie, row = new_session(request, s, first.user_id)

    def work(database: Database, by: By) -> None:
        set_up_with_token(database, token_hash, first, s.ids, by)
        begin(database, row, replace(by, audit_id=s.ids.new()))

    await change(s, caller(request, s, "user", first.user_id), work)
    person = Person(first.user_id, first.email, first.name, platform_admin=True)
    return await begun(request, s, person, cookie, row)


async def _first(s: Services, wanted: SetUp) -> First:
    email = clean_email(wanted.email)
    return First(
        user_id=s.ids.new(),
        org_id=s.ids.new(),
        email=email,
        name=clean_name(wanted.name),
        org_name=_org_name(wanted.org_name),
        password_hash=await s.passwords.make(wanted.password),
    )


def _org_name(wanted: str | None) -> str:
    try:
        return clean_name(ORG_NAME if wanted is None else wanted)
    except InvalidRequest as error:
        raise InvalidRequest.at("$.orgName", error.errors[0]["message"]) from error
