"""One settings value, checked whole at start. Nobody else reads the environment.

Precedence: command line, then `INTERLOCK_*` variables, then the TOML file, then the defaults. All mistakes are reported
together. `docs/settings.md` is written from this file by `scripts/docs`.
"""

import difflib
import os
import tomllib
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple

import msgspec

from actors import Limits
from interlock.errors import InterlockError
from runtime.pruning import Policy
from runtime.setting_values import expected, is_redis_url, shown
from web.device_polls import DeviceLimits
from web.front import Front
from web.gate import Bounds
from web.issuer import Issuer
from web.links import SocketLimits
from web.passwords import Cost
from web.request_limits import RequestLimits
from web.sessions import SessionLimits
from web.sign_in_limits import Attempts
from web.tokens import TokenLimits

PREFIX = "INTERLOCK_"

Seconds = Annotated[float, msgspec.Meta(ge=0, le=10_000_000)]
Lasting = Annotated[float, msgspec.Meta(gt=0, le=10_000_000)]
Wait = Annotated[float, msgspec.Meta(gt=0, le=3600)]
Count = Annotated[int, msgspec.Meta(ge=0, le=2**53)]
Moment = Annotated[float, msgspec.Meta(gt=0, le=60)]
Url = Annotated[str, msgspec.Meta(pattern=r"^(https?://[^/?#@\s]+/?)?$")]
Window = Annotated[int, msgspec.Meta(ge=1, le=86_400)]
Span = Annotated[float, msgspec.Meta(ge=1, le=31_622_400)]
Life = Annotated[int, msgspec.Meta(ge=1, le=31_622_400)]
Bytes = Annotated[int, msgspec.Meta(ge=1, le=2**40)]
Days = Annotated[float, msgspec.Meta(ge=0, le=36_525)]


