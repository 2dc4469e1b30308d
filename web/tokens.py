"""Credentials: signing and reading JWTs. With which algorithm and key is fixed here, never taken from the token.

Our own secret signs users' tokens and agents' keys by HS256; they differ in audience, so neither is ever taken for the
other. Beside it the configuration may name an issuer outside, whose tokens are users' only: each of the two is tried with
its own key and its own algorithm, and no key ever serves both.
"""

import contextlib
from sys import intern
from typing import Any

import jwt
import msgspec

from interlock.clock import Clock
from interlock.errors import Unauthenticated
from interlock.ids import is_id
from web.issuer import Issuer
from web.issuer_keys import IssuerKeys
from web.opaque import digest
from web.strict_jwt import claims_of, header_of

USERS = "interlock"
AGENTS = "interlock-agent"
_ALGORITHM = "HS256"
_FOREVER = 2**53  # seconds; an instant beyond it is as good
_REMEMBERED = 10_000  # verified tokens kept, so that a signature is checked once
_MAX_EMAIL = 320  # characters
_REFUSED = "The token does not hold"


class UserClaims(msgspec.Struct, frozen=True):
    """What a user's token says. With `email` the account is the one of that address, and `user_id` is empty."""

    user_id: str
    org_id: str | None
    expires_at: int  # seconds since 1970
    name: str  # the token's own, for counting: a hash of what is signed, so that nobody can write it in another way
    email: str | None = None


class AgentClaims(msgspec.Struct, frozen=True):
    """What an agent's key says."""

    host_id: str
    org_id: str
    kid: str


class KeyUnknown(Unauthenticated):
    """The issuer outside may have signed it, with a key that is not known here, or not yet."""


class TokenLimits(msgspec.Struct, frozen=True):
    """Described in `runtime/settings.py`."""

    leeway_seconds: float = 10.0
    max_bytes: int = 4096


class Tokens:
    """Signs with the instance's own secret; accepts what that has signed, or an older one that is not forgotten, and of
    users what the issuer outside has signed, if there is one.
    """

    def __init__(
        self,
        secret: bytes,
        clock: Clock,
        older: tuple[bytes, ...] = (),
        *,
        limits: TokenLimits | None = None,
        issuer: Issuer | None = None,
        keys: IssuerKeys | None = None,
    ) -> None:
        self._secret = secret
        self._older = older
        self._clock = clock
        self._limits = limits or TokenLimits()
        self._outside = None if issuer is None or keys is None else (issuer, keys)
        self._users: dict[str, UserClaims] = {}
        self._agents: dict[str, AgentClaims] = {}
        if keys is not None:
            keys.changed = self._users.clear

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

    async def user(self, token: str) -> UserClaims:
        """The claims of a user's token, as `read_user` says; a key of the issuer's that is new is asked for. `Unavailable`
        when the issuer has never handed out any.
        """
        try:
            return self.read_user(token)
        except KeyUnknown:
            if self._outside is None:
                raise
            await self._outside[1].refresh()
            return self.read_user(token)

    def read_user(self, token: str) -> UserClaims:
        """The claims of a user's token; `Unauthenticated` unless it holds now."""
        claims = self._users.get(token)
        if claims is None:
            self._check_length(token)
            claims = self._own_user(token) if self._outside is None else self._anyones_user(token, *self._outside)
            _remember(self._users, token, claims)
        if claims.expires_at + self._limits.leeway_seconds <= self._clock.now() / 1000:
            self._users.pop(token, None)
            raise Unauthenticated("The token has expired")
        return claims

    def read_agent(self, token: str) -> AgentClaims:
        """The claims of an agent's key; whether it has been revoked is in its row."""
        claims = self._agents.get(token)
        if claims is None:
            self._check_length(token)
            found = self._own(token, AGENTS, ("sub",))
            parts = [found.get("sub"), found.get("org"), found.get("kid")]
            if not all(isinstance(part, str) and is_id(part) for part in parts):
                raise Unauthenticated("The key names no host")
            host_id, org_id, kid = (str(part) for part in parts)
            claims = AgentClaims(host_id, intern(org_id), kid)
            _remember(self._agents, token, claims)
        return claims

    def _check_length(self, token: str) -> None:
        if len(token) > self._limits.max_bytes:
            raise Unauthenticated("The token is too long")

    def _anyones_user(self, token: str, issuer: Issuer, keys: IssuerKeys) -> UserClaims:
        with contextlib.suppress(Unauthenticated):
            return self._own_user(token)
        return self._outside_user(token, issuer, keys)

    def _own_user(self, token: str) -> UserClaims:
        found = self._own(token, USERS, ("exp", "sub"))
        org_id = found.get("org")
        if not is_id(found["sub"]) or not (org_id is None or (isinstance(org_id, str) and is_id(org_id))):
            raise Unauthenticated("The token names no account")
        return UserClaims(found["sub"], org_id, min(int(found["exp"]), _FOREVER), _name_of(token))

    def _own(self, token: str, audience: str, required: tuple[str, ...]) -> dict[str, Any]:
        for secret in (self._secret, *self._older):
            with contextlib.suppress(jwt.InvalidSignatureError):
                return claims_of(
                    token,
                    secret,
                    _ALGORITHM,
                    required=("aud", *required),
                    audience=audience,
                    leeway=self._limits.leeway_seconds,
                )
        raise Unauthenticated(_REFUSED)

    def _outside_user(self, token: str, issuer: Issuer, keys: IssuerKeys) -> UserClaims:
        header = header_of(token)
        if header.get("alg") != issuer.algorithm:
            raise Unauthenticated(_REFUSED)
        key = keys.key(header.get("kid"))
        if key is None:
            raise KeyUnknown("The token's key is not one of its issuer's")
        try:
            found = claims_of(
                token,
                key,
                issuer.algorithm,
                required=("iss", "aud", "exp", issuer.user_claim),
                audience=issuer.audience,
                issuer=issuer.name,
                leeway=self._limits.leeway_seconds,
                strict_audience=False,
            )
        except jwt.InvalidSignatureError as error:
            raise Unauthenticated(_REFUSED) from error
        if found["exp"] - self._clock.now() / 1000 > issuer.longest_seconds + self._limits.leeway_seconds:
            raise Unauthenticated(f"The token holds for more than {issuer.longest_seconds:g} s")
        return _account_of(found, issuer.user_claim, _name_of(token))


def _account_of(found: dict[str, Any], user_claim: str, name: str) -> UserClaims:
    """Whom an issuer outside means: an account of ours by its id, or by an address that the issuer has verified."""
    said, org_id = found[user_claim], found.get("org")
    org_id = org_id if isinstance(org_id, str) and is_id(org_id) else None
    expires_at = int(found["exp"])
    if user_claim == "email":
        shown = isinstance(said, str) and len(said) <= _MAX_EMAIL and said.isprintable()
        if not shown or found.get("email_verified") is not True:
            raise Unauthenticated("The token names no address that its issuer has verified")
        return UserClaims("", org_id, expires_at, name, said)
    if not isinstance(said, str) or not is_id(said):
        raise Unauthenticated("The token names no account")
    return UserClaims(said, org_id, expires_at, name)


def _name_of(token: str) -> str:
    return digest(token.rpartition(".")[0])


def _remember(cache: dict[str, Any], token: str, claims: Any) -> None:
    if len(cache) >= _REMEMBERED:
        cache.clear()
    cache[token] = claims
