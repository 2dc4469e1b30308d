"""Reading a JWT as RFC 8725 wants it: whoever calls says with which algorithm and key, and the token may only agree.

The library verifies the signature. What it lets through is stopped here: claims or header fields that stand twice, times
that are no numbers, types of token that are meant for something else, extensions, and keys that are too short.
"""

import base64
import json
from typing import Any

import jwt

from interlock.errors import Unauthenticated

_TYPES = frozenset({"jwt", "at+jwt", "application/jwt", "application/at+jwt"})  # RFC 7519 and 9068; or none is said
_TIMES = ("exp", "nbf", "iat")
_MAX_KID = 200  # characters
_BROKEN = (jwt.PyJWTError, ValueError, TypeError, OverflowError, RecursionError)


class _Reader(jwt.PyJWT):
    """The library's, with claims that stand once."""

    def _decode_payload(self, decoded: dict[str, Any]) -> dict[str, Any]:
        claims = _object(decoded["payload"])
        for name in _TIMES:
            if name in claims and type(claims[name]) not in {int, float}:
                raise jwt.DecodeError(f"{name} is no time")
        return claims


_reader = _Reader(options={"enforce_minimum_key_length": True})


def header_of(token: str) -> dict[str, Any]:
    """The header of a token that nobody has verified: fit to look for a key by its `kid`, and for nothing else.

    `Unauthenticated` when it is none. `jku`, `x5u`, `jwk` and `x5c`, which offer a key, are never looked at.
    """
    head = token.partition(".")[0].rstrip("=")
    try:
        header = _object(base64.b64decode(head + "=" * (-len(head) % 4), altchars=b"-_", validate=True))
    except (ValueError, TypeError, RecursionError) as error:
        raise Unauthenticated("The token does not hold") from error
    kind, kid = header.get("typ", "JWT"), header.get("kid", "")
    meant = isinstance(kind, str) and kind.lower() in _TYPES
    known = isinstance(kid, str) and len(kid) <= _MAX_KID
    if not meant or not known or "crit" in header or "b64" in header or "zip" in header:
        raise Unauthenticated("The token does not hold")
    return header


def claims_of(
    token: str,
    key: bytes | jwt.PyJWK,
    algorithm: str,
    *,
    required: tuple[str, ...],
    audience: str,
    issuer: str | None = None,
    leeway: float,
    strict_audience: bool = True,
) -> dict[str, Any]:
    """The claims of a token that this key has signed by this algorithm, for that audience, and that holds now.

    `leeway`: seconds of clock skew. With `strict_audience` the token may be for nobody else. `jwt.InvalidSignatureError`
    when the key has not signed it, so that another may be tried; `Unauthenticated` for all else.
    """
    header_of(token)
    try:
        found: dict[str, Any] = _reader.decode(
            token,
            key,
            algorithms=[algorithm],
            audience=audience,
            issuer=issuer,
            leeway=leeway,
            options={"require": list(required), "strict_aud": strict_audience},
        )
    except jwt.InvalidSignatureError:
        raise
    except _BROKEN as error:
        raise Unauthenticated("The token does not hold") from error
    return found


def _object(text: bytes) -> dict[str, Any]:
    found = json.loads(text, object_pairs_hook=_once, parse_constant=_refused)
    if not isinstance(found, dict):
        raise TypeError("Expected an object")
    return found


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("A name stands twice")
    return found


def _refused(name: str) -> Any:
    raise ValueError(f"{name} is no number")
