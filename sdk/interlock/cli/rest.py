"""Routes of the API that commands use: paths, typed answers, and lists page by page."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Protocol, TypeVar
from urllib.parse import quote

import msgspec

from interlock.client import BadAnswer, Client

T = TypeVar("T")
Item = TypeVar("Item")
Item_co = TypeVar("Item_co", covariant=True)

PAGE = 200  # items in one answer, the most that the server gives


class Page(Protocol[Item_co]):
    """One page of any list."""

    @property
    def items(self) -> Sequence[Item_co]:
        """What is on it."""

    @property
    def next_cursor(self) -> str | None:
        """Leads to the next page; None on the last one."""


def path(*parts: str) -> str:
    """`/api/…` of those parts, each quoted so that none can climb out of its place."""
    return "/".join(("/api", *(quote(part, safe="", errors="replace") for part in parts)))


def call(
    client: Client, kind: type[T], method: str, where: str, body: object = None, query: Mapping[str, str] | None = None
) -> T:
    """The answer of a route as `kind`. Fields of a body that are None stay away."""
    return read(client.request(method, where, body=_bare(body), query=query).body, kind)


def delete(client: Client, where: str, query: Mapping[str, str] | None = None) -> None:
    """A `DELETE`, which answers nothing."""
    client.request("DELETE", where, query=query)


def read(body: bytes, kind: type[T]) -> T:
    """The decoded body; `BadAnswer` when it is something else."""
    try:
        return msgspec.json.decode(body, type=kind)
    except (msgspec.DecodeError, RecursionError) as error:
        raise BadAnswer(f"The answer is not one that Interlock gives ({error}): is this its URL?") from error


def every(
    client: Client, kind: type[Page[Item]], where: str, query: Mapping[str, str] | None = None, page: int = PAGE
) -> Iterator[Item]:
    """All items of a list, read page by page as they are used."""
    cursor: str | None = None
    while True:
        asked = {**(query or {}), "limit": str(page)} | ({"cursor": cursor} if cursor else {})
        found = call(client, kind, "GET", where, query=asked)
        yield from found.items
        if found.next_cursor is None:
            return
        if found.next_cursor == cursor:
            raise BadAnswer("The server's next page is the same page again")
        cursor = found.next_cursor


def _bare(body: object) -> Any:
    """A request's fields by their wire names, without those that say nothing."""
    if not isinstance(body, msgspec.Struct):
        return body
    fields = msgspec.to_builtins(body, str_keys=True)
    return {name: value for name, value in fields.items() if value is not None}
