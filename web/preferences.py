"""`Prefer` (RFC 7240): what a client would like, and nothing is refused for."""

import re

from aiohttp import web

APPLIED = "Preference-Applied"  # the header that says which preference was heeded
_NUMBER = re.compile(r"-?[0-9]+(\.[0-9]+)?", re.ASCII)
_MOST = 1_000_000  # seconds


def preferred_wait(request: web.Request) -> int | None:
    """The whole seconds of the first `wait` that is a number, 0 if it is negative; None without one. Not yet clamped."""
    for preference in ",".join(request.headers.getall("Prefer", ())).split(","):
        name, _, value = preference.partition(";")[0].partition("=")
        number = value.strip().strip('"')
        if name.strip().lower() == "wait" and is_number(number):
            return whole_seconds(number)
    return None


def is_number(text: str) -> bool:
    """Whether it is one in digits, perhaps with a sign and a fraction."""
    return _NUMBER.fullmatch(text) is not None


def whole_seconds(number: str) -> int:
    """Without its fraction; 0 for a negative one, and never more than a million."""
    whole = number.partition(".")[0]
    return 0 if whole.startswith("-") else min(int(whole[:18]), _MOST)
