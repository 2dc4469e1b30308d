"""How the groups of a client's methods speak: paths, bodies, typed answers, lists page by page."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Generic, NamedTuple, Protocol, TypeVar
from urllib.parse import quote

import msgspec

from interlock.client.problems import BadAnswer
from interlock.client.transport import Answer
from interlock.errors import InvalidRequest

T = TypeVar("T")
Item = TypeVar("Item")
Item_co = TypeVar("Item_co", covariant=True)
Method = TypeVar("Method", bound=Callable[..., Any])
Query = Mapping[str, str | int]

NOT_MODIFIED = 304


class Sender(Protocol):
    """Who sends requests; see `Client.request`."""

    def request(
        self,
        method: str,
        path: str,
        *,
        body: Any = None,
        query: Query | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """The answer of any route."""


class Page(Protocol[Item_co]):
    """One page of any list."""

    @property
    def items(self) -> Sequence[Item_co]:
        """What is on it."""

    @property
    def next_cursor(self) -> str | None:
        """Leads to the next page; None on the last one."""


class Tagged(NamedTuple, Generic[T]):
    """What a route shows, and the version of it that `if_match` and `unless` understand."""

    value: T
    etag: str


def operation(name: str) -> Callable[[Method], Method]:
    """Says which operation of the OpenAPI document a method is; a test compares the two."""

    def mark(method: Method) -> Method:
        method.operation = name  # type: ignore[attr-defined]  # functions take attributes
        return method

    return mark


class Calls:
    """A group of methods over one sender."""

    def __init__(self, sender: Sender) -> None:
        self._sender = sender

    def _call(
        self,
        kind: type[T],
        method: str,
        path: str,
        body: Any = None,
        *,
        query: Mapping[str, Any] | None = None,
        headers: Mapping[str, str | None] | None = None,
    ) -> T:
        """The answer's body as `kind`. What is None in the query or the headers stays away."""
        return read(self._send(method, path, body, query=query, headers=headers), kind)

    def _send(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        query: Mapping[str, Any] | None = None,
        headers: Mapping[str, str | None] | None = None,
    ) -> Answer:
        return self._sender.request(method, path, body=body, query=_given(query), headers=_given(headers))

    def _tagged(self, kind: type[T], path: str, unless: str | None) -> Tagged[T] | None:
        """What is there, with its tag; None while it is still that of `unless`."""
        answer = self._send("GET", path, headers={"If-None-Match": unless})
        if answer.status == NOT_MODIFIED:
            return None
        return Tagged(read(answer, kind), answer.headers.get("ETag", ""))


def every(page_at: Callable[[str | None], Page[Item]]) -> Iterator[Item]:
    """The items of all pages, each page asked for when it is needed; `page_at` is given the cursor."""
    cursor: str | None = None
    while True:
        page = page_at(cursor)
        yield from page.items
        if page.next_cursor is None:
            return
        if page.next_cursor == cursor:
            raise BadAnswer("The server's next page is the same page again")
        cursor = page.next_cursor


def read(answer: Answer, kind: type[T]) -> T:
    """The body as `kind`; `BadAnswer` when it is something else."""
    try:
        return msgspec.json.decode(answer.body, type=kind)
    except (msgspec.DecodeError, RecursionError) as error:
        raise BadAnswer(f"The answer is not one that Interlock gives ({error}): is this its URL?") from error


def path(*parts: str) -> str:
    """`/api/…`; each part is quoted so that no id can climb out of its place."""
    return "/".join(("/api", *map(part, parts)))


def in_org(org_id: str, *parts: str) -> str:
    """`/api/orgs/{orgId}/…`."""
    return path("orgs", org_id, *parts)


def part(text: str) -> str:
    """One part of a path, quoted; `InvalidRequest` for what would be another place."""
    if text in {"", ".", ".."}:
        raise InvalidRequest.at("id", f"expected an id, not {text!r}")
    return quote(text, safe="", errors="replace")


def without_nones(struct: msgspec.Struct) -> dict[str, Any]:
    """The struct's fields by their wire names, without those that say nothing."""
    names = zip(struct.__struct_encode_fields__, struct.__struct_fields__, strict=True)
    fields = {wire_name: getattr(struct, name) for wire_name, name in names}
    return {name: field for name, field in fields.items() if field is not None and field is not msgspec.UNSET}


def force(wanted: bool) -> int | None:
    """A flag in a query: absent unless it is wanted."""
    return 1 if wanted else None


def _given(pairs: Mapping[str, Any] | None) -> dict[str, Any] | None:
    return {name: value for name, value in (pairs or {}).items() if value is not None} or None
