"""The doctor's look at the database: can it be reached, is it whole, does its version fit, is its clock right."""

from collections.abc import Iterator

from interlock.clock import Clock
from runtime.data_folder import NAME_IT, is_elsewhere
from runtime.findings import Finding, fail, ok, warn
from runtime.settings import Settings
from store.errors import DatabaseUnusable
from store.look import Look, look_at

NEAR_MS = 1000  # that clocks may differ without a word
FAR_MS = 10_000  # from where on leases, tokens and times to run go wrong


def check_database(settings: Settings, clock: Clock) -> Iterator[Finding]:
    """All findings about it."""
    try:
        seen = look_at(settings.url_of_database, clock)
    except DatabaseUnusable as error:
        yield fail(
            "database",
            " ".join(error.detail.split()),
            "See that it runs, and that `database_url` and its rights are right.",
        )
        return
    if seen is None:
        if is_elsewhere(settings):
            text = f"the server of {settings.data_path} keeps its rows in another database"
            yield fail("database", text, f"{NAME_IT[0].upper()}{NAME_IT[1:]}.")
            return
        where = settings.data_path / "interlock.db"
        yield warn("database", f"{where} is not there yet", "`interlock serve` makes it. Is this the right folder?")
        return
    yield from _health(seen)
    yield from _migrations(seen)
    if not seen.set_up and not seen.damage:
        yield warn("accounts", "no account exists", "Open the link that `interlock serve` prints, or `admin setup`.")
    if seen.away is not None:
        yield clock_finding("clock", "the database's clock", seen.away)


def _health(seen: Look) -> Iterator[Finding]:
    if seen.damage:
        yield fail("database", f"the file is damaged: {'; '.join(seen.damage)}", "Stop the server; restore a backup.")
    elif not seen.checked:
        yield warn("database", f"{seen.version}; the file is too large to be looked through now", "Look at night.")
    elif not seen.durable:
        yield warn("database", f"{seen.version} with fsync off", "Set fsync = on, or lose jobs with the power.")
    else:
        yield ok("database", f"{seen.version} answers")
    if seen.journal_mode not in {None, "wal"}:
        yield warn("database-mode", f"the journal mode is {seen.journal_mode}", "`interlock serve` sets WAL: start it.")


def _migrations(seen: Look) -> Iterator[Finding]:
    missing, unknown = seen.migrations
    if seen.damage:
        return
    if unknown:
        text = f"a newer version has changed the database: {', '.join(unknown)}"
        yield fail("migrations", text, "Run that version, or restore the backup of before.")
    elif missing:
        advice = "The next start of `interlock serve` applies them; back up first."
        yield warn("migrations", f"missing: {', '.join(missing)}", advice)
    else:
        yield ok("migrations", "all are applied")


def clock_finding(check: str, whose: str, away_ms: int) -> Finding:
    """How far somebody's clock is ahead of ours."""
    text = f"{whose} is {abs(away_ms) / 1000:.1f} s {'ahead' if away_ms > 0 else 'behind'}"
    advice = "Keep all machines' time by NTP: `timedatectl`."
    if abs(away_ms) > FAR_MS:
        return fail(check, text, advice)
    return warn(check, text, advice) if abs(away_ms) > NEAR_MS else ok(check, f"{whose} agrees")
