"""The words in which a route is described: what it takes, and all that it may answer."""

from typing import Any, Literal, NamedTuple

import msgspec

from interlock.errors import InterlockError
from web.services import WebLimits

Schema = dict[str, Any]
Shape = type[msgspec.Struct]
Problem = type[InterlockError]

JSON = "application/json"
ASCII = "^[ -~]*$"
ID = "^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$"
UUID: Schema = {"type": "string", "format": "uuid"}
FLAG: Schema = {"type": "string", "default": "0"}  # `1` and `true` mean yes, anything else no
PRINTABLE = (
    r"^[^\u0000-\u001f\u007f-\u009f]*$"  # what is not printable beyond ASCII is refused too; no pattern says that
)
NAMED = r"^[^\u0000-\u001f\u007f-\u009f]*[^\u0000-\u0020\u007f-\u009f][^\u0000-\u001f\u007f-\u009f]*$"  # not blank


class Param(NamedTuple):
    """A parameter in the query or in a header; none is ever required, but for those that say so."""

    name: str
    schema: Schema
    text: str
    where: Literal["query", "header"] = "query"
    required: bool = False


class Body(NamedTuple):
    """What a request carries. `most` names the setting among `WebLimits` that bounds its bytes."""

    shape: Shape | None  # None: bytes of any kind
    required: bool = True
    media: str = JSON
    most: str = "max_body_bytes"
    documented: bool = True  # False: it is read, to be refused unless it is empty or `{}`

    def bound(self, limits: WebLimits) -> int:
        """How many bytes it may have."""
        most: int = getattr(limits, self.most)
        return most


class Answer(NamedTuple):
    """A way in which it goes well."""

    status: int
    text: str
    shape: Shape | None = None
    headers: tuple[str, ...] = ()
    media: str = JSON
    also: tuple[str, ...] = ()  # other media types, for who asks for them


class Operation(NamedTuple):
    """One route. `problems` are those that neither the guard nor the body brings along; `plain` are statuses that may be
    answered in plain text too, as a protocol's library does.
    """

    id: str
    tag: str
    text: str
    answers: tuple[Answer, ...]
    body: Body | None = None
    params: tuple[Param, ...] = ()
    problems: tuple[Problem, ...] = ()
    detail: str = ""
    plain: tuple[int, ...] = ()


def whole(least: int, most: int, default: int | None = None) -> Schema:
    """A whole number within bounds."""
    bounds: Schema = {"type": "integer", "minimum": least, "maximum": most}
    return bounds if default is None else bounds | {"default": default}


def printable(most: int) -> Schema:
    """Up to so many printable characters."""
    return {"type": "string", "maxLength": most, "pattern": PRINTABLE}


def name(most: int = 200) -> Schema:
    """The same, and not blank."""
    return {"type": "string", "minLength": 1, "maxLength": most, "pattern": NAMED}


def text(most: int, least: int = 0) -> Schema:
    """So many characters."""
    return {"type": "string", "maxLength": most} | ({"minLength": least} if least else {})


NOTHING = Body(None, required=False, documented=False)
