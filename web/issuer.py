"""Who else may sign users' tokens: an issuer outside, whose public keys are fetched from its JWK set."""

from ipaddress import ip_address
from typing import NamedTuple
from urllib.parse import urlsplit


class Issuer(NamedTuple):
    """Described in `runtime/settings.py`; times are in seconds. `problem` tells what is wrong with it."""

    algorithm: str  # RS256, ES256 or EdDSA
    jwks_url: str
    name: str  # the `iss` of its tokens
    audience: str
    user_claim: str = "sub"
    longest_seconds: float = 86_400.0
    max_age_seconds: float = 600.0
    outage_seconds: float = 86_400.0
    retry_seconds: float = 10.0
    timeout_seconds: float = 5.0
    max_bytes: int = 262_144

    @property
    def problem(self) -> str | None:
        """Why it cannot be used, in a sentence; None when it can."""
        try:
            parts = urlsplit(self.jwks_url)
        except ValueError:
            return "jwks_url: this is no address"
        if parts.scheme not in {"https", "http"} or not parts.hostname or "@" in parts.netloc:
            return "jwks_url: expected https://host/path, without a user name"
        if parts.scheme == "http" and not _is_here(parts.hostname):
            return "jwks_url: expected https; plain http may only lead to this machine"
        if not self.name:
            return "jwt_issuer: is needed beside jwks_url: whose tokens they are"
        if not self.audience or self.audience == "interlock-agent":
            return "jwt_audience: expected a name, and not the agents'"
        if not self.user_claim:
            return "jwt_user_claim: expected the name of a claim, such as sub or email"
        return None


def _is_here(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
