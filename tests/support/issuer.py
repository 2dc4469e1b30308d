"""An issuer of tokens outside, with keys of any kind, and its key set on a real server of this machine."""

import base64
import hashlib
import hmac
import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self

from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa
from jwt import api_jws
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

NAME = "https://id.example.com/"
PrivateKey = Any

_MAKES: dict[str, Any] = {
    "RS256": lambda: rsa.generate_private_key(65537, 2048),
    "ES256": lambda: ec.generate_private_key(ec.SECP256R1()),
    "EdDSA": ed25519.Ed25519PrivateKey.generate,
    "RSA 1024": lambda: rsa.generate_private_key(65537, 1024),  # noqa: S505 - which is the point
    "P-384": lambda: ec.generate_private_key(ec.SECP384R1()),
    "Ed448": ed448.Ed448PrivateKey.generate,
}


def make_key(kind: str) -> PrivateKey:
    """A private key for an algorithm, or one that does not fit any."""
    return _MAKES[kind]()


def jwk_of(key: PrivateKey, kid: str | None = None, **more: Any) -> dict[str, Any]:
    """The public half as an issuer publishes it."""
    writer: Any = {
        "RSA": RSAAlgorithm,
        "ECP": ECAlgorithm,
        "ECD": ECAlgorithm,
        "Ed2": OKPAlgorithm,
        "Ed4": OKPAlgorithm,
    }
    kind = type(key).__name__.lstrip("_")[:3]
    made: dict[str, Any] = writer[kind if kind in writer else "ECP"].to_jwk(key.public_key(), as_dict=True)
    made.pop("key_ops", None)
    return made | ({} if kid is None else {"kid": kid}) | more


def set_of(*keys: dict[str, Any]) -> bytes:
    """A key set as it travels."""
    return json.dumps({"keys": keys}).encode()


def claims(user_id: str, **more: Any) -> dict[str, Any]:
    """A good token's; None leaves a claim out."""
    now = int(time.time())
    made = {"iss": NAME, "aud": "interlock", "sub": user_id, "iat": now, "exp": now + 600, **more}
    return {name: value for name, value in made.items() if value is not None}


def signed(key: PrivateKey, algorithm: str, said: dict[str, Any], kid: str | None = "k1", **header: Any) -> str:
    """A token by that key."""
    headers = ({} if kid is None else {"kid": kid}) | header
    return api_jws.encode(json.dumps(said).encode(), key, algorithm, headers=headers)


def b64(text: bytes) -> str:
    return base64.urlsafe_b64encode(text).rstrip(b"=").decode()


def hmac_signed(secret: bytes, header: str, said: str) -> str:
    """A token by HS256 whose parts are written as they are given, as no library would."""
    signing = f"{b64(header.encode())}.{b64(said.encode())}"
    return f"{signing}.{b64(hmac.digest(secret, signing.encode(), hashlib.sha256))}"


class KeyServer:
    """Serves `/keys` on a free port of this machine; what it says can be changed at any time."""

    def __init__(self, body: bytes = b"") -> None:
        self.status = 200
        self.body = body
        self.headers: dict[str, str] = {}
        self.asked = 0
        self.hold: threading.Event | None = None  # while it is there and not set, nobody is answered
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                outer.asked += 1
                if outer.hold is not None:
                    outer.hold.wait(20)
                self.send_response(outer.status)
                for name, value in outer.headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(outer.body)))
                self.end_headers()
                self.wfile.write(outer.body)

            def log_message(self, *_: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02})

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}/keys"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self.hold is not None:
            self.hold.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
