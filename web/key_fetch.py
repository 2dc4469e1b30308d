"""Fetching a JWK set over HTTPS: bounded in time and size, from exactly the configured address."""

import aiohttp

from web.issuer import Issuer
from web.issuer_keys import Fetch, KeysAway

_OK = 200
_PLAIN = {"Accept": "application/jwk-set+json, application/json", "Accept-Encoding": "identity"}


def fetch_from(issuer: Issuer) -> Fetch:
    """What fetches its set, or raises `KeysAway`. It follows no redirect, reads no compressed body, and takes no proxy or
    credential from the environment.
    """
    timeout = aiohttp.ClientTimeout(total=issuer.timeout_seconds)

    async def fetch() -> bytes:
        try:
            async with (
                aiohttp.ClientSession(timeout=timeout, auto_decompress=False, headers=_PLAIN) as session,
                session.get(issuer.jwks_url, allow_redirects=False) as reply,
            ):
                if reply.status != _OK:
                    raise KeysAway(f"it was answered {reply.status}")
                if reply.headers.get("Content-Encoding", "identity").lower() != "identity":
                    raise KeysAway("it came compressed")
                return await _read(reply.content, issuer.max_bytes)
        except TimeoutError as error:
            raise KeysAway(f"there was no answer within {issuer.timeout_seconds:g} s") from error
        except (aiohttp.ClientError, OSError, ValueError) as error:
            said = " ".join(str(error).split())  # it may quote what came
            raise KeysAway(f"{type(error).__name__}: {said}"[:300]) from error

    return fetch


async def _read(content: aiohttp.StreamReader, most: int) -> bytes:
    body = bytearray()
    async for piece in content.iter_any():
        body += piece
        if len(body) > most:
            raise KeysAway(f"it has more than {most} bytes")
    return bytes(body)
