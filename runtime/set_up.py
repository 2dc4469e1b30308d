"""The link with which the first account is made. Its token is known to whoever reads the server's output, and to nobody
else: it stands behind the `#`, which no browser sends, and only its hash is stored.
"""

from store.first_run import new_token
from web.opaque import digest, new_secret
from web.services import Services


async def new_link(s: Services, url: str, holds_seconds: float) -> str | None:
    """A new link, which ends the one before; None when there is an account."""
    if await s.lookups.is_set_up():
        return None
    token, expires_at = new_secret(), s.clock.now() + round(holds_seconds * 1000)
    made = await s.store.change(lambda database: new_token(database, digest(token), expires_at))
    return f"{url.rstrip('/')}/setup#token={token}" if made else None