class BadSettings(InterlockError):
    """One or more settings are wrong; `detail` lists them all, a line each."""

    title = "The settings are not valid"


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Everything that can be set. Times are in seconds, sizes in bytes; 0 switches a quota off."""

    host: str = "127.0.0.1"  # the address to listen on
    port: Annotated[int, msgspec.Meta(ge=0, le=65535)] = 8080  # the port to listen on; 0: any free one
    data_dir: str = "interlock-data"  # the folder of the embedded database, the secret and the lock
    database_url: str = ""  # postgresql://user@host/name; empty: SQLite in the data folder
    journal: Literal["process", "thread"] = "process"  # who writes the database: a process of its own, or a thread
    redis_url: str = ""  # redis://host:port/0, also rediss:// or unix://; empty: everything in this process
    node_url: str = ""  # where other servers on the same PostgreSQL reach this one; empty: where it listens
    public_url: Url = ""  # where browsers reach it, such as https://interlock.example.com; empty: where it listens
    trusted_proxies: str = ""  # addresses or networks, with commas, whose X-Forwarded-For and -Proto are believed
    jwks_url: str = ""  # https://… of the keys of an issuer that signs users' tokens too; empty: this server alone does
    jwt_algorithm: Literal["RS256", "ES256", "EdDSA"] = "RS256"  # by which that issuer signs; ours are signed by HS256
    jwt_issuer: str = ""  # the `iss` of its tokens
    jwt_audience: str = "interlock"  # the `aud` of its tokens, or one of several
    jwt_user_claim: str = "sub"  # which of its claims is the account's id; `email`: the address, if `email_verified`
    log_level: Literal["debug", "info", "warning", "error"] = "info"  # how much the log says
    log_format: Literal["auto", "json", "text"] = "auto"  # of its lines; auto: text on a terminal, else JSON
    access_log_share: Annotated[float, msgspec.Meta(ge=0, le=1)] = 0  # of requests that get a line; 1: all, 0: none

    heartbeat_seconds: Lasting = 15  # how often agents heartbeat; unsaid, at most a quarter of `lease_seconds`
    lease_seconds: Lasting = 60  # an agent that heartbeats is unreachable after this long without a word
    lost_after_seconds: Seconds = 300  # an unreachable run is lost after this long; 0: at once
    offline_after_seconds: Seconds = 45  # a silent host is shown offline after this long
    ack_seconds: Moment = 30  # what an agent has to accept a job that was pushed to its socket; then it waits again
    cancel_grace_seconds: Seconds = 10  # what an agent gives a process between SIGTERM and SIGKILL
    cancel_slack_seconds: Seconds = 20  # what the server waits beyond the grace before it ends a run itself
    timeout_seconds: Lasting = 600  # a run's time, unless its job or type says otherwise; no run goes without a bound
    startup_grace_seconds: Seconds = 300  # after a start no older run ends through time alone for this long
    poll_wait_max_seconds: Seconds = 50  # the longest long-poll
    poll_wait_seconds: Seconds = 25  # what agents are asked to wait
    job_wait_max_seconds: Seconds = 50  # the longest that `Prefer: wait` waits for a job's end
    passivate_after_seconds: Seconds = 60  # an idle host actor leaves the memory after this long
    sweep_seconds: Annotated[float, msgspec.Meta(gt=0, le=60)] = 2  # how often rows are searched for what is due
    shutdown_seconds: Seconds = 10  # how long requests under way may still take at a stop
    socket_auth_seconds: Seconds = 5  # how long a socket may stay without a credential
    socket_ping_seconds: Wait = 20  # how often a quiet socket is pinged; silent for half as long, it is gone
    revocation_look_seconds: Moment = 1  # how often sockets and parked polls are looked at for keys that were revoked
    request_head_seconds: Wait = 30  # what a request's line and headers may take, from its first byte on
    request_body_seconds: Wait = 30  # what the rest of its body may take; whose line is slower sends less at once
    redis_timeout_seconds: Moment = 1  # what an answer of Redis may take; a slower one counts as none
    redis_retry_seconds: Moment = 1  # how often Redis is tried while it is away
    node_lease_seconds: Annotated[float, msgspec.Meta(ge=1, le=600)] = 15  # a silent server's hosts are taken over then
    node_look_seconds: Moment = 5  # how often a server looks for what doorbells missed; without Redis 5 times as often
    answer_seconds: Wait = 10  # then a request that waits for the database is answered 503; polls wait as they asked
    retry_after_seconds: Moment = 2  # what `Retry-After` says at least, give or take a half
    create_wait_seconds: Moment = 0.5  # a create that would have to wait longer to be begun is refused at once
    turn_seconds: Moment = 0.01  # of the event loop; when turns take longer, fewer creates are under way at once
    setup_seconds: Annotated[float, msgspec.Meta(ge=1, le=604_800)] = 3600  # how long the link for the set-up holds
    session_idle_seconds: Span = 86_400  # a browser's session is over when it was not used for this long
    session_seconds: Span = 1_209_600  # it is over after this long, however busy
    jwt_leeway_seconds: Annotated[float, msgspec.Meta(ge=0, le=300)] = 10  # by which clocks may differ, for every token
    jwt_longest_seconds: Span = 86_400  # an issuer's token that holds for longer is refused
    jwks_max_age_seconds: Annotated[float, msgspec.Meta(ge=1, le=86_400)] = 600  # then its keys are asked for again
    jwks_outage_seconds: Span = 86_400  # how long its keys go on counting while it is away
    jwks_retry_seconds: Annotated[float, msgspec.Meta(gt=0, le=3600)] = 10  # it is asked no more often, whatever comes
    jwks_timeout_seconds: Moment = 5  # what its answer may take
    ticket_seconds: Moment = 30  # how long a browser's ticket for one socket holds
    sign_in_window_seconds: Window = 300  # in which attempts to sign in count, from the first of them on
    device_login_seconds: Span = 600  # how long a command line's code for `interlock login` holds
    device_poll_seconds: Moment = 2  # how often it may ask whether somebody has said yes
    device_token_seconds: Life = 86_400  # that its token holds; nobody can withdraw it
    rate_window_seconds: Window = 60  # in which requests count, from the first of them on
    lookup_cache_seconds: Annotated[float, msgspec.Meta(ge=0, le=30)] = 10  # how long a credential's rows are trusted
    retention_days: Days = 90  # that a finished job is kept, an hour at least, with all that belongs to it; 0: for ever
    audit_retention_days: Days = 0  # that a line of the audit trail is kept; 0: for ever
    retention_every_seconds: Annotated[float, msgspec.Meta(ge=0.05, le=86_400)] = 60  # how often what is old is removed
    retention_pause_seconds: Moment = 0.1  # between two portions of it

    max_attempts: Annotated[int, msgspec.Meta(ge=1, le=100)] = 3  # of a job, unless it or its type says otherwise
    max_offers: Annotated[int, msgspec.Meta(ge=1, le=1000)] = 5  # of one run on sockets; then it is undeliverable
    unacked_offers: Annotated[int, msgspec.Meta(ge=1, le=1000)] = 3  # in a row; then the host is unhealthy
    max_head_bytes: Annotated[int, msgspec.Meta(ge=16, le=2**20)] = 65_536  # of a request's line and headers, about
    max_body_bytes: Bytes = 1_048_576  # of one request
    max_batch_bytes: Bytes = 16_777_216  # of one batch of jobs
    max_batch_jobs: Annotated[int, msgspec.Meta(ge=1, le=1000)] = 1000  # in one batch
    max_payload_bytes: Bytes = 262_144  # of one job's payload or output
    job_waiters: Count = 1000  # requests that may wait for jobs' ends or log lines at once; others are answered at once
    job_waiters_per_org: Count = 200  # of them, from one organization
    max_schema_bytes: Bytes = 65_536  # of a job type's schema
    max_schema_checks: Count = 500_000  # that a payload may take by its type's schema; 1,000,000 take about 0.1 s
    max_job_types: Count = 500  # an organization's own; 0: no limit
    max_json_depth: Annotated[int, msgspec.Meta(ge=4, le=200)] = 64  # nesting of JSON
    max_log_line_bytes: Bytes = 16_384  # of one log line; longer ones are cut
    max_log_lines: Annotated[int, msgspec.Meta(ge=1, le=10_000_000)] = 100_000  # of one run; its log ends there
    max_log_bytes: Bytes = 33_554_432  # of one run's log, all lines together; it ends there
    max_evidence_items: Annotated[int, msgspec.Meta(ge=1, le=10_000)] = 1000  # items of evidence in one request
    max_evidence_item_bytes: Bytes = 65_536  # of one item of evidence
    max_evidence_per_job: Count = 10_000  # items of evidence of one job; what comes then is rejected
    max_evidence_bytes_per_job: Count = 67_108_864  # of them all; what comes then is rejected
    asset_dir: str = ""  # the folder of files that agents send; empty: assets in the data folder. Servers share one
    max_asset_bytes: Bytes = 67_108_864  # of one file
    max_assets_per_job: Count = 1000  # files of one job
    max_asset_bytes_per_job: Count = 536_870_912  # of them all
    max_asset_bytes_per_org: Count = 0  # of all files of an organization
    retention_jobs_per_org: Count = 0  # jobs that an organization keeps; then its oldest finished ones go. 0: no limit
    retention_rows: Annotated[int, msgspec.Meta(ge=10, le=10_000)] = 500  # that one portion removes at most
    retention_export_dir: str = ""  # the folder to which what is removed is appended first; empty: it is not
    max_uploads: Annotated[int, msgspec.Meta(ge=1, le=10_000)] = 64  # files that may be received at once
    max_uploads_per_org: Annotated[int, msgspec.Meta(ge=1, le=10_000)] = 16  # of them, from one organization's agents
    max_frame_bytes: Bytes = 1_048_576  # of one frame from an agent's socket; whose is larger is closed
    socket_frames_per_second: Seconds = 200  # of one socket, one more for each 64 KiB of a frame; 0: no limit
    socket_frames_at_once: Annotated[int, msgspec.Meta(ge=1, le=1_000_000)] = 1000  # before that rate counts
    socket_frames_under_way: Annotated[int, msgspec.Meta(ge=1, le=10_000)] = 32  # unanswered; then no more is read
    socket_unsent_bytes: Bytes = 4_194_304  # that may wait for a slow agent or dashboard; beyond, its socket is closed
    sockets_unknown: Annotated[int, msgspec.Meta(ge=1, le=1_000_000)] = 1000  # that have yet to say who they are
    sockets_per_host: Annotated[int, msgspec.Meta(ge=2, le=1000)] = 8  # at once, though only the newest is served
    sockets_per_user: Annotated[int, msgspec.Meta(ge=1, le=100_000)] = 100  # dashboards that an account has open
    max_pending_per_host: Count = 0  # waiting jobs of one host
    max_pending_per_org: Count = 0  # waiting jobs of one organization
    pool_window: Annotated[int, msgspec.Meta(ge=16, le=100_000)] = 1024  # pool jobs with the same labels kept in memory
    pool_lanes: Annotated[int, msgspec.Meta(ge=1, le=100_000)] = 1000  # sets of labels under which pool jobs are found
    pool_hints: Annotated[int, msgspec.Meta(ge=1, le=10_000)] = 100  # pool jobs of which an idle host's socket is told
    mailbox: Annotated[int, msgspec.Meta(ge=16, le=10_000_000)] = 10_000  # messages that may wait at one actor
    journal_queue: Annotated[int, msgspec.Meta(ge=16, le=10_000_000)] = 20_000  # decisions that may wait for the disk
    creates_least: Annotated[int, msgspec.Meta(ge=1, le=100_000)] = 8  # creates that may always be under way at once
    creates_most: Annotated[int, msgspec.Meta(ge=1, le=100_000)] = 128  # that may be while the loop's turns are short
    event_history: Annotated[int, msgspec.Meta(ge=1, le=1_000_000)] = 10_000  # events per org kept for replay
    event_total: Annotated[int, msgspec.Meta(ge=16, le=10_000_000)] = 100_000  # of all orgs together, without Redis
    redis_queue: Annotated[int, msgspec.Meta(ge=16, le=1_000_000)] = 10_000  # alarms, events, doorbells: each may wait
    sign_ins_per_account: Count = 10  # attempts within the window; success forgives them
    sign_ins_per_address: Count = 100  # attempts within the window, of an IPv6 /64 or an IPv4 address
    device_logins: Annotated[int, msgspec.Meta(ge=1, le=1_000_000)] = 1000  # command lines that wait for a yes
    max_token_bytes: Annotated[int, msgspec.Meta(ge=16, le=8000)] = 4096  # of a token or key; a longer one is not read
    max_jwks_bytes: Bytes = 262_144  # of an issuer's key set
    requests_per_token: Count = 0  # within the rate's window, of one user's token; 0: no limit, and nothing is counted
    requests_per_session: Count = 0  # of one session at a browser
    requests_per_key: Count = 0  # of one agent's key, sockets and polls among them
    requests_per_org: Count = 0  # of an organization's people and agents together
    sessions_per_user: Annotated[int, msgspec.Meta(ge=1, le=1000)] = 20  # at once; then the one longest unused ends
    password_length: Annotated[int, msgspec.Meta(ge=1, le=100)] = 8  # characters that a new password has at least
    password_memory_mib: Annotated[int, msgspec.Meta(ge=8, le=4096)] = 19  # MiB that argon2id takes for one check
    password_passes: Annotated[int, msgspec.Meta(ge=1, le=100)] = 2  # times that argon2id goes through them
    password_threads: Annotated[int, msgspec.Meta(ge=1, le=64)] = 2  # passwords that are checked at once
    password_queue: Annotated[int, msgspec.Meta(ge=0, le=10_000)] = 32  # that may wait for that; others are told 503
    read_threads: Annotated[int, msgspec.Meta(ge=1, le=64)] = 4  # threads that read the database

    @property
    def data_path(self) -> Path:
        """The data folder."""
        return Path(self.data_dir).expanduser()

    @property
    def asset_path(self) -> Path:
        """The folder of files."""
        return Path(self.asset_dir).expanduser() if self.asset_dir else self.data_path / "assets"

    @property
    def is_embedded(self) -> bool:
        """Whether the database is a file of this server alone."""
        return self.url_of_database.startswith("sqlite:")

    @property
    def writes_elsewhere(self) -> bool:
        """Whether a process of its own writes."""
        return self.journal == "process" and hasattr(os, "fork")

    @property
    def url_of_database(self) -> str:
        """Where the database is."""
        return self.database_url or f"sqlite://{(self.data_path / 'interlock.db').absolute()}"

    def limits(self) -> Limits:
        """What the actors need, in ms."""
        return Limits(
            heartbeat_ms=_ms(self.heartbeat_seconds),
            lease_ms=_ms(self.lease_seconds),
            lost_after_ms=_ms(self.lost_after_seconds),
            offline_after_ms=_ms(self.offline_after_seconds),
            ack_ms=_ms(self.ack_seconds),
            max_offers=self.max_offers,
            unacked_offers=self.unacked_offers,
            cancel_grace_ms=_ms(self.cancel_grace_seconds),
            cancel_slack_ms=_ms(self.cancel_slack_seconds),
            timeout_ms=_ms(self.timeout_seconds),
            startup_grace_ms=_ms(self.startup_grace_seconds),
            poll_wait_max_ms=_ms(self.poll_wait_max_seconds),
            poll_wait_ms=_ms(self.poll_wait_seconds),
            passivate_after_ms=_ms(self.passivate_after_seconds),
            max_attempts=self.max_attempts,
            mailbox=self.mailbox,
            pool_window=self.pool_window,
            pool_lanes=self.pool_lanes,
            pool_hints=self.pool_hints,
            max_pending_per_host=self.max_pending_per_host,
            max_pending_per_org=self.max_pending_per_org,
            max_log_lines=self.max_log_lines,
            max_log_bytes=self.max_log_bytes,
            max_evidence_per_job=self.max_evidence_per_job,
            max_evidence_bytes_per_job=self.max_evidence_bytes_per_job,
        )

    def retention(self) -> Policy:
        """What is kept for how long; in ms."""
        day = 86_400
        return Policy(
            jobs=_ms(self.retention_days * day),
            jobs_per_org=self.retention_jobs_per_org,
            audit=_ms(self.audit_retention_days * day),
            rows_at_once=self.retention_rows,
            pause_seconds=self.retention_pause_seconds,
            export_folder=Path(self.retention_export_dir).expanduser() if self.retention_export_dir else None,
        )

    def creates(self) -> Bounds:
        """How many creates may be under way at once, and how long others may wait for that."""
        most = max(self.creates_least, self.creates_most)
        return Bounds(self.creates_least, most, self.create_wait_seconds, self.turn_seconds)

    def sockets(self) -> SocketLimits:
        """Bounds on sockets."""
        return SocketLimits(
            ping_seconds=self.socket_ping_seconds,
            frame_bytes=self.max_frame_bytes,
            frames_per_second=self.socket_frames_per_second,
            frames_at_once=self.socket_frames_at_once,
            frames_under_way=self.socket_frames_under_way,
            unsent_bytes=self.socket_unsent_bytes,
            strangers=self.sockets_unknown,
            per_host=self.sockets_per_host,
            per_user=self.sockets_per_user,
            revocation_look_seconds=self.revocation_look_seconds,
        )

    def session_limits(self) -> SessionLimits:
        """How long browsers stay signed in, and with how many sessions; in ms."""
        return SessionLimits(
            idle_ms=_ms(self.session_idle_seconds),
            whole_ms=_ms(self.session_seconds),
            ticket_ms=_ms(self.ticket_seconds),
            per_user=self.sessions_per_user,
        )

    def device_limits(self) -> DeviceLimits:
        """How command lines are let in by somebody at a browser; in ms, the token's life in seconds."""
        return DeviceLimits(
            whole_ms=_ms(self.device_login_seconds),
            poll_ms=_ms(self.device_poll_seconds),
            at_once=self.device_logins,
            token_seconds=self.device_token_seconds,
        )

    def attempts(self) -> Attempts:
        """How often anybody may try to sign in."""
        return Attempts(self.sign_ins_per_account, self.sign_ins_per_address, self.sign_in_window_seconds)

    def password_cost(self) -> Cost:
        """What a new password's hash costs."""
        return Cost(self.password_memory_mib, self.password_passes)

    def front(self) -> Front:
        """How browsers reach the server."""
        return Front(self.public_url.rstrip("/"), self.trusted_proxies)

    def issuer(self) -> Issuer | None:
        """Who else may sign users' tokens; None: nobody. Whether that makes sense is its `problem`."""
        if not self.jwks_url:
            return None
        return Issuer(
            algorithm=self.jwt_algorithm,
            jwks_url=self.jwks_url,
            name=self.jwt_issuer,
            audience=self.jwt_audience,
            user_claim=self.jwt_user_claim,
            longest_seconds=self.jwt_longest_seconds,
            max_age_seconds=self.jwks_max_age_seconds,
            outage_seconds=self.jwks_outage_seconds,
            retry_seconds=self.jwks_retry_seconds,
            timeout_seconds=self.jwks_timeout_seconds,
            max_bytes=self.max_jwks_bytes,
        )

    def token_limits(self) -> TokenLimits:
        """Bounds on every token."""
        return TokenLimits(leeway_seconds=self.jwt_leeway_seconds, max_bytes=self.max_token_bytes)

    def rates(self) -> RequestLimits:
        """How many requests may come in a window."""
        return RequestLimits(
            self.requests_per_token,
            self.requests_per_session,
            self.requests_per_key,
            self.requests_per_org,
            self.rate_window_seconds,
        )

    def patience(self) -> tuple[float, float, int]:
        """What the edge of the server needs: the seconds for a request's head and for its body, and a head's bytes."""
        return self.request_head_seconds, self.request_body_seconds, self.max_head_bytes

    def __repr__(self) -> str:
        """Without what may hold a password."""
        return f"Settings(data_dir={self.data_dir!r}, host={self.host!r}, port={self.port})"


