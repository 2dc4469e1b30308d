"""`interlock admin`: the operator's commands on the machine itself. They write the rows directly, beside a running
server, which sees them at once. Each prints exactly one JSON object, but for `token --raw` and `export`.
"""

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click
import msgspec
from peewee import Database

from interlock.clock import SystemClock
from interlock.errors import InterlockError, InvalidRequest, NotFound
from interlock.ids import UuidIds
from runtime import admin_data, rotation
from runtime.data_folder import expect_database
from runtime.secret import signing_secret
from runtime.settings import Settings, load_settings
from store import accounts, open_database, sessions
from store.accounts import By, Person
from store.database import DataDirectory, how_to_begin, migrate
from store.errors import DRIVER_ERRORS
from store.first_run import First, set_up
from store.transactions import transaction
from web.passwords import acceptable, make_hash
from web.tokens import Tokens

Result = TypeVar("Result")
_IDS = UuidIds()
_CLOCK = SystemClock()
_FIRST = "0001_spine"  # the migration that only an empty database lacks


@click.group()
def admin() -> None:
    """Make organizations, people, hosts and tokens. Example: interlock admin create-org acme."""


def _command(function: Callable[..., dict[str, Any] | str | None]) -> click.Command:
    """A command that opens the database, prints what the function returns, and says errors calmly."""

    def run(data_dir: str | None, database_url: str | None, config: str | None, **options: Any) -> None:
        try:
            given = {"data_dir": data_dir, "database_url": database_url}
            settings = load_settings(given, os.environ, Path(config) if config else None)
            result = function(settings, **options)
            if result is not None:
                click.echo(result if isinstance(result, str) else msgspec.json.encode(result))
        except InterlockError as error:
            raise click.ClickException(error.detail + _where(error)) from error
        except DRIVER_ERRORS as error:
            raise click.ClickException(f"The database cannot be read or written: {str(error).strip()}") from error

    run.__doc__ = function.__doc__
    options = [
        click.option("--data-dir", help="The server's data folder."),
        click.option("--database-url", help="The server's database, when it is not in the data folder."),
        click.option("--config", type=click.Path(dir_okay=False), help="The server's TOML file."),
    ]
    for option in options:
        run = option(run)
    run.__click_params__ += getattr(function, "__click_params__", [])  # type: ignore[attr-defined]
    command = click.command(function.__name__.replace("_", "-"))(run)
    admin.add_command(command)
    return command


def _where(error: InterlockError) -> str:
    """` (--option)` for the mistakes in a request, each of which names a field by its JSON path."""
    fields = {each["path"].partition("$.")[2].partition(".")[0] for each in getattr(error, "errors", [])}
    options = {each.name: _typed(each) for each in click.get_current_context().command.params}
    known = {"password": "the line on standard input", **options}
    found = [typed for name, typed in known.items() if name in fields]
    return f" ({', '.join(found)})" if found else ""


def _typed(parameter: click.Parameter) -> str:
    return parameter.opts[0] if isinstance(parameter, click.Option) else (parameter.name or "").upper()


def _write(settings: Settings, work: Callable[[Database], Result], *, may_be_new: bool = False) -> Result:
    """What the work returns, once it is written; `may_be_new`: the database is made when there is none."""
    expect_database(settings, may_be_new=may_be_new)
    DataDirectory(settings.data_path).create()
    database = open_database(settings.url_of_database)
    try:
        if _FIRST in migrate(database):
            where = "the database that the URL names" if settings.database_url else settings.data_path
            click.echo(f"made a new database in {where}", err=True)
        with transaction(database, how_to_begin(database)):
            return work(database)
    finally:
        database.close()


def _known(database: Database, name: str) -> Person:
    person = accounts.person(database, name.strip())
    if person is None:
        raise NotFound(f"There is no account {name!r}")
    return person


def _by() -> By:
    return By("operator", f"uid {os.getuid()}", _CLOCK.now(), _IDS.new())


def _new_password(settings: Settings) -> str:
    """The hash of a password that is typed twice, or that comes as a line on standard input; never an argument, which
    others on the machine could read.
    """
    if sys.stdin.isatty():
        typed = click.prompt("Password", hide_input=True, confirmation_prompt=True, err=True)
    else:
        typed = sys.stdin.readline().rstrip("\r\n")
    return make_hash(acceptable(typed, settings.password_length), settings.password_cost())


@_command
@click.option("--email", required=True, help="The address that names the account.")
@click.option("--name", required=True, help="What the person is called.")
@click.option("--org", required=True, help="What the first organization is called.")
def setup(settings: Settings, email: str, name: str, org: str) -> dict[str, Any]:
    """Make the first account of all, its password read from standard input, and the organization that it owns.

    Example: interlock admin setup --email a@b.c --name Ann --org acme.
    """
    address, person, first_org = accounts.clean_email(email), accounts.clean_name(name), _org_name(org)
    first = First(_IDS.new(), _IDS.new(), address, person, first_org, _new_password(settings))
    _write(settings, lambda db: set_up(db, first, _IDS, _by()), may_be_new=True)
    return {"id": first.user_id, "orgId": first.org_id}


def _org_name(name: str) -> str:
    try:
        return accounts.clean_name(name)
    except InvalidRequest as error:
        raise InvalidRequest.at("$.org", error.errors[0]["message"]) from error


