"""What a server's refusal means: problem+json becomes the error of `interlock.errors` with the same code.

A code that we do not know (a newer server, a proxy's page) becomes the nearest error of its status.
"""

import email.utils
import re
import time
from email.message import Message
from typing import Any

import msgspec

from interlock.errors import (
    ALL_PROBLEMS,
    CallerError,
    Conflict,
    Forbidden,
    InterlockError,
    InvalidRequest,
    MethodNotAllowed,
    NotFound,
    PayloadTooLarge,
    PreconditionFailed,
    RateLimited,
    TryLater,
    Unauthenticated,
    Unavailable,
    UnsupportedMediaType,
)

_BY_CODE = {kind.code: kind for kind in ALL_PROBLEMS}
_BY_STATUS: dict[int, type[InterlockError]] = {
    401: Unauthenticated,
    403: Forbidden,
    404: NotFound,
    409: Conflict,
    412: PreconditionFailed,
    413: PayloadTooLarge,
    415: UnsupportedMediaType,
    429: RateLimited,
    502: Unavailable,
    503: Unavailable,
    504: Unavailable,
}
_CLIENT_ERROR, _SERVER_ERROR = 400, 500


class Unreachable(TryLater):
    """Nothing answered at that address, or the connection broke: whether the request had an effect is unknown."""

    code = "unreachable"
    title = "The server does not answer"

    def __init__(self, detail: str = "") -> None:
        super().__init__(detail, retry_after=0.0)


class BadAnswer(InterlockError):
    """Something answered, but not as Interlock does: most often the URL names another service."""

    code = "bad_answer"
    title = "The answer is not one that Interlock gives"


class _Mistake(msgspec.Struct):
    path: str = "$"
    message: str = ""


class Problem(msgspec.Struct, rename="camel"):
    """An RFC 9457 document, every field optional: proxies answer too."""

    title: str = ""
    detail: str | None = None
    code: str = ""
    request_id: str | None = None
    errors: list[_Mistake] = []
    current: Any = None

    @classmethod
    def read(cls, body: bytes) -> "Problem":
        """The problem in `body`; an empty one when it is something else."""
        try:
            return msgspec.json.decode(body, type=cls)
        except (msgspec.DecodeError, RecursionError):
            return cls()


def problem_error(status: int, headers: Message, body: bytes) -> InterlockError:
    """The error that an answer of 400 or more stands for; the request's id, if any, is a note on it."""
    problem = Problem.read(body)
    error = _error(status, headers, problem)
    request_id = problem.request_id or headers.get("X-Request-Id")
    if request_id:
        error.add_note(f"request {request_id}")
    return error


def item_error(problem: Problem) -> InterlockError:
    """The error of one item of a batch, whose problem came inside a 200."""
    return _error(_CLIENT_ERROR, Message(), problem)


def _error(status: int, headers: Message, problem: Problem) -> InterlockError:
    kind = _BY_CODE.get(problem.code) or _BY_STATUS.get(status) or _generic(status)
    detail = problem.detail or problem.title or f"The server answered with HTTP {status} and no reason"
    if issubclass(kind, InvalidRequest):
        return kind(detail, [{"path": each.path, "message": each.message} for each in problem.errors])
    if issubclass(kind, Conflict):
        return kind(detail, problem.current)
    if issubclass(kind, TryLater):
        return kind(detail, retry_after=_retry_after(headers))
    if issubclass(kind, MethodNotAllowed):
        return kind(frozenset(re.findall(r"[A-Z]+", headers.get("Allow", ""))))
    return kind(detail)


def _generic(status: int) -> type[InterlockError]:
    return CallerError if status < _SERVER_ERROR else InterlockError


def _retry_after(headers: Message) -> float:
    """Seconds to wait: the header in either of HTTP's two forms, else one second."""
    text = headers.get("Retry-After", "").strip()
    if re.fullmatch(r"\d{1,9}(\.\d+)?", text, re.ASCII):
        return float(text)
    try:
        return max(0.0, email.utils.parsedate_to_datetime(text).timestamp() - time.time())
    except (ValueError, OverflowError):
        return 1.0
