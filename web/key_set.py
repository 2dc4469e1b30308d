"""A JWK set (RFC 7517) as keys by their ids, each bound to the one algorithm that the configuration names.

Keys that do not fit it are passed over: an issuer may publish others beside them. Of two keys with one id neither counts.
"""

import json
from typing import Any, NamedTuple

import jwt

from interlock.errors import InterlockError

MOST_KEYS = 100  # in one set
_KINDS = {"RS256": ("RSA", None), "ES256": ("EC", "P-256"), "EdDSA": ("OKP", "Ed25519")}  # by algorithm: kty and crv
_ALSO = {"EdDSA": "Ed25519"}  # RFC 9864's name for the same
_RSA_BITS = range(2048, 8193)  # shorter ones can be broken, longer ones hold the loop for too long
_LONGEST = 200  # characters of an id


class BadKeySet(InterlockError):
    """What came is no set with a key of use."""

    title = "The key set cannot be used"


class KeySet(NamedTuple):
    """`lone` is the key that a token without an id means: the only one there is, if there is only one."""

    by_id: dict[str, jwt.PyJWK]
    lone: jwt.PyJWK | None = None

    def key(self, kid: str | None) -> jwt.PyJWK | None:
        """The key of that id exactly, whatever the id looks like."""
        return self.lone if kid is None else self.by_id.get(kid)


NO_KEYS = KeySet({})


def key_set(body: bytes, algorithm: str) -> KeySet:
    """The keys in `body` for that algorithm: `RS256`, `ES256` or `EdDSA`. `BadKeySet` when there is none."""
    try:
        listed = json.loads(body).get("keys")
    except (ValueError, AttributeError, RecursionError) as error:
        raise BadKeySet("It is no JSON object") from error
    if not isinstance(listed, list) or len(listed) > MOST_KEYS:
        raise BadKeySet(f"Expected a list of up to {MOST_KEYS} keys")
    found: list[tuple[str | None, jwt.PyJWK]] = []
    for each in listed:
        key = _usable(each, algorithm) if isinstance(each, dict) else None
        if key is not None:
            found.append((each.get("kid"), key))
    ids = [kid for kid, _ in found]
    by_id = {kid: key for kid, key in found if kid is not None and ids.count(kid) == 1}
    lone = found[0][1] if len(found) == 1 else None
    if not by_id and lone is None:
        raise BadKeySet(f"It has no public key for signatures by {algorithm}")
    return KeySet(by_id, lone)


def _usable(given: dict[str, Any], algorithm: str) -> jwt.PyJWK | None:
    """The key, if it is public, for signatures, of the algorithm's kind, and says nothing else of itself."""
    kind, curve = _KINDS[algorithm]
    kid, operations = given.get("kid"), given.get("key_ops", ["verify"])
    fits = (
        given.get("kty") == kind
        and given.get("crv") == curve
        and given.get("use", "sig") == "sig"
        and given.get("alg", algorithm) in {algorithm, _ALSO.get(algorithm, algorithm)}
        and isinstance(operations, list)
        and "verify" in operations
        and (kid is None or (isinstance(kid, str) and len(kid) <= _LONGEST))
        and "d" not in given
    )
    if not fits:
        return None
    try:
        key = jwt.PyJWK(given, algorithm)
    except (jwt.PyJWTError, ValueError, TypeError, OverflowError):
        return None
    return key if kind != "RSA" or key.key.key_size in _RSA_BITS else None
