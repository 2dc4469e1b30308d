"""RFC 8725's traps, one by one: with our own secret, and with an issuer outside."""

import base64
import json
import time
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from interlock.clock import SystemClock
from interlock.errors import Unauthenticated
from interlock.ids import UuidIds
from tests.support.issuer import NAME, b64, claims, hmac_signed, jwk_of, make_key, set_of, signed
from web.issuer import Issuer
from web.issuer_keys import IssuerKeys
from web.key_set import MOST_KEYS, BadKeySet, key_set
from web.tokens import KeyUnknown, TokenLimits, Tokens

ANN, ARCADE, HOST, KID = (UuidIds().new() for _ in range(4))
SECRET = b"5" * 64
KEYS = {algorithm: make_key(algorithm) for algorithm in ("RS256", "ES256", "EdDSA")}
NOW = int(time.time())  # of the collection: the tests may run much later
FAR = NOW + 10_000_000  # seconds; later than any of them


def named(said: Any) -> str:
    """Claims as a test is called: the same in every process that collects it, whatever its clock and its ids say."""
    text = str(said).replace(str(FAR), "FAR").replace(str(NOW - 11), "NOW - 11")
    return text.replace(ANN.upper(), "ANN")


async def outside(algorithm: str = "RS256", *, body: bytes | None = None, **options: Any) -> Tokens:
    """Tokens of ours beside an issuer's, whose keys have been fetched."""
    issuer = Issuer(algorithm, "https://id.example.com/keys", NAME, "interlock", **options)
    sent = set_of(jwk_of(KEYS[algorithm], "k1")) if body is None else body

    async def fetch() -> bytes:
        return sent

    keys = IssuerKeys(issuer, fetch, time.monotonic)
    await keys.look()
    return Tokens(SECRET, SystemClock(), issuer=issuer, keys=keys)


def alone() -> Tokens:
    return Tokens(SECRET, SystemClock())


def own(header: str = '{"alg":"HS256","typ":"JWT"}', **more: Any) -> str:
    """A user's token by our own secret, written as it stands."""
    said = {"aud": "interlock", "sub": ANN, "exp": FAR, **more}
    return hmac_signed(SECRET, header, json.dumps({name: value for name, value in said.items() if value is not None}))


def refused(tokens: Tokens, token: str) -> bool:
    try:
        tokens.read_user(token)
    except Unauthenticated:
        return True
    return False


# ---- our own secret ----------------------------------------------------------------------------------------------------


def test_a_plain_token_holds() -> None:
    assert alone().read_user(own()).user_id == ANN
    assert alone().read_user(own('{"alg":"HS256"}')).user_id == ANN
    assert alone().read_user(own('{"alg":"HS256","typ":"at+jwt"}')).user_id == ANN


@pytest.mark.parametrize(
    "header",
    [
        '{"alg":"none"}',
        '{"alg":"nOnE"}',
        '{"alg":"hs256"}',
        '{"alg":"HS512"}',
        '{"alg":["HS256"]}',
        '{"alg":{}}',
        '{"alg":null}',
        "{}",
        "[]",
        "null",
        "",
        "{",
        '{"alg":"none","alg":"HS256"}',
        '{"alg":"HS256","alg":"HS256"}',
        '{"alg":"HS256","typ":"logout+jwt"}',
        '{"alg":"HS256","typ":"dpop+jwt"}',
        '{"alg":"HS256","typ":5}',
        '{"alg":"HS256","crit":["exp"],"exp":1}',
        '{"alg":"HS256","crit":["b64"],"b64":true}',
        '{"alg":"HS256","crit":[]}',
        '{"alg":"HS256","b64":false}',
        '{"alg":"HS256","zip":"DEF"}',
        '{"alg":"HS256","kid":5}',
        '{"alg":"HS256","kid":null}',
        '{"alg":"HS256","kid":"' + "k" * 201 + '"}',
        '{"alg":"HS256","x":' + "[" * 1500 + "]" * 1500 + "}",
        '{"alg":"HS256","x":NaN}',
    ],
)
def test_a_header_that_asks_for_anything_else_is_refused(header: str) -> None:
    assert refused(alone(), own(header))


@pytest.mark.parametrize(
    "said",
    [
        {"exp": None},
        {"exp": NOW - 11},
        {"exp": True},
        {"exp": str(FAR)},
        {"exp": float("inf")},
        {"exp": float("nan")},
        {"exp": [FAR]},
        {"nbf": FAR},
        {"nbf": "0"},
        {"nbf": False},
        {"iat": FAR},
        {"iat": "0"},
        {"aud": None},
        {"aud": "interlock-agent"},
        {"aud": ["interlock"]},
        {"aud": ["interlock", "interlock-agent"]},
        {"aud": "Interlock"},
        {"sub": None},
        {"sub": 5},
        {"sub": "ann@example.com"},
        {"sub": "' or 1=1 --"},
        {"org": "arcade"},
        {"org": 5},
        {"jti": 5},
    ],
    ids=named,
)
def test_claims_that_do_not_fit_are_refused(said: dict[str, Any]) -> None:
    assert refused(alone(), own(**said))


