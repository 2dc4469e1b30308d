"""What keeps the agent from the server, in words for its log."""

import os
import ssl

import aiohttp

from interlock.agent.text import clean
from interlock.errors import Forbidden, InterlockError, Superseded, Unauthenticated

MAX_DETAIL = 300  # characters of a library's sentence that go into the log
_NOT_REACHED = "cannot reach "


def why(error: InterlockError) -> str:
    """What came of an attempt to reach the server."""
    if isinstance(error, (Unauthenticated, Forbidden)):
        return f"the server does not accept this agent key ({error.detail})"
    if isinstance(error, Superseded):
        return f"another process with this agent's key has taken over ({error.detail})"
    return error.detail if error.detail.startswith(_NOT_REACHED) else f"the server cannot be reached ({error.detail})"


def network_sentence(error: Exception, url: str) -> str:
    """An error of the network or its library on the way to `url`; where no connection came about, the plain reason."""
    if not isinstance(error, aiohttp.ClientConnectorError):
        return clean(str(error))[:MAX_DETAIL] or type(error).__name__
    return f"{_NOT_REACHED}{url}: {clean(_reason(error))[:MAX_DETAIL]}"


def _reason(error: aiohttp.ClientConnectorError) -> str:
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        said = error.certificate_error
        return f"its certificate does not hold ({getattr(said, 'verify_message', said)})"
    cause = error.os_error
    if isinstance(cause, ssl.SSLError):
        return f"no TLS is spoken there ({cause.reason or cause}); is it http://?"
    if cause.errno is not None and cause.errno > 0:
        return _lowered(os.strerror(cause.errno))
    return _lowered(cause.strerror or str(cause) or type(cause).__name__)


def _lowered(sentence: str) -> str:
    return sentence[:1].lower() + sentence[1:]
