"""Lists page by page: `limit`, a `cursor` that is the last item's id, and a `Link` to the next page."""

from collections.abc import Sequence
from typing import NamedTuple, Protocol, TypeVar

from aiohttp import web

from interlock.errors import InvalidRequest
from interlock.ids import is_id
from web.parsing import whole_number

PAGE = 50
MOST = 200


class _Known(Protocol):
    @property
    def id(self) -> str: ...


Item = TypeVar("Item", bound=_Known)


class Asked(NamedTuple):
    """The part of a list that is wanted: so many items behind that id."""

    after: str
    limit: int

    @property
    def one_more(self) -> int:
        """How many to read, so that it shows whether there is a next page."""
        return self.limit + 1


def asked(request: web.Request, *, most: int = MOST, default: int = PAGE) -> Asked:
    """What the query asks for."""
    cursor = request.query.get("cursor", "")
    if cursor and not is_id(cursor):
        raise InvalidRequest.at("?cursor", "expected a cursor that an earlier page gave")
    return Asked(cursor, how_many(request, most=most, default=default))


def how_many(request: web.Request, *, most: int = MOST, default: int = PAGE) -> int:
    """The `limit` that the query asks for."""
    return whole_number(request.query.get("limit"), "limit", least=1, most=most, default=default)


def cut(rows: Sequence[Item], page: Asked) -> tuple[Sequence[Item], str | None]:
    """The page's items, and the cursor of the next one."""
    items = rows[: page.limit]
    return items, items[-1].id if len(rows) > page.limit else None


def link(request: web.Request, cursor: str | None) -> dict[str, str]:
    """The header that leads to the next page, if there is one."""
    return {} if cursor is None else {"Link": f'<{request.rel_url.update_query(cursor=cursor)}>; rel="next"'}