def test_a_claim_that_stands_twice_is_refused() -> None:
    said = f'{{"aud":"interlock","sub":"{HOST}","sub":"{ANN}","exp":{FAR}}}'
    assert refused(alone(), hmac_signed(SECRET, '{"alg":"HS256"}', said))


def test_a_key_that_the_token_brings_is_never_looked_at() -> None:
    mine = b"m" * 32
    jwk = {"kty": "oct", "k": b64(mine), "kid": "mine"}
    for header in (
        {"alg": "HS256", "jwk": jwk, "kid": "mine"},
        {"alg": "HS256", "jku": "http://127.0.0.1:1/keys"},
        {"alg": "HS256", "x5u": "http://127.0.0.1:1/keys", "x5c": ["MA=="]},
    ):
        said = json.dumps({"aud": "interlock", "sub": ANN, "exp": FAR})
        assert refused(alone(), hmac_signed(mine, json.dumps(header), said))
        assert not refused(alone(), own(json.dumps(header)))


def test_a_token_that_is_too_long_is_not_read() -> None:
    assert refused(alone(), own(note="x" * 4096))
    roomy = Tokens(SECRET, SystemClock(), limits=TokenLimits(max_bytes=8000))
    assert not refused(roomy, own(note="x" * 4096))


@pytest.mark.parametrize(
    "token", ["", ".", "..", "...", "a.b", "é.é.é", "\udcff.a.b", "a" * 4096, "." * 4000, own() + "A", own()[:-4]]
)
def test_what_is_no_token_is_refused(token: str) -> None:
    assert refused(alone(), token)


def test_clocks_may_differ_by_as_much_as_is_set() -> None:
    now = int(time.time())
    late, early = own(exp=now - 50), own(nbf=now + 50, iat=now + 50)
    patient = Tokens(SECRET, SystemClock(), limits=TokenLimits(leeway_seconds=120))
    strict = Tokens(SECRET, SystemClock(), limits=TokenLimits(leeway_seconds=0))
    assert not refused(patient, late)
    assert not refused(patient, early)
    assert refused(strict, late)
    assert refused(strict, early)
    assert refused(strict, own(exp=now - 1))


def test_a_token_counts_as_itself_however_its_signature_is_written() -> None:
    token = own()
    head, _, signature = token.rpartition(".")
    names = {alone().read_user(text).name for text in (token, f"{head}.{signature}=")}
    assert len(names) == 1
    assert alone().read_user(own(jti="b")).name not in names


# ---- an issuer outside -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("algorithm", KEYS)
async def test_a_token_of_the_issuer_holds_beside_our_own(algorithm: str) -> None:
    tokens = await outside(algorithm)
    assert tokens.read_user(signed(KEYS[algorithm], algorithm, claims(ANN, org=ARCADE))).org_id == ARCADE
    assert tokens.read_user(signed(KEYS[algorithm], algorithm, claims(ANN), kid=None)).user_id == ANN
    assert tokens.read_user(signed(KEYS[algorithm], algorithm, claims(ANN), typ="at+jwt")).user_id == ANN
    assert tokens.read_user(tokens.user_token(ANN, None, 60)).user_id == ANN
    assert tokens.read_agent(tokens.agent_key(HOST, ARCADE, KID)).host_id == HOST


@pytest.mark.parametrize("algorithm", KEYS)
async def test_no_token_of_the_issuer_is_an_agents_key(algorithm: str) -> None:
    tokens = await outside(algorithm)
    said = {"aud": "interlock-agent", "sub": HOST, "org": ARCADE, "kid": KID}
    for more in (said, claims(HOST) | said, claims(HOST) | said | {"aud": ["interlock", "interlock-agent"]}):
        with pytest.raises(Unauthenticated):
            tokens.read_agent(signed(KEYS[algorithm], algorithm, more))


def public_halves(key: Any) -> dict[str, bytes]:
    """A public key in every way in which somebody might have it."""
    public = key.public_key()
    written = {
        "pem": public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo),
        "der": public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo),
        "jwk": json.dumps(jwk_of(key, "k1")).encode(),
        "set": set_of(jwk_of(key, "k1")),
    }
    jwk = jwk_of(key)
    raw = jwk.get("n") or jwk["x"]
    written["raw"] = base64.urlsafe_b64decode(raw + "=" * (-len(raw) % 4))
    return written