def _ms(seconds: float) -> int:
    return round(seconds * 1000)


class _Given(NamedTuple):
    """A value, and who gave it: an option, a variable, or a file."""

    value: Any
    source: str


def load_settings(
    given: Mapping[str, Any] | None = None, environ: Mapping[str, str] | None = None, file: Path | None = None
) -> Settings:
    """The settings, or `BadSettings` with every mistake. `given` holds what the command line said; None is unsaid."""
    mistakes: list[str] = []
    values: dict[str, _Given] = {}
    if file is not None:
        values.update(_from_file(file, mistakes))
    for name, text in sorted((environ or {}).items()):
        field = name.removeprefix(PREFIX).lower()
        if name.startswith(PREFIX) and field not in _ELSEWHERE and _known(field, name, mistakes):
            values[field] = _Given(text, name)
    for name, value in (given or {}).items():
        if value is not None:
            values[name] = _Given(value, f"--{name.replace('_', '-')}")
    checked = {name: _checked(name, value, mistakes) for name, value in values.items() if name in _FIELDS}
    settings = _beating(Settings(**{name: value for name, value in checked.items() if value is not None}), values)
    try:
        settings.front()
    except ValueError as error:
        mistakes.append(f"trusted_proxies: {error}")
    mistakes += filter(None, [_of_issuer(settings), _of_redis(settings), _of_heartbeat(settings)])
    if mistakes:
        raise BadSettings("\n".join(mistakes))
    return settings


