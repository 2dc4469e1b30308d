"""A handler that loses a connection of its own has failed; only a client that has gone is passed over."""

import logging
from collections import Counter
from types import SimpleNamespace
from typing import Any
from unittest.mock import Mock

import pytest
from aiohttp import ClientConnectionResetError, web
from aiohttp.test_utils import make_mocked_request

from web.app import _answer
from web.services import SERVICES


async def answered(error: Exception, *, closing: bool) -> tuple[int, Any]:
    """The status of the answer when the handler raises that, and the metrics of the server."""
    app = web.Application()
    limits = SimpleNamespace(access_log_share=0, retry_after_seconds=2)
    services: Any = SimpleNamespace(
        web_limits=limits, clock=SimpleNamespace(chance=lambda: 0.5), metrics=SimpleNamespace(responses=Counter())
    )
    app[SERVICES] = services
    transport = Mock(is_closing=lambda: closing)
    request = make_mocked_request("GET", "/", app=app, transport=transport)

    async def fail(_: web.Request) -> web.StreamResponse:
        raise error

    response = await _answer(request, fail)
    return response.status, services.metrics.responses


@pytest.mark.parametrize("error", [TimeoutError("the disk"), ConnectionRefusedError("Redis"), KeyError("a bug")])
async def test_an_error_is_logged_while_the_client_is_there(error: Exception, caplog: pytest.LogCaptureFixture) -> None:
    status, counted = await answered(error, closing=False)
    assert (status, counted) == (503, {503: 1})
    (line,) = [each for each in caplog.records if each.levelno >= logging.ERROR]
    assert line.exc_info is not None
    assert line.exc_info[1] is error


@pytest.mark.parametrize(
    ("error", "closing"),
    [(TimeoutError(), True), (ConnectionResetError(), True), (ClientConnectionResetError("closing"), False)],
)
async def test_a_client_that_has_gone_is_no_error(
    error: Exception, closing: bool, caplog: pytest.LogCaptureFixture
) -> None:
    status, _ = await answered(error, closing=closing)
    assert status == 503
    assert not [each for each in caplog.records if each.levelno >= logging.WARNING]
