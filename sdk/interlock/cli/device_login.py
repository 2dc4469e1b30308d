"""Signing in by way of a browser, on this machine or any other: a code is shown here, and typed there."""

import getpass
import platform
import time

import click

from interlock.cli.connection import CONNECT_SECONDS
from interlock.cli.exits import Exit, printable
from interlock.cli.open_page import has_screen
from interlock.cli.output import say
from interlock.client import Client
from interlock.errors import Forbidden, InterlockError, NotFound, TryLater, Unauthenticated
from interlock.sessions import AskToSignIn, DeviceLogin, TakeToken

READ_SECONDS = 30.0
MAX_NAME = 100  # characters that the server takes
SLACK = 5.0  # seconds beyond the time of the code, so that the server is the one who says that it is over


def token_by_browser(url: str) -> str:
    """A user's token, once somebody has said yes at the dashboard of the server.

    `Forbidden` when they have said no. When nobody answers in time the command ends with `TIMED_OUT`.
    """
    with Client(url, "none", connect_seconds=CONNECT_SECONDS, read_seconds=READ_SECONDS) as client:
        try:
            begun = client.sessions.ask_to_sign_in(AskToSignIn(name=_own_name()))
        except NotFound as error:
            raise InterlockError("This server lets nobody in by browser: pass --email or --token") from error
        _show(url.rstrip("/") + begun.verification_path, begun)
        try:
            token = _wait(client, begun)
        except Forbidden as error:
            raise Forbidden("Somebody has said no at the browser: nothing is kept here") from error
        except Unauthenticated:
            token = None
    if token is None:
        say("nobody has said yes in time: `interlock login` shows a new code.")
        click.get_current_context().exit(Exit.TIMED_OUT)
    return token


def _show(page: str, begun: DeviceLogin) -> None:
    minutes = max(1, round(begun.expires_in_seconds / 60))
    say(f"your code is {begun.user_code}; it holds for {minutes} min. Ctrl-C gives up.")
    say(f"type it at {page} in a browser, here or on another machine.")
    if has_screen():
        click.launch(page)


def _wait(client: Client, begun: DeviceLogin) -> str | None:
    """The token; None when the time is over. A server that is away for a moment is asked again."""
    until = time.monotonic() + begun.expires_in_seconds + SLACK
    pause = begun.interval_seconds
    while time.monotonic() < until:
        time.sleep(pause)
        pause = begun.interval_seconds
        try:
            answer = client.sessions.take_token(TakeToken(device_code=begun.device_code))
        except TryLater as error:
            pause = max(pause, error.retry_after or 0)
            continue
        if answer.token is not None:
            return answer.token
    return None


def _own_name() -> str:
    """Who asks, for the person who is to say yes: `ann@laptop`."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):
        user = "somebody"
    name = printable(f"{user}@{platform.node() or 'unknown'}").strip()
    return name[:MAX_NAME]
