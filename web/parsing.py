"""Bytes from outside become values here, or a clear refusal. One decoder is used everywhere.

What is refused, since two databases would else differ or break: NULs, lone surrogates, integers beyond 64 bits, nesting
deeper than a setting, invalid UTF-8, non-finite numbers. Every check is a scan of the raw bytes first; only what looks
suspicious is walked.
"""

import re
from typing import Any, TypeVar

import msgspec
from aiohttp import web

from interlock.errors import InvalidRequest, PayloadTooLarge, UnsupportedMediaType

Value = TypeVar("Value")

_LONG_NUMBER = re.compile(rb"[0-9]{17}")
_PATH = re.compile(r" - at `(\$.*)`$")
_INT64 = range(-(2**63), 2**63)
_decode_any = msgspec.json.Decoder().decode


async def read_json(request: web.Request, max_bytes: int) -> bytes:
    """The body of a request that must be uncompressed JSON of at most `max_bytes`; empty when there is none."""
    headers = request.headers
    if headers.get("Content-Encoding", "identity").lower() != "identity":
        raise UnsupportedMediaType("Compressed bodies are not read")
    if (request.content_length or 0) > max_bytes:
        raise PayloadTooLarge(f"The body may have {max_bytes} bytes")
    body = await request.read()
    if len(body) > max_bytes:
        raise PayloadTooLarge(f"The body may have {max_bytes} bytes")
    if body and "Content-Type" in headers and not _is_json(request.content_type):
        raise UnsupportedMediaType(f"Expected application/json, not {request.content_type[:100]}")
    return body


def _is_json(content_type: str) -> bool:
    return content_type == "application/json" or content_type.endswith("+json")


def decode(body: bytes, decoder: "msgspec.json.Decoder[Value]", max_depth: int) -> Value:
    """The value, or `InvalidRequest` that says where the mistake is. `max_depth` 0: the items are inspected later."""
    try:
        value = decoder.decode(body)
        if not body.isascii():
            body.decode()  # fields that are passed over are not looked at by the decoder
        if max_depth:
            _inspect(body, max_depth)
    except msgspec.ValidationError as error:
        raise _mistake(str(error)) from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise InvalidRequest(f"The body is not JSON: {error}") from error
    except RecursionError as error:
        raise InvalidRequest("The body is nested too deeply") from error
    return value


def _mistake(text: str) -> InvalidRequest:
    found = _PATH.search(text)
    return InvalidRequest.at(found[1], text[: found.start()]) if found else InvalidRequest.at("$", text)


def _inspect(body: bytes, max_depth: int) -> None:
    deep = body.count(b"[") + body.count(b"{") > max_depth
    if deep or b"\\u0000" in body or _LONG_NUMBER.search(body):
        _walk(_decode_any(body), "$", max_depth)


def _walk(value: Any, path: str, depth: int) -> None:
    if isinstance(value, str):
        if "\0" in value:
            raise InvalidRequest.at(path, "text must not contain NUL")
    elif isinstance(value, dict):
        _deeper(path, depth)
        for key, item in value.items():
            _walk(key, path, depth)
            _walk(item, f"{path}.{key[:50]}", depth - 1)
    elif isinstance(value, list):
        _deeper(path, depth)
        for place, item in enumerate(value):
            _walk(item, f"{path}[{place}]", depth - 1)
    elif isinstance(value, int) and value not in _INT64:
        raise InvalidRequest.at(path, "integers must fit 64 bits")


def _deeper(path: str, depth: int) -> None:
    if depth <= 0:
        raise InvalidRequest.at(path[:200], "nested too deeply")


def whole_number(text: str | None, name: str, *, least: int, most: int, default: int) -> int:
    """A query parameter as a whole number within bounds."""
    if text is None:
        return default
    if not text.isascii() or not text.isdigit() or len(text) > 18 or not least <= int(text) <= most:  # noqa: PLR2004
        raise InvalidRequest.at(f"?{name}", f"expected a whole number from {least} to {most}")
    return int(text)


def clean_text(text: str | None, name: str, most: int) -> str | None:
    """A query parameter or header as short printable text."""
    if text is None or text == "":
        return None
    if len(text) > most or not text.isprintable():
        raise InvalidRequest.at(f"?{name}", f"expected up to {most} printable characters")
    return text
