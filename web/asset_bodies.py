"""What comes with a file besides its bytes: a name, a type and what it should hash to. None of it is trusted."""

import base64
import binascii
import re
from collections.abc import Mapping

from interlock.errors import InvalidRequest

MAX_NAME = 255  # bytes of UTF-8
MAX_TYPE = 100
ANY_TYPE = "application/octet-stream"
_TYPE = re.compile(r"[a-z0-9][a-z0-9!#$&^_.+-]*/[a-z0-9][a-z0-9!#$&^_.+-]*", re.ASCII)
_HEX = re.compile(r"[0-9a-fA-F]{64}", re.ASCII)
_DIGEST = re.compile(r"sha-256=:([A-Za-z0-9+/]{43}=):", re.ASCII)
_PLAIN = re.compile(r"[^A-Za-z0-9 ._()-]", re.ASCII)


def name_from(text: str) -> str:
    """A file's name, as it will be shown; `InvalidRequest` for what is no plain name. It is never used as a path."""
    size = len(text.encode(errors="replace"))
    if not 0 < size <= MAX_NAME or not text.isprintable() or text.strip(" .") == "" or "/" in text or "\\" in text:
        message = f"expected a file name of up to {MAX_NAME} bytes, printable and without slashes"
        raise InvalidRequest.at("name", message)
    return text


def type_from(header: str | None) -> str:
    """The media type without parameters; what does not look like one becomes `application/octet-stream`."""
    kind = (header or "").partition(";")[0].strip().lower()
    return kind if len(kind) <= MAX_TYPE and _TYPE.fullmatch(kind) else ANY_TYPE


def sha256_from(headers: Mapping[str, str]) -> str | None:
    """What the body should hash to, in hex: `X-Content-SHA256`, or `Content-Digest: sha-256=:…:` (RFC 9530)."""
    given = headers.get("X-Content-SHA256")
    if given is not None and not _HEX.fullmatch(given.strip()):
        raise InvalidRequest.at("X-Content-SHA256", "expected 64 hexadecimal digits")
    wanted = None if given is None else given.strip().lower()
    for member in headers.get("Content-Digest", "").split(","):
        digest = _digest(member.strip())
        if digest is not None and wanted not in {None, digest}:
            raise InvalidRequest.at("Content-Digest", "it says something else than X-Content-SHA256")
        wanted = digest or wanted
    return wanted


def _digest(member: str) -> str | None:
    """The digest in one member of `Content-Digest`; algorithms other than SHA-256 are passed over."""
    if not member.startswith("sha-256="):
        return None
    found = _DIGEST.fullmatch(member)
    try:
        return base64.b64decode(found[1], validate=True).hex() if found else _bad_digest()
    except binascii.Error:
        return _bad_digest()


def _bad_digest() -> str:
    raise InvalidRequest.at("Content-Digest", "expected sha-256=:…: with 32 bytes in base64")


def disposition(name: str) -> str:
    """The header that makes every browser save the file: RFC 6266, with the name as it is (RFC 5987) and a plain one."""
    plain = _PLAIN.sub("_", name)
    exact = "".join(chr(byte) if _is_token(byte) else f"%{byte:02X}" for byte in name.encode())
    return f"attachment; filename=\"{plain}\"; filename*=UTF-8''{exact}"


def _is_token(byte: int) -> bool:
    return byte < 128 and (chr(byte).isalnum() or chr(byte) in "!#$&+-.^_`|~")  # noqa: PLR2004 - ASCII