@pytest.mark.parametrize("algorithm", KEYS)
async def test_the_public_key_is_no_secret_to_sign_with(algorithm: str) -> None:
    tokens = await outside(algorithm)
    for name, secret in public_halves(KEYS[algorithm]).items():
        for alg in ("HS256", "HS384", "HS512", algorithm):
            header = json.dumps({"alg": alg, "kid": "k1"})
            assert refused(tokens, hmac_signed(secret, header, json.dumps(claims(ANN)))), (name, alg)


@pytest.mark.parametrize("algorithm", KEYS)
@pytest.mark.parametrize("other", ["RS256", "ES256", "EdDSA"])
async def test_only_the_configured_algorithm_counts(algorithm: str, other: str) -> None:
    every_key = set_of(*(jwk_of(key, f"k-{name}") for name, key in KEYS.items()))
    tokens = await outside(algorithm, body=every_key)
    token = signed(KEYS[other], other, claims(ANN), kid=f"k-{other}")
    assert refused(tokens, token) is (other != algorithm)


async def test_other_hashes_and_paddings_of_the_same_key_do_not_count() -> None:
    tokens = await outside("RS256")
    for algorithm in ("RS384", "RS512", "PS256", "PS512"):
        assert refused(tokens, signed(KEYS["RS256"], algorithm, claims(ANN)))


@pytest.mark.parametrize(
    "said",
    [
        {"iss": None},
        {"iss": "https://id.example.com"},
        {"iss": [NAME]},
        {"iss": "interlock"},
        {"aud": None},
        {"aud": "other"},
        {"aud": ["other"]},
        {"aud": []},
        {"aud": {"interlock": 1}},
        {"aud": ["interlock", 5]},
        {"exp": None},
        {"exp": NOW - 11},
        {"exp": FAR},
        {"exp": 1e300},
        {"exp": 10**300},
        {"exp": True},
        {"nbf": FAR},
        {"iat": FAR},
        {"sub": None},
        {"sub": "auth0|5f7c8ec7c33c6c004bbafe82"},
        {"sub": "../../etc/passwd"},
        {"sub": ANN.upper() + " "},
    ],
    ids=named,
)
async def test_claims_of_the_issuer_that_do_not_fit_are_refused(said: dict[str, Any]) -> None:
    tokens = await outside()
    assert refused(
        tokens, signed(KEYS["RS256"], "RS256", claims(ANN) | said if None not in said.values() else claims(ANN, **said))
    )


async def test_the_issuer_may_mean_others_too_and_has_names_of_its_own() -> None:
    tokens = await outside()
    said = claims(ANN, aud=["https://other.example.com", "interlock"], org="arcade", kid="x", jku="http://127.0.0.1:1/")
    assert tokens.read_user(signed(KEYS["RS256"], "RS256", said)).org_id is None


KIDS: tuple[str, ...] = (
    "",
    "K1",
    "k1 ",
    "k1\0",
    "../../../../dev/null",
    "' OR '1'='1",
    "k1' --",
    "http://127.0.0.1:1/k",
    "k" * 200,
)


@pytest.mark.parametrize("kid", KIDS)
async def test_an_id_is_looked_up_as_it_stands_and_leads_nowhere_else(kid: str) -> None:
    two = set_of(jwk_of(KEYS["RS256"], "k1"), jwk_of(make_key("RS256"), "k2"))
    tokens = await outside(body=two)
    with pytest.raises(KeyUnknown):
        tokens.read_user(signed(KEYS["RS256"], "RS256", claims(ANN), kid=kid))
    assert refused(tokens, signed(KEYS["RS256"], "RS256", claims(ANN), kid="k2"))
    assert refused(tokens, signed(KEYS["RS256"], "RS256", claims(ANN), kid=None))


async def test_a_key_in_the_header_does_not_verify_its_own_token() -> None:
    mine = make_key("RS256")
    for more in (
        {"jwk": jwk_of(mine, "k1")},
        {"jku": "http://127.0.0.1:1/"},
        {"x5c": ["MA=="]},
        {"x5u": "http://127.0.0.1:1/"},
    ):
        assert refused(await outside(), signed(mine, "RS256", claims(ANN), **more))


async def test_a_signature_is_not_taken_for_another_texts() -> None:
    tokens = await outside("ES256")
    head, body, signature = signed(KEYS["ES256"], "ES256", claims(ANN)).split(".")
    other = b64(json.dumps(claims(HOST)).encode())
    zero = b64(bytes(64))
    for token in (
        f"{head}.{other}.{signature}",
        f"{head}.{body}.{zero}",
        f"{head}.{body}.",
        f"{head}.{body}.{signature[:40]}",
    ):
        assert refused(tokens, token)


