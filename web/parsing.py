"""Bytes from outside become values here, or a clear refusal. One decoder is used everywhere.

What is refused, since two databases would else differ or break: NULs, lone surrogates, integers beyond 64 bits, nesting
deeper than a setting, invalid UTF-8, non-finite numbers. Every check is a scan of the raw bytes, for a walk over a large
document would hold the loop for longer than the decoding; only to name the place of a mistake in a small one is it walked.
"""

import re
from functools import lru_cache
from itertools import accumulate
from typing import Any, TypeVar

import msgspec
from aiohttp import web

from interlock.errors import InvalidRequest, PayloadTooLarge, UnsupportedMediaType
from web.edge import whole_body

Value = TypeVar("Value")

_ALL_ZEROS = bytes.maketrans(b"123456789", b"000000000")
_LONG_NUMBER = b"0" * 17  # after `_ALL_ZEROS`: a quarter of what a regular expression takes
_LONG_INTEGER = re.compile(rb"(?<![0-9.eE+-])-?[0-9]{19,}(?![0-9.eE])")
_PATH = re.compile(r" - at `(\$.*)`$")
_FIELD = re.compile(r"(?:unknown|required) field `([^`]{1,100})`$")
_INT64 = range(-(2**63), 2**63)
_INT64_DIGITS = 20  # with the sign; what has more cannot fit
_ONLY_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))  # what to leave out
_DEEPER = {ord("["): 1, ord("{"): 1, ord("]"): -1, ord("}"): -1}
_SMALL = 65_536  # bytes of a document whose mistakes are worth a walk: a few ms
_decode_any = msgspec.json.Decoder().decode


async def read_json(request: web.Request, max_bytes: int) -> bytes:
    """The body of a request that must be uncompressed JSON of at most `max_bytes`; empty when there is none."""
    headers = request.headers
    if headers.get("Content-Encoding", "identity").lower() != "identity":
        raise UnsupportedMediaType("Compressed bodies are not read")
    if (request.content_length or 0) > max_bytes:
        raise PayloadTooLarge(f"The body may have {max_bytes} bytes")
    body = await whole_body(request)
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
    path, why = (found[1], text[: found.start()]) if found else ("$", text)
    field = _FIELD.search(why)
    return InvalidRequest.at(f"{path}.{field[1]}" if field else path, why)


@lru_cache(maxsize=4)
def _items_decoder(name: str, most: int) -> "msgspec.json.Decoder[Any]":
    items = msgspec.defstruct(
        "Items", [(f"at_{i}", msgspec.Raw, msgspec.Raw()) for i in range(most + 1)], array_like=True
    )
    return msgspec.json.Decoder(msgspec.defstruct("Listed", [(name, items)], forbid_unknown_fields=True))


def raw_items(body: bytes, name: str, most: int) -> list[msgspec.Raw]:
    """The items of `{name: […]}`, each as it came and not yet inspected; `InvalidRequest` for more than `most`.

    The decoder passes over what is too many. A list would first be made of it: of 16 MB of `{}` in half a second.
    """
    found = decode(body, _items_decoder(name, most), 0)
    items = [item for item in msgspec.structs.astuple(getattr(found, name)) if item]
    if len(items) > most:
        raise InvalidRequest.at(f"$.{name}", f"up to {most} items at once")
    return items


def _inspect(body: bytes, max_depth: int) -> None:
    """`body` is known to be JSON, so its quotes, backslashes and brackets mean what they look like."""
    deep = body.count(b"[") + body.count(b"{") > max_depth
    nul = b"\\u0000" in body
    long = _LONG_NUMBER in body.translate(_ALL_ZEROS)
    if not (deep or nul or long):
        return
    lone = body.replace(b"\\\\", b"")  # each backslash that is left begins an escape
    if nul and b"\\u0000" in lone:
        raise _placed(body, max_depth, "text must not contain NUL")
    bare = b"".join(lone.replace(b'\\"', b"").split(b'"')[::2])  # without any text
    if deep and _depth(bare) > max_depth:
        raise _placed(body, max_depth, "nested too deeply")
    if long and not all(map(_fits, _LONG_INTEGER.findall(bare))):
        raise _placed(body, max_depth, "integers must fit 64 bits")


def _depth(bare: bytes) -> int:
    return max(accumulate(map(_DEEPER.__getitem__, bare.translate(None, _ONLY_BRACKETS))), default=0)


def _fits(digits: bytes) -> bool:
    return len(digits) <= _INT64_DIGITS and int(digits) in _INT64


def _placed(body: bytes, max_depth: int, message: str) -> InvalidRequest:
    """The mistake with its place, unless finding that would take long."""
    if len(body) <= _SMALL:
        try:
            _walk(_decode_any(body), "$", max_depth)
        except InvalidRequest as mistake:
            return mistake
    return InvalidRequest.at("$", message)


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
