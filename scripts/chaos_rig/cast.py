"""Who takes part: an organization, its users, and hosts with their agents' keys, written before the servers start."""

from contextlib import closing
from pathlib import Path

import msgspec
from peewee import Database

from chaos_rig.work import TYPES
from interlock.clock import SystemClock
from interlock.ids import UuidIds
from runtime.secret import load_secret
from store import accounts, open_database
from store.accounts import By
from store.database import DataDirectory, how_to_begin, migrate
from store.models import JobType
from web.job_types import TypeDefinition
from web.tokens import Tokens

_IDS, _CLOCK = UuidIds(), SystemClock()
_TOKEN_SECONDS = 86_400

DECLARED = "declared"  # says what it runs, heartbeats, keeps a journal: as the reference agent does
PLAIN = "plain"  # polls and reports, nothing else: as the first seed's agents do
COMMAND = "command"  # `interlock agent` in a process of its own, running a real command


class Seat(msgspec.Struct, frozen=True):
    """A host, its agent's key, and what kind of agent it has."""

    id: str
    key: str
    kind: str


class Cast(msgspec.Struct, frozen=True):
    """Everybody."""

    org: str
    operator: str  # tokens
    viewer: str
    seats: list[Seat]

    @property
    def jobs_path(self) -> str:
        """Where users create, list and cancel."""
        return f"/api/orgs/{self.org}/jobs"


def assemble(url: str, data_dir: Path, kinds: list[str], more: str = "") -> Cast:
    """Write them into the database at `url`; their credentials are signed with the secret in `data_dir`. `more` is SQL
    for what a witness or a planted bug wants of the tables.
    """
    DataDirectory(data_dir).create()
    tokens = Tokens(load_secret(data_dir), _CLOCK)
    database = open_database(url)
    migrate(database)
    with closing(database), database.atomic(*how_to_begin(database)):
        if more:
            database.execute_sql(more)
        org = _IDS.new()
        accounts.create_org(database, org, "Chaos", _by())
        for name, definition in TYPES.items():
            _type(database, org, name, definition)
        seats = [_seat(database, tokens, org, f"{kind}-{number}", kind) for number, kind in enumerate(kinds)]
        operator, viewer = (_user(database, tokens, org, role) for role in ("operator", "viewer"))
    return Cast(org, operator, viewer, seats)


def _user(database: Database, tokens: Tokens, org: str, role: str) -> str:
    user = _IDS.new()
    email = f"{role}@example.test"
    accounts.create_user(database, user, email=email, name=role.title(), platform_admin=False, by=_by())
    accounts.add_member(database, _IDS.new(), org, user, role, _by())
    return tokens.user_token(user, org, _TOKEN_SECONDS)


def _type(database: Database, org: str, name: str, definition: TypeDefinition) -> None:
    text = msgspec.json.encode(definition).decode()
    values = {"id": _IDS.new(), "org_id": org, "name": name, "version": 1, "definition": text}
    JobType.insert(values | {"created_at": _CLOCK.now()}).execute(database)


def _seat(database: Database, tokens: Tokens, org: str, name: str, kind: str) -> Seat:
    host, kid = _IDS.new(), _IDS.new()
    accounts.create_host(database, host, org, name, _by())
    accounts.create_key(database, kid, org, host, _by())
    return Seat(host, tokens.agent_key(host, org, kid), kind)


def _by() -> By:
    return By("operator", None, _CLOCK.now(), _IDS.new())
