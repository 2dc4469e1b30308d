"""Every way in which Interlock says no, and whose fault it is.

InterlockError
├── CallerError                 the caller should change the request
│   ├── InvalidRequest          400 invalid_request
│   ├── Unauthenticated         401 unauthenticated
│   ├── Forbidden               403 forbidden
│   ├── NotFound                404 not_found (also for another tenant's ids)
│   ├── MethodNotAllowed        405 method_not_allowed
│   ├── Conflict                409, carries `current`
│   │   ├── InvalidState        409 invalid_state
│   │   ├── Superseded          409 superseded
│   │   ├── AlreadyTaken        409 already_taken
│   │   └── IdempotencyConflict 409 idempotency_conflict
│   ├── PreconditionFailed      412 precondition_failed
│   ├── PayloadTooLarge         413 payload_too_large
│   ├── UnsupportedMediaType    415 unsupported_media_type
│   └── PayloadSchema           422 payload_schema
└── TryLater                    the caller may send the same again after `retry_after` seconds
    ├── QuotaExceeded           429 quota_exceeded
    ├── RateLimited             429 rate_limited
    ├── Unavailable             503 unavailable
    └── SetupRequired           503 setup_required
"""

from typing import Any, ClassVar, Self


class InterlockError(Exception):
    """A refusal with a stable `code`; `detail` is a sentence for a person."""

    status: ClassVar[int] = 500
    code: ClassVar[str] = "internal"
    title: ClassVar[str] = "Something went wrong"

    def __init__(self, detail: str = "") -> None:
        super().__init__(detail or self.title)
        self.detail = detail or self.title


class CallerError(InterlockError):
    """The request itself must change."""

    status = 400


class InvalidRequest(CallerError):
    """The request cannot be understood; `errors` lists what and where as `{path, message}`."""

    code = "invalid_request"
    title = "The request is not valid"

    def __init__(self, detail: str = "", errors: list[dict[str, str]] | None = None) -> None:
        super().__init__(detail)
        self.errors = errors or []

    @classmethod
    def at(cls, path: str, message: str) -> Self:
        """One mistake at one JSON path such as `$.runAt`."""
        return cls(f"{path}: {message}", [{"path": path, "message": message}])


class Unauthenticated(CallerError):
    """No credential, or one that does not hold."""

    status = 401
    code = "unauthenticated"
    title = "A valid credential is needed"


class Forbidden(CallerError):
    """The credential holds but does not allow this."""

    status = 403
    code = "forbidden"
    title = "Not allowed with this credential"


class NotFound(CallerError):
    """Nothing of that name for this caller."""

    status = 404
    code = "not_found"
    title = "Not found"


class MethodNotAllowed(CallerError):
    """The path exists, the method does not; `allowed` names those that do."""

    status = 405
    code = "method_not_allowed"
    title = "Method not allowed"

    def __init__(self, allowed: frozenset[str]) -> None:
        super().__init__(f"Allowed here: {', '.join(sorted(allowed))}")
        self.allowed = allowed


class Conflict(CallerError):
    """The present state does not allow it; `current` is that state, so that no second read is needed."""

    status = 409
    code = "invalid_state"
    title = "Conflict with the present state"

    def __init__(self, detail: str = "", current: Any = None) -> None:
        super().__init__(detail)
        self.current = current


class InvalidState(Conflict):
    """The table has no such move."""

    title = "The present state does not allow this"


class Superseded(Conflict):
    """A newer poll or process of the same host has taken over."""

    code = "superseded"
    title = "A newer one has taken over"


class AlreadyTaken(Conflict):
    """Another agent's ack of this job came first."""

    code = "already_taken"
    title = "Another agent has taken this job"


class IdempotencyConflict(Conflict):
    """The same Idempotency-Key came with another body."""

    code = "idempotency_conflict"
    title = "This Idempotency-Key was used with another body"


class PreconditionFailed(CallerError):
    """If-Match named another version."""

    status = 412
    code = "precondition_failed"
    title = "The resource has changed"


class PayloadTooLarge(CallerError):
    """A body or field is over its limit."""

    status = 413
    code = "payload_too_large"
    title = "Too large"


class UnsupportedMediaType(CallerError):
    """Only uncompressed JSON is read."""

    status = 415
    code = "unsupported_media_type"
    title = "Unsupported media type"


class PayloadSchema(InvalidRequest):
    """The payload does not fit its job type, or there is no such type."""

    status = 422
    code = "payload_schema"
    title = "The payload does not fit the job type"


class TryLater(InterlockError):
    """The same request may succeed after `retry_after` seconds."""

    status = 503
    code = "unavailable"
    title = "Try again later"

    def __init__(self, detail: str = "", *, retry_after: float = 1.0) -> None:
        super().__init__(detail)
        self.retry_after = retry_after


class QuotaExceeded(TryLater):
    """A quota on waiting work is used up."""

    status = 429
    code = "quota_exceeded"
    title = "Quota exceeded"


class RateLimited(TryLater):
    """Too many requests."""

    status = 429
    code = "rate_limited"
    title = "Too many requests"


class Unavailable(TryLater):
    """The server cannot decide this now; nothing is known to have changed."""

    title = "Unavailable for the moment"


class SetupRequired(TryLater):
    """No account exists yet."""

    code = "setup_required"
    title = "Set-up required: no account exists yet"


ALL_PROBLEMS: tuple[type[InterlockError], ...] = (
    InvalidRequest,
    Unauthenticated,
    Forbidden,
    NotFound,
    MethodNotAllowed,
    InvalidState,
    Superseded,
    AlreadyTaken,
    IdempotencyConflict,
    PreconditionFailed,
    PayloadTooLarge,
    UnsupportedMediaType,
    PayloadSchema,
    QuotaExceeded,
    RateLimited,
    Unavailable,
    SetupRequired,
)