@_command
@click.option("--email", required=True, help="Address or id of the account.")
def set_password(settings: Settings, email: str) -> dict[str, Any]:
    """Set a password, read from standard input; whoever is signed in with the old one is signed out."""

    def work(database: Database, hashed: str) -> list[str]:
        return sessions.set_password(database, _known(database, email).id, hashed, _by())

    hashed = _new_password(settings)
    return {"sessionsEnded": len(_write(settings, lambda db: work(db, hashed)))}


@_command
@click.argument("name")
def create_org(settings: Settings, name: str) -> dict[str, Any]:
    """Make an organization. Example: interlock admin create-org acme."""
    org_id = _IDS.new()

    def work(database: Database) -> None:
        known = accounts.orgs_called(database, accounts.clean_name(name))
        if known:
            raise InvalidRequest(f"An organization is called {name!r} already: its id is {known[0]}")
        accounts.create_org(database, org_id, name, _by())

    _write(settings, work, may_be_new=True)
    return {"id": org_id}


@_command
def list_orgs(settings: Settings) -> dict[str, Any]:
    """List the organizations, oldest first. Example: interlock admin list-orgs."""
    found = _write(settings, accounts.all_orgs)
    return {"items": [{"id": org_id, "name": name} for org_id, name in found]}


@_command
@click.option("--email", required=True, help="The address that names the account.")
@click.option("--name", required=True, help="What the person is called.")
@click.option("--org", required=True, help="Name or id of the organization to join.")
@click.option("--role", type=click.Choice(accounts.ROLES), default="owner", show_default=True)
@click.option("--platform-admin", is_flag=True, help="May read /debug and create organizations.")
def create_user(
    settings: Settings, email: str, name: str, org: str, role: str, *, platform_admin: bool
) -> dict[str, Any]:
    """Make an account, or let an existing one join. Example: create-user --email a@b.c --name Ann --org acme."""

    def work(database: Database) -> str:
        org_id = accounts.org_named(database, org)
        known = accounts.person(database, email.strip())
        user_id = known.id if known is not None else _IDS.new()
        if known is None:
            accounts.create_user(database, user_id, email=email, name=name, platform_admin=platform_admin, by=_by())
        accounts.add_member(database, _IDS.new(), org_id, user_id, role, _by())
        return user_id

    return {"id": _write(settings, work)}


@_command
@click.option("--org", required=True, help="Name or id of the organization.")
@click.option("--name", required=True, help="What the host is called.")
@click.option("--kind", type=click.Choice(accounts.KINDS), default="machine", show_default=True)
@click.option("--label", "labels", multiple=True, metavar="KEY=VALUE", help="What pool jobs may ask for; repeatable.")
def create_host(settings: Settings, org: str, name: str, kind: str, labels: tuple[str, ...]) -> dict[str, Any]:
    """Make a host and its agent key, which is shown only here. Example: create-host --org acme --name eu-3."""
    host_id, kid = _IDS.new(), _IDS.new()
    given = dict(_label(text) for text in labels)

    def work(database: Database) -> str:
        org_id = accounts.org_named(database, org)
        accounts.create_host(database, host_id, org_id, name, _by(), kind=kind, labels=given)
        accounts.create_key(database, kid, org_id, host_id, _by())
        return Tokens(signing_secret(settings, database), _CLOCK).agent_key(host_id, org_id, kid)

    return {"id": host_id, "agentKey": _write(settings, work)}


def _label(text: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not equals:
        raise InvalidRequest(f"A label is KEY=VALUE, not {text!r}")
    return key, value


@_command
@click.option("--org", required=True, help="Name or id of the organization.")
@click.option("--host", required=True, help="Name or id of the host that it lives on.")
@click.option("--name", required=True, help="What the instance is called.")
def create_instance(settings: Settings, org: str, host: str, name: str) -> dict[str, Any]:
    """Make a server instance on a host. Example: create-instance --org acme --host eu-3 --name dust."""
    instance_id = _IDS.new()

    def work(database: Database) -> None:
        org_id = accounts.org_named(database, org)
        accounts.create_instance(
            database, instance_id, org_id, accounts.host_named(database, host, org_id), name, _by()
        )

    _write(settings, work)
    return {"id": instance_id}


@_command
@click.option("--forget", is_flag=True, help="No longer accept what older secrets have signed.")
def rotate_secret(settings: Settings, *, forget: bool) -> dict[str, Any]:
    """Sign with a new secret; what was signed before holds until a call with --forget, which makes no new one."""

    def work(database: Database) -> int:
        if forget:
            rotation.forget(settings, database)
            return 0
        return rotation.rotate(settings, database, _CLOCK.now())

    return {"olderAccepted": _write(settings, work)}


@_command
@click.option("--email", required=True, help="Address or id of the account.")
@click.option("--org", help="Name or id of the organization that the token is for.")
@click.option("--ttl", type=click.IntRange(1, 366 * 86400), default=86400, show_default=True, help="Seconds.")
@click.option("--raw", is_flag=True, help="Print the token alone, not a JSON object.")
def token(settings: Settings, email: str, org: str | None, ttl: int, *, raw: bool) -> dict[str, Any] | str:
    """Sign a user's token. Example: interlock admin token --email a@b.c --org acme --ttl 3600."""

    def work(database: Database) -> str:
        known = _known(database, email)
        org_id = None if org is None else accounts.org_named(database, org)
        return Tokens(signing_secret(settings, database), _CLOCK).user_token(known.id, org_id, ttl)

    signed = _write(settings, work)
    return signed if raw else {"token": signed}


for _function in admin_data.COMMANDS:
    _command(_function)
