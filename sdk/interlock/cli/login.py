"""`interlock login` and `interlock logout`: a server, an organization and a credential, remembered as a profile."""

import contextlib
import sys
from http.cookies import CookieError, SimpleCookie

import click
import msgspec
from msgspec.structs import replace

from interlock.cli import names
from interlock.cli.connection import CONNECT_SECONDS, DEFAULT_URL, Door
from interlock.cli.output import say
from interlock.cli.profiles import DEFAULT, Profile, Profiles, load_profiles, save_profiles
from interlock.cli.tables import Table, print_table
from interlock.client import Client
from interlock.client.calls import path, read
from interlock.errors import InterlockError, NotFound, Unauthenticated
from interlock.sessions import Session, SignIn

READ_SECONDS = 30.0  # a password may wait behind others to be checked
_ROUTE = path("session")


class Begun(msgspec.Struct):
    """What a sign-in gave: who it is, and the credential that is kept."""

    who: Session
    profile: Profile


@click.command("login", epilog="Example: interlock login https://interlock.example.com")
@click.argument("url", envvar="INTERLOCK_URL", default=DEFAULT_URL)
@click.option("--browser", is_flag=True, help="By a code that you type at the dashboard. Default at a terminal.")
@click.option("--email", metavar="ADDRESS", help="Of the account; the password is asked for.")
@click.option("--password-stdin", is_flag=True, help="Read the password as a line from standard input.")
@click.option("--token", metavar="TOKEN|-", help="Keep this token instead; - reads it from standard input.")
@click.option("--org", metavar="NAME|ID", help="The organization to work in. Default: your only one.")
@click.option("--profile", "name", default=DEFAULT, show_default=True, help="Under which name it is kept.")
@click.option("--use", metavar="NAME", help="Go over to another profile that is kept already.")
@click.option("--list", "list_them", is_flag=True, help="List the profiles, and sign in nowhere.")
def command(
    url: str,
    browser: bool,
    email: str | None,
    password_stdin: bool,
    token: str | None,
    org: str | None,
    name: str,
    use: str | None,
    list_them: bool,
) -> None:
    """Sign in to a server and remember it.

    A code is shown, which you type at the dashboard, in any browser, on any machine: there you are signed in, and say
    yes. The server then gives a token, which holds for a day unless it is set otherwise. With --email and a password it
    gives a session, as to a browser: it ends after a day without use. Later commands use this profile, unless another is
    named.
    """
    if list_them or use is not None:
        _choose(use)
        return
    if token is not None and (email or password_stdin):
        raise click.UsageError("Pass --token, or --email with a password, not both.")
    if browser and (token is not None or email or password_stdin):
        raise click.UsageError("Pass --browser alone: with a browser neither password nor token is needed here.")
    if token is not None:
        begun = _by_token(url, token)
    elif email or password_stdin:
        begun = _by_password(url, _email(email), password_stdin)
    else:
        begun = _by_browser(url, asked=browser)
    door = Door.choose(None, None, begun.profile)
    with door.client(READ_SECONDS) as client:
        try:
            chosen = names.org_id(client, org)
        except InterlockError as error:
            if org is not None:
                raise
            say(error.detail)
            chosen = None
    known = load_profiles()
    kept = known.profiles | {name: replace(begun.profile, org=chosen)}
    where = save_profiles(Profiles(name, kept))
    called = next((each.name for each in begun.who.orgs if each.id == chosen), chosen)
    say(f"signed in to {url} as {begun.who.user.email}{f' in {called}' if called else ''}; kept in {where}")


def _choose(name: str | None) -> None:
    """Make the named profile the current one; then, or without a name, list them all."""
    known = load_profiles()
    if name is not None and name not in known.profiles:
        raise NotFound(f"There is no profile {name!r}{names.nearest(name, known.profiles)}")
    if name is not None:
        known = replace(known, current=name)
        save_profiles(known)
    rows = [
        (each, "current" if each == known.current else "", profile.url, profile.org or "")
        for each, profile in known.profiles.items()
    ]
    if rows:
        print_table(Table(("PROFILE", "STATE", "URL", "ORGANIZATION"), rows))
    else:
        say("no profiles.")


@click.command("logout", epilog="Example: interlock logout")
@click.option("--profile", "name", help="Which one. Default: the current one.")
def logout(name: str | None) -> None:
    """Sign out, and forget what login has stored."""
    known = load_profiles()
    chosen = name or known.current
    profile = known.profiles.get(chosen)
    if profile is None:
        raise NotFound(f"There is no profile {chosen!r}{names.nearest(chosen, known.profiles)}")
    if profile.cookie is not None:
        _end(profile)
    rest = {each: kept for each, kept in known.profiles.items() if each != chosen}
    current = known.current if known.current in rest else next(iter(rest), DEFAULT)
    save_profiles(Profiles(current, rest))
    say(f"signed out of {profile.url}.")


def _end(profile: Profile) -> None:
    """End the session at the server, if it can be reached and still knows it."""
    try:
        with Door.choose(None, None, profile).client(READ_SECONDS) as client, contextlib.suppress(Unauthenticated):
            client.request("DELETE", _ROUTE)
    except InterlockError as error:
        say(f"the session could not be ended there ({error.detail}); it ends by itself after a day without use.")


def _email(given: str | None) -> str:
    if given:
        return given
    raise click.UsageError("Pass --email with --password-stdin.")


def _by_browser(url: str, *, asked: bool) -> Begun:
    """A token that somebody at a browser gives. Scripts have to ask for it: they would wait for minutes."""
    if not asked and not sys.stdin.isatty():
        raise click.UsageError("Pass --browser, or --email with --password-stdin, or --token.")
    from interlock.cli.device_login import token_by_browser  # noqa: PLC0415 - for this way alone

    token = token_by_browser(url)
    with Client(url, token, connect_seconds=CONNECT_SECONDS, read_seconds=READ_SECONDS) as client:
        return Begun(client.sessions.me(), Profile(url=url, token=token))


def _by_token(url: str, given: str) -> Begun:
    token = sys.stdin.readline().strip() if given == "-" else given.strip()
    with Client(url, token, connect_seconds=CONNECT_SECONDS, read_seconds=READ_SECONDS) as client:
        return Begun(client.sessions.me(), Profile(url=url, token=token))


def _by_password(url: str, email: str, password_stdin: bool) -> Begun:
    """A browser's session. The password goes nowhere but into the request."""
    if password_stdin:
        password = sys.stdin.readline().rstrip("\r\n")
    else:
        password = click.prompt("Password", hide_input=True, err=True)
    with Client(url, "none", connect_seconds=CONNECT_SECONDS, read_seconds=READ_SECONDS) as client:
        body = {"email": email, "password": password}
        msgspec.convert(body, SignIn)
        answer = client.request("POST", _ROUTE, body=body)
    who = read(answer, Session)
    cookie = _cookie(answer.headers.get_all("Set-Cookie") or [])
    if cookie is None or who.csrf_token is None:
        raise InterlockError("The server has let us in without a session: a proxy may have taken the cookie away")
    return Begun(who, Profile(url=url, cookie=cookie, csrf_token=who.csrf_token))


def _cookie(headers: list[str]) -> str | None:
    """`name=value` of the first cookie that says something."""
    for header in headers:
        with contextlib.suppress(CookieError):
            for name, morsel in SimpleCookie(header).items():
                if morsel.value:
                    return f"{name}={morsel.value}"
    return None