async def test_an_address_counts_only_if_the_issuer_has_verified_it() -> None:
    tokens = await outside(user_claim="email")

    def by(**said: Any) -> str:
        return signed(KEYS["RS256"], "RS256", claims("auth0|5", **said))

    read = tokens.read_user(by(email="ann@example.com", email_verified=True))
    assert (read.email, read.user_id) == ("ann@example.com", "")
    for said in (
        {"email": "ann@example.com"},
        {"email": "ann@example.com", "email_verified": False},
        {"email": "ann@example.com", "email_verified": "true"},
        {"email": "ann@example.com", "email_verified": 1},
        {"email": ["ann@example.com"], "email_verified": True},
        {"email": "ann@example.com\0", "email_verified": True},
        {"email": "\ud800@example.com", "email_verified": True},
        {"email": "a" * 400 + "@example.com", "email_verified": True},
        {"email_verified": True},
    ):
        assert refused(tokens, by(**said)), said


async def test_a_checked_token_is_checked_again_when_keys_change() -> None:
    issuer = Issuer("RS256", "https://id.example.com/keys", NAME, "interlock", retry_seconds=0, max_age_seconds=0)
    sent = [set_of(jwk_of(KEYS["RS256"], "k1"))]

    async def fetch() -> bytes:
        return sent[-1]

    keys = IssuerKeys(issuer, fetch, time.monotonic)
    tokens = Tokens(SECRET, SystemClock(), issuer=issuer, keys=keys)
    token = signed(KEYS["RS256"], "RS256", claims(ANN))
    assert (await tokens.user(token)).user_id == ANN
    sent.append(set_of(jwk_of(make_key("RS256"), "k2")))
    assert tokens.read_user(token).user_id == ANN
    await keys.look()
    with pytest.raises(KeyUnknown):
        await tokens.user(token)


# ---- key sets ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "change",
    [
        {"use": "enc"},
        {"alg": "RS512"},
        {"alg": "HS256"},
        {"alg": 5},
        {"kty": "oct", "k": "c2VjcmV0"},
        {"key_ops": ["encrypt"]},
        {"key_ops": "verify"},
        {"d": "AQAB"},
        {"n": "!"},
        {"n": ""},
        {"n": 5},
        {"e": ""},
        {"kid": 5},
        {"kid": "k" * 201},
        {"crv": "P-256"},
    ],
    ids=str,
)
def test_a_key_that_does_not_fit_is_passed_over(change: dict[str, Any]) -> None:
    good = jwk_of(KEYS["RS256"], "good")
    found = key_set(set_of(jwk_of(KEYS["RS256"], "k1") | change, good), "RS256")
    assert list(found.by_id) == ["good"]


@pytest.mark.parametrize(
    ("algorithm", "kind"),
    [("RS256", "RSA 1024"), ("ES256", "P-384"), ("EdDSA", "Ed448"), ("RS256", "ES256"), ("ES256", "EdDSA")],
)
def test_a_key_of_another_kind_or_too_short_is_passed_over(algorithm: str, kind: str) -> None:
    found = key_set(set_of(jwk_of(make_key(kind), "k1"), jwk_of(KEYS[algorithm], "k2")), algorithm)
    assert list(found.by_id) == ["k2"]
    assert found.lone is found.by_id["k2"]


def test_an_id_that_two_keys_have_names_neither() -> None:
    twice = [jwk_of(make_key("ES256"), "k1") for _ in range(2)]
    found = key_set(set_of(*twice, jwk_of(KEYS["ES256"], "k2")), "ES256")
    assert list(found.by_id) == ["k2"]
    assert found.key(None) is None


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"{}",
        b'{"keys":{}}',
        b'{"keys":[]}',
        b'{"keys":[5,null,"x",[]]}',
        b"\xff",
        b"[" * 100_000,
        b'{"keys":' + b"[" * 100_000,
    ],
    ids=lambda body: body[:12].decode(errors="replace"),
)
def test_what_is_no_set_with_a_key_of_use_is_refused(body: bytes) -> None:
    with pytest.raises(BadKeySet):
        key_set(body, "RS256")


def test_a_set_of_too_many_keys_is_refused() -> None:
    with pytest.raises(BadKeySet):
        key_set(set_of(*[{"kty": "RSA"}] * (MOST_KEYS + 1)), "RS256")


def test_the_library_still_binds_a_key_to_its_algorithm() -> None:
    key = key_set(set_of(jwk_of(KEYS["RS256"], "k1")), "RS256").by_id["k1"]
    with pytest.raises(jwt.InvalidAlgorithmError):
        jwt.decode(
            signed(KEYS["RS256"], "RS512", claims(ANN)), key, algorithms=["RS256", "RS512"], audience="interlock"
        )
