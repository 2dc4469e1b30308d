"""`interlock dev`: a server, an account and demo agents in one process, to try things out."""

import asyncio
import contextlib
import logging
import os
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import msgspec

from interlock.cli.profiles import Profile, Profiles, load_profiles, save_profiles
from interlock.clock import SystemClock
from interlock.errors import InterlockError, InvalidState
from interlock.ids import UuidIds
from runtime.control_plane import CannotStart, ControlPlane
from runtime.demo_agents import demo_agent, running
from runtime.log_lines import begin_log
from runtime.settings import Settings, load_settings
from store import accounts
from store.accounts import By
from store.first_run import First, set_up
from web.opaque import new_secret
from web.passwords import make_hash
from web.services import Services

EMAIL = "dev@example.com"
ORG = "Dev"
TOKEN_SECONDS = 30 * 86_400
MOST_AGENTS = 16
_NOTES = "dev.json"
_IDS, _CLOCK = UuidIds(), SystemClock()


class Known(msgspec.Struct, rename="camel"):
    """What a data folder's account is, from one start to the next; agents by the names of their hosts."""

    user_id: str
    org_id: str
    password: str
    agents: dict[str, str] = {}


@click.command()
@click.option("--port", type=int, default=8080, show_default=True, help="Port to listen on; 0 for any free one.")
@click.option("--agents", type=click.IntRange(0, MOST_AGENTS), default=2, show_default=True, help="How many hosts.")
@click.option("--data-dir", help="Keep the data in this folder. Default: a temporary one, which is removed.")
@click.option("--profile", metavar="NAME", help="Sign in as this profile meanwhile, so that `interlock` works at once.")
def dev(port: int, agents: int, data_dir: str | None, profile: str | None) -> None:
    """Run a server and demo agents here, to try things out.

    Prints what another terminal needs, and runs until Ctrl-C. Example: interlock dev --profile dev.
    """
    try:
        with _folder(data_dir) as folder:
            settings = load_settings({"port": port, "data_dir": str(folder)}, os.environ, None)
            begin_log("warning")
            logging.getLogger("peewee").setLevel(logging.WARNING)  # the first migrations are no news here
            asyncio.run(_run(settings, agents, profile))
    except CannotStart as error:
        raise click.ClickException(f"{error.detail} (--port 0 takes any free one)") from error
    except InterlockError as error:
        raise click.ClickException(error.detail) from error


@contextlib.contextmanager
def _folder(named: str | None) -> Iterator[Path]:
    if named is not None:
        yield Path(named)
        return
    with tempfile.TemporaryDirectory(prefix="interlock-dev-") as made:
        yield Path(made)


async def _run(settings: Settings, agents: int, profile: str | None) -> None:
    plane, stop = ControlPlane(settings), asyncio.Event()
    for sign in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(sign, stop.set)
    try:
        await plane.start()
        notes = settings.data_path / _NOTES
        known = _kept(notes) or await _account(plane.services, settings)
        for number in range(agents):
            name = f"demo-{number + 1}"
            if name not in known.agents:
                known.agents[name] = await _host(plane.services, known.org_id, name)
        _keep(notes, known)
        keys = list(known.agents.items())[:agents]
        made = [demo_agent(plane.url, key, settings.data_path / "agents" / name) for name, key in keys]
        token = plane.services.tokens.user_token(known.user_id, known.org_id, TOKEN_SECONDS)
        with _signed_in(profile, Profile(url=plane.url, org=known.org_id, token=token)):
            async with running(made):
                _tell(plane, known, token, agents, profile)
                await stop.wait()
                click.echo("\ninterlock: stopping.", err=True)
    finally:
        await plane.stop()


@contextlib.contextmanager
def _signed_in(name: str | None, profile: Profile) -> Iterator[None]:
    """The profile is there, and the current one, until the block is left; then all is as it was."""
    if name is None:
        yield
        return
    before = load_profiles()
    save_profiles(Profiles(name, before.profiles | {name: profile}))
    try:
        yield
    finally:
        now = load_profiles()
        kept = {each: stored for each, stored in now.profiles.items() if stored != profile}
        kept |= {name: before.profiles[name]} if name in before.profiles and name not in kept else {}
        save_profiles(Profiles(before.current if now.current == name else now.current, kept))


def _tell(plane: ControlPlane, known: Known, token: str, agents: int, profile: str | None) -> None:
    """What a person needs on stderr, what a shell needs on stdout."""
    click.echo(f"Interlock runs at {plane.url} with {agents} demo hosts; Ctrl-C ends it all.", err=True)
    click.echo(f"In a browser: {EMAIL}, password {known.password}", err=True)
    if profile is not None:
        click.echo(f"Signed in as profile {profile} until then. In another terminal: interlock hosts list", err=True)
    else:
        click.echo("In another terminal, paste these lines; then try: interlock hosts list", err=True)
    for name, value in (("URL", plane.url), ("ORG", known.org_id), ("TOKEN", token)):
        click.echo(f"export INTERLOCK_{name}={value}")


def _kept(notes: Path) -> Known | None:
    return msgspec.json.decode(notes.read_bytes(), type=Known) if notes.exists() else None


async def _account(s: Services, settings: Settings) -> Known:
    """The account of this folder, made at the first start; a refusal when it has accounts of another kind."""
    known = Known(_IDS.new(), _IDS.new(), new_secret()[:16])
    hashed = make_hash(known.password, settings.password_cost())
    first = First(known.user_id, known.org_id, EMAIL, "Dev", ORG, hashed)
    try:
        await s.store.change(lambda db: set_up(db, first, _IDS, _by()))
    except InvalidState as error:
        raise InvalidState(f"{settings.data_path} has accounts of its own: `interlock serve` is for that") from error
    return known


async def _host(s: Services, org_id: str, name: str) -> str:
    """The key of a new host."""
    host_id, kid = _IDS.new(), _IDS.new()

    def work(database: Any) -> None:
        accounts.create_host(database, host_id, org_id, name, _by(), labels={"demo": "yes"})
        accounts.create_key(database, kid, org_id, host_id, _by())

    await s.store.change(work)
    return s.tokens.agent_key(host_id, org_id, kid)


def _keep(notes: Path, known: Known) -> None:
    aside = notes.with_suffix(".new")
    descriptor = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with open(descriptor, "wb") as file:  # noqa: PTH123 - of a descriptor
        file.write(msgspec.json.encode(known))
    aside.replace(notes)


def _by() -> By:
    return By("operator", f"uid {os.getuid()}", _CLOCK.now(), _IDS.new())
