"""Where a request comes from: what is known, and what a trusted proxy says."""

from typing import Any, cast
from unittest.mock import patch

import pytest
from aiohttp.test_utils import make_mocked_request
from multidict import CIMultiDict

from web.front import Front, place_of


def asked(peer: str | None = "10.0.0.1", **headers: str) -> Any:
    named = CIMultiDict({name.replace("_", "-"): value for name, value in headers.items()})
    request = make_mocked_request("POST", "/", headers=named)
    return cast("Any", request).clone(remote=peer)


def behind_proxies(**headers: str) -> str | None:
    return Front("", "10.0.0.0/8, ::1").address(asked(**headers))


@pytest.mark.parametrize(
    ("said", "address"),
    [
        ("1.2.3.4", "1.2.3.4"),
        ("6.6.6.6, 1.2.3.4", "1.2.3.4"),
        ("6.6.6.6, 1.2.3.4, 10.9.9.9", "1.2.3.4"),
        ("10.1.1.1, 10.2.2.2", "10.1.1.1"),
        ("1.2.3.4:5678", "1.2.3.4"),
        ("[2001:db8::1]:443", "2001:db8::1"),
        ("2001:DB8::1", "2001:db8::1"),
        ("1.2.3.4, unknown", "10.0.0.1"),
        ("1.2.3.4, fe80::1%" + "x" * 300, "10.0.0.1"),
        ("", "10.0.0.1"),
        (",,,", "10.0.0.1"),
        ("x" * 10_000, "10.0.0.1"),
    ],
)
def test_behind_proxies_the_last_address_that_is_not_theirs_counts(said: str, address: str) -> None:
    assert behind_proxies(X_Forwarded_For=said) == address


@pytest.mark.parametrize("peer", ["192.168.0.1", None, ""])
def test_who_is_no_trusted_proxy_is_not_believed(peer: str | None) -> None:
    request = asked(peer, X_Forwarded_For="1.2.3.4", X_Forwarded_Proto="https", Host="a")
    front = Front("", "10.0.0.0/8")
    assert front.address(request) == peer
    assert not front.is_secure(request)
    assert Front().address(request) == peer


def test_a_trusted_proxy_says_whether_the_browser_speaks_tls() -> None:
    front = Front("", "10.0.0.1")
    assert front.is_secure(asked(X_Forwarded_Proto="HTTPS, http", Host="a"))
    assert not front.is_secure(asked(X_Forwarded_Proto="http", Host="a"))
    assert not front.is_secure(asked(Host="a"))


def test_the_public_address_says_it_for_its_own_name_alone() -> None:
    front = Front("https://A.example", "")
    assert front.is_secure(asked(Host="a.example"))
    assert not front.is_secure(asked(Host="127.0.0.1:8080"))


@pytest.mark.parametrize(
    ("origin", "fits"),
    [
        ("https://a.example", True),
        ("https://inner:8080", True),
        ("http://inner:8080", True),
        ("http://a.example", False),
        ("https://inner", False),
        ("https://a.example.evil", False),
        ("null", False),
        ("", False),
        ("file://", False),
    ],
)
def test_an_origin_is_ours_by_its_whole_name(origin: str, fits: bool) -> None:
    assert Front("https://a.example").fits(asked(Origin=origin, Host="inner:8080")) is fits


def test_without_an_origin_and_with_two_nothing_fits() -> None:
    front = Front()
    assert not front.fits(asked(Host="a"))
    twice = asked(Host="a")
    with patch.object(
        type(twice), "headers", CIMultiDict([("Host", "a"), ("Origin", "http://a"), ("Origin", "http://a")])
    ):
        assert not front.fits(twice)


def test_an_empty_public_address_is_no_origin() -> None:
    assert not Front().fits(asked(Origin="", Host="a"))


@pytest.mark.parametrize(
    ("address", "place"),
    [
        ("1.2.3.4", "1.2.3.4"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("::ffff:1.2.3.4", "1.2.3.4"),
        (None, "unknown"),
        ("", "unknown"),
        ("@socket", "@socket"),
    ],
)
def test_attempts_count_by_address_or_by_the_network_of_one_subscriber(address: str | None, place: str) -> None:
    assert place_of(address) == place


@pytest.mark.parametrize("proxies", ["proxy", "10.0.0.1/8", "10.0.0.0/33"])
def test_proxies_that_are_no_addresses_are_refused(proxies: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        Front("", proxies)
