"""Credentials: signing and reading JWTs. The algorithm is fixed here, never taken from the token.

A user's token and an agent's key differ in audience, so neither is ever taken for the other.
"""

import contextlib
from sys import intern
from typing import Any

import jwt
import msgspec

from interlock.clock import Clock
from interlock.errors import Unauthenticated
from interlock.ids import is_id

USERS = "interlock"
AGENTS = "interlock-agent"
_ALGORITHM = "HS256"
_MAX_TOKEN = 4096  # bytes; a longer one is refused before it is read
_FOREVER = 2**53  # seconds; an instant beyond it is as good
_LEEWAY = 10  # seconds of clock skew
_REMEMBERED = 10_000  # verified tokens kept, so that a signature is checked once


class UserClaims(msgspec.Struct, frozen=True):
    """What a user's token says."""

    user_id: str
    org_id: str | None
    expires_at: int  # seconds since 1970


class AgentClaims(msgspec.Struct, frozen=True):
    """What an agent's key says."""

    host_id: str
    org_id: str
    kid: str


class Tokens:
    """Signs with the instance's own secret; accepts what that has signed, or an older one that is not forgotten."""

    def __init__(self, secret: bytes, clock: Clock, older: tuple[bytes, ...] = ()) -> None:
        self._secret = secret
        self._older = older
        self._clock = clock
        self._users: dict[str, UserClaims] = {}
        self._agents: dict[str, AgentClaims] = {}

    def use(self, secret: bytes, older: tuple[bytes, ...]) -> bool:
        """Sign with this from now on, and accept those too; whether that is anything new."""
        if (secret, older) == (self._secret, self._older):
            return False
        self._secret, self._older = secret, older
        self._users.clear()
        self._agents.clear()
        return True

    def user_token(self, user_id: str, org_id: str | None, ttl_seconds: int) -> str:
        """A user's token for so many seconds."""
        now = self._clock.now() // 1000
        claims: dict[str, Any] = {"aud": USERS, "sub": user_id, "iat": now, "exp": now + ttl_seconds}
        if org_id is not None:
            claims["org"] = org_id
        return jwt.encode(claims, self._secret, algorithm=_ALGORITHM)

    def agent_key(self, host_id: str, org_id: str, kid: str) -> str:
        """An agent's key; it holds until it is revoked."""
        claims = {"aud": AGENTS, "sub": host_id, "org": org_id, "kid": kid, "iat": self._clock.now() // 1000}
        return jwt.encode(claims, self._secret, algorithm=_ALGORITHM)

    def read_user(self, token: str) -> UserClaims:
        """The claims of a user's token; `Unauthenticated` unless it holds now."""
        claims = self._users.get(token)
        if claims is None:
            found = self._verified(token, USERS, ["exp", "sub"])
            org_id = found.get("org")
            if not is_id(found["sub"]) or not (org_id is None or (isinstance(org_id, str) and is_id(org_id))):
                raise Unauthenticated("The token names no account")
            claims = UserClaims(found["sub"], org_id, min(int(found["exp"]), _FOREVER))
            _remember(self._users, token, claims)
        if claims.expires_at + _LEEWAY <= self._clock.now() / 1000:
            self._users.pop(token, None)
            raise Unauthenticated("The token has expired")
        return claims

    def read_agent(self, token: str) -> AgentClaims:
        """The claims of an agent's key; whether it has been revoked is in its row."""
        claims = self._agents.get(token)
        if claims is None:
            found = self._verified(token, AGENTS, ["sub"])
            parts = [found.get("sub"), found.get("org"), found.get("kid")]
            if not all(isinstance(part, str) and is_id(part) for part in parts):
                raise Unauthenticated("The key names no host")
            host_id, org_id, kid = (str(part) for part in parts)
            claims = AgentClaims(host_id, intern(org_id), kid)
            _remember(self._agents, token, claims)
        return claims

    def _verified(self, token: str, audience: str, required: list[str]) -> dict[str, Any]:
        if len(token) > _MAX_TOKEN:
            raise Unauthenticated("The token is too long")
        try:
            found = self._decoded(token, audience, required)
        except (jwt.PyJWTError, ValueError, TypeError, OverflowError, RecursionError) as error:
            raise Unauthenticated("The token does not hold") from error
        if isinstance(found.get("exp"), bool):
            raise Unauthenticated("The token does not hold")
        return found

    def _decoded(self, token: str, audience: str, required: list[str]) -> dict[str, Any]:
        *others, last = self._secret, *self._older
        for secret in others:
            with contextlib.suppress(jwt.InvalidSignatureError):
                return _decode(token, secret, audience, required)
        return _decode(token, last, audience, required)


def _decode(token: str, secret: bytes, audience: str, required: list[str]) -> dict[str, Any]:
    found: dict[str, Any] = jwt.decode(
        token,
        secret,
        algorithms=[_ALGORITHM],
        audience=audience,
        leeway=_LEEWAY,
        options={"require": ["aud", *required], "strict_aud": True},
    )
    return found


def _remember(cache: dict[str, Any], token: str, claims: Any) -> None:
    if len(cache) >= _REMEMBERED:
        cache.clear()
    cache[token] = claims
