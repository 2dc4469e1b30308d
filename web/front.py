"""How browsers reach this server: at which origin, over TLS or not, and from which address.

What a proxy says is believed of those alone that a setting names: anybody can send its headers.
"""

from ipaddress import IPv6Address, IPv6Network, ip_address, ip_network
from urllib.parse import urlsplit

from aiohttp import web

_MOST_HOPS = 20
_IPV6_SITE = 64  # bits: what one subscriber gets


class Front:
    """Built from two settings; `ValueError` when they make no sense."""

    def __init__(self, public_url: str = "", trusted_proxies: str = "") -> None:
        parts = urlsplit(public_url)
        self._origin = f"{parts.scheme}://{parts.netloc}".lower() if public_url else ""
        self._scheme, self._host = parts.scheme.lower(), parts.netloc.lower()
        self._proxies = [ip_network(text.strip()) for text in trusted_proxies.split(",") if text.strip()]

    def address(self, request: web.Request) -> str | None:
        """Where the request comes from: behind proxies that are trusted, the last address that is not one of theirs."""
        peer = request.remote
        if not self._proxies or not self._trusts(peer):
            return peer
        said = ",".join(request.headers.getall("X-Forwarded-For", [])).split(",")
        for text in reversed(said[-_MOST_HOPS:]):
            shown = _clean(text)
            if shown is None:
                break
            peer = shown
            if not self._trusts(shown):
                break
        return peer

    def is_secure(self, request: web.Request) -> bool:
        """Whether the browser speaks TLS, as far as is known."""
        if request.secure:
            return True
        if self._proxies and self._trusts(request.remote):
            said = request.headers.get("X-Forwarded-Proto")
            if said is not None:
                return said.partition(",")[0].strip().lower() == "https"
        return self._scheme == "https" and request.host.lower() == self._host

    def fits(self, request: web.Request) -> bool:
        """Whether the request comes from a page of this very server: its `Origin` is there, once, and is ours.

        A page that says https where only http is known is believed: that is a proxy of which no setting tells. No other
        site can say so, for the host is the same.
        """
        given = request.headers.getall("Origin", [])
        if len(given) != 1 or not given[0]:
            return False
        origin, host = given[0].lower(), request.host.lower()
        if origin in {self._origin, f"https://{host}"}:
            return True
        return origin == f"http://{host}" and not self.is_secure(request)

    def _trusts(self, address: str | None) -> bool:
        try:
            known = ip_address(address or "")
        except ValueError:
            return False
        return any(known in network for network in self._proxies)


def _clean(text: str) -> str | None:
    """An address as a proxy writes it, perhaps with a port; None when it is none."""
    bare = text.strip()
    if bare.startswith("["):
        bare = bare[1:].partition("]")[0]
    elif bare.count(":") == 1:
        bare = bare.partition(":")[0]
    try:
        return None if "%" in bare else str(ip_address(bare))
    except ValueError:
        return None


def place_of(address: str | None) -> str:
    """What attempts are counted by: the address, or of IPv6 the network of one subscriber."""
    try:
        known = ip_address(address or "")
    except ValueError:
        return address or "unknown"
    if isinstance(known, IPv6Address):
        if known.ipv4_mapped is not None:
            return str(known.ipv4_mapped)
        return str(IPv6Network((int(known), _IPV6_SITE), strict=False))
    return str(known)
