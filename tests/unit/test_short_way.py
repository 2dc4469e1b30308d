"""Both ways from a request to its handler lead to the same place."""

import pytest
from aiohttp import web
from aiohttp.test_utils import make_mocked_request

from web.routes import ROUTES, Route
from web.short_way import ShortWay

PLAIN = [route for route in ROUTES if "{" not in route.path or ":" not in route.path]
SAMPLE = "01a203ff-b4ce-7085-b842-c5b396e0a398"


async def _answer(_: web.Request) -> web.Response:
    return web.Response()


@pytest.fixture(scope="module")
def app() -> web.Application:
    return web.Application()


@pytest.fixture(scope="module")
def short_way(app: web.Application) -> ShortWay:
    async def around(_: web.Request, __: object) -> web.Response:
        return web.Response()

    way = ShortWay(app, around)
    for route in ROUTES:
        way.add(app.router.add_route(route.method, route.path, _answer), route.path)
    return way


def _sample(path: str) -> str:
    return "/".join(SAMPLE if part.startswith("{") else part for part in path.split("/"))


@pytest.mark.parametrize("route", PLAIN, ids=lambda route: f"{route.method} {route.path}")
async def test_every_plain_route_is_found_where_aiohttp_finds_it(
    app: web.Application, short_way: ShortWay, route: Route
) -> None:
    path = _sample(route.path)
    theirs = await app.router.resolve(make_mocked_request(route.method, path))
    found = short_way.find(route.method, path)
    assert found is not None
    assert (found[0], found[1]) == (theirs.route, dict(theirs))
    assert found[0].resource is not None
    assert found[0].resource.canonical == route.path


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/api/orgs/a%2fb/jobs"),  # escaped
        ("GET", "/api/orgs//jobs"),  # without a part
        ("GET", "/api/orgs/a/jobs/"),  # with one too many
        ("GET", "/api/orgs/a/nothing"),
        ("GET", ""),
        ("GET", "*"),
        ("PUT", "/api/orgs/a/jobs"),  # a method that the path does not have
        ("HEAD", "/healthz"),
        ("GET", "/api/orgs/a/jobs/batch"),  # its neighbour's: a job of that name is asked for
    ],
)
async def test_what_is_unusual_is_left_to_aiohttp(short_way: ShortWay, method: str, path: str) -> None:
    assert short_way.find(method, path) is None
