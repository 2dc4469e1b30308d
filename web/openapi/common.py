"""What many routes have in common: parameters and answers."""

from interlock.errors import IdempotencyConflict, InvalidState, NotFound, PreconditionFailed, QuotaExceeded
from web.openapi.description import ASCII, FLAG, ID, Answer, Param, Schema, Shape, whole
from web.pages import MOST, PAGE

ORG = "/api/orgs/{org_id}"
TIME: Schema = {"type": "string", "format": "date-time"}

_TAGS: Schema = {"type": "string"}

CURSOR = Param("cursor", {"type": "string", "pattern": f"^$|{ID}"}, "`nextCursor` of the page before.")
PAGED = (Param("limit", whole(1, MOST, PAGE), "How many items at most."), CURSOR)
FORCE = Param("force", FLAG, "`1` or `true` ends what is in the way.")
IDEMPOTENCY_KEY = Param(
    "Idempotency-Key",
    {"type": "string", "minLength": 1, "maxLength": 200, "pattern": ASCII},
    "The same key and body within 24 h gives the first answer again; another body is a conflict.",
    "header",
)
TRACE = (
    Param(
        "traceparent",
        {"type": "string"},
        "W3C Trace Context, handed to the agent; an invalid one is ignored.",
        "header",
    ),
    Param("tracestate", {"type": "string"}, "Goes with `traceparent`.", "header"),
)
IF_NONE_MATCH = Param("If-None-Match", _TAGS, "`ETag`s that are known: 304 when nothing has changed.", "header")
IF_MATCH = Param("If-Match", _TAGS, "`ETag`s of which one must be the present one, else 412.", "header")
IF_NEW = Param("If-None-Match", _TAGS, "`*`: only if there is none of that name yet, else 412.", "header")

PREFER_END = Param(
    "Prefer",
    {"type": "string"},
    "`wait=N`: the answer comes when the job has ended, or after N seconds at most. `Preference-Applied` says how long it"
    " would have waited; without that header too many wait already.",
    "header",
)

UNCHANGED = Answer(304, "Nothing has changed since that `ETag`.", headers=("ETag",))
GONE = Answer(204, "It is gone.")

NO_SUCH = (NotFound,)
IN_THE_WAY = (NotFound, InvalidState)
KEYED = (IdempotencyConflict,)
FULL = (QuotaExceeded,)
CHANGED = (PreconditionFailed,)


def ok(shape: Shape, words: str, *headers: str) -> Answer:
    """200 with a document."""
    return Answer(200, words, shape, headers)


def page(shape: Shape, words: str) -> Answer:
    """200 with a page of a list."""
    return Answer(200, words, shape, ("Link",))


def made(shape: Shape, words: str, *headers: str) -> Answer:
    """201 with what is new, and where it is."""
    return Answer(201, words, shape, ("Location", *headers))