def _of_issuer(settings: Settings) -> str | None:
    """What is wrong with the issuer, if there is one; or that there is none, though one is spoken of."""
    issuer = settings.issuer()
    if issuer is not None:
        return issuer.problem
    return "jwks_url: is needed beside jwt_issuer" if settings.jwt_issuer else None


def _of_redis(settings: Settings) -> str | None:
    if not settings.redis_url or is_redis_url(settings.redis_url):
        return None
    return f"redis_url: expected redis://host:port/0, not {shown(settings.redis_url)}"


def _beating(settings: Settings, said: Collection[str]) -> Settings:
    """With a heartbeat that fits the lease, where nobody has said how often."""
    if "heartbeat_seconds" in said:
        return settings
    beat = min(settings.heartbeat_seconds, settings.lease_seconds / 4)
    return msgspec.structs.replace(settings, heartbeat_seconds=beat)


def _of_heartbeat(settings: Settings) -> str | None:
    """One that is late or lost may not cost an agent its lease: its work would be given out again."""
    beat, lease = settings.heartbeat_seconds, settings.lease_seconds
    if beat <= lease / 2:
        return None
    return f"heartbeat_seconds: expected at most half of lease_seconds, which is {lease:g}, not {beat:g}: healthy runs would be lost"


def _from_file(file: Path, mistakes: list[str]) -> dict[str, _Given]:
    try:
        found = tomllib.loads(file.read_text())
    except FileNotFoundError:
        mistakes.append(f"there is no file {file}")
    except OSError as error:
        mistakes.append(f"{file}: {error.strerror}")
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        mistakes.append(f"{file}: {error}")
    else:
        known = {name: value for name, value in found.items() if _known(name, f"{file}: {name}", mistakes)}
        return {name: _Given(value, str(file)) for name, value in known.items()}
    return {}


def _known(field: str, shown: str, mistakes: list[str]) -> bool:
    if field in _FIELDS:
        return True
    near = difflib.get_close_matches(field, _FIELDS, 1)
    mistakes.append(f"{shown}: no such setting" + (f"; did you mean {near[0]}?" if near else ""))
    return False


def _checked(name: str, given: _Given, mistakes: list[str]) -> Any:
    try:
        return msgspec.convert(given.value, _FIELDS[name], strict=not isinstance(given.value, str))
    except msgspec.ValidationError:
        mistakes.append(f"{name}: expected {expected(_FIELDS[name])}, not {shown(given.value)} ({given.source})")
        return None


_FIELDS: dict[str, Any] = {field.name: field.type for field in msgspec.structs.fields(Settings)}
# Read by the client and the agent, or given by the agent to the commands that it runs.
_CLIENT = {"url", "token", "org", "debug"}
_AGENT = {"agent_key", "config", "state_dir", "job_id", "job_run_id", "job_type", "attempt"}
_ELSEWHERE = _CLIENT | _AGENT
