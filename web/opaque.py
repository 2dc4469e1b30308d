"""Secrets that mean nothing by themselves: cookies, tickets, tokens of the set-up. What is stored of one is its hash, which
need not be slow: nobody guesses 256 bits.
"""

import hashlib
import hmac
import secrets
from base64 import urlsafe_b64encode


def new_secret() -> str:
    """256 bits as 43 characters that need no quoting anywhere."""
    return secrets.token_urlsafe(32)


def new_code(letters: str, length: int) -> str:
    """So many of these letters, for a person to type: guessing has to be bounded by whoever asks for it."""
    return "".join(secrets.choice(letters) for _ in range(length))


def digest(secret: str) -> str:
    """What is stored of it: 64 hex digits."""
    return hashlib.sha256(_bytes(secret)).hexdigest()


def same(one: str, other: str) -> bool:
    """Whether two texts are the same, in a time that does not tell how much of them is."""
    return hmac.compare_digest(_bytes(one), _bytes(other))


def csrf_token(secret: str) -> str:
    """What a page has to send along with the cookie of that secret: another site's page can make a browser send the cookie,
    but never learns this.
    """
    made = hmac.digest(_bytes(secret), b"interlock csrf", "sha256")
    return urlsafe_b64encode(made).decode().rstrip("=")


def _bytes(text: str) -> bytes:
    return text.encode(errors="surrogateescape")
