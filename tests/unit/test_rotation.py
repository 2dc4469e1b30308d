"""A new signing secret signs at once; older ones are accepted until they are forgotten."""

import os
from pathlib import Path
from typing import Any, cast

import pytest

from interlock.clock import SystemClock
from interlock.errors import Unauthenticated
from interlock.ids import UuidIds
from runtime.rotation import SecretWatch, forget, older_signing_secrets, rotate
from runtime.secret import BadSecret, signing_secret
from runtime.settings import Settings
from store import open_database
from web.tokens import Tokens

IDS, CLOCK = UuidIds(), SystemClock()
EMBEDDED = open_database("sqlite:///:memory:")  # its secrets are files beside it: nothing is read from it
ANN = IDS.new()


class Reader:
    """A store that reads on this thread."""

    async def fetch(self, work: Any) -> Any:
        return work(EMBEDDED)


def tokens_of(settings: Settings) -> Tokens:
    return Tokens(signing_secret(settings, EMBEDDED), CLOCK, older_signing_secrets(settings, EMBEDDED))


def test_what_an_older_secret_has_signed_holds_until_it_is_forgotten(tmp_path: Path) -> None:
    settings = Settings(data_dir=str(tmp_path))
    signed = []
    for place in range(3):
        before = tokens_of(settings)
        host = [IDS.new() for _ in range(3)]
        signed.append((before.user_token(ANN, None, 60), before.agent_key(*host)))
        assert rotate(settings, EMBEDDED, 1) == place + 1
    now = tokens_of(settings)
    for user, agent in signed:
        assert now.read_user(user).user_id == ANN
        assert now.read_agent(agent).kid
    fresh = now.user_token(ANN, None, 60)
    forget(settings, EMBEDDED)
    after = tokens_of(settings)
    assert after.read_user(fresh).user_id == ANN
    for user, agent in signed:
        with pytest.raises(Unauthenticated):
            after.read_user(user)
        with pytest.raises(Unauthenticated):
            after.read_agent(agent)
    forget(settings, EMBEDDED)


def test_nobody_else_may_read_them_and_nothing_is_left_behind(tmp_path: Path) -> None:
    settings = Settings(data_dir=str(tmp_path))
    rotate(settings, EMBEDDED, 1)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["secret", "secret.older"]
    assert {path.stat().st_mode & 0o777 for path in tmp_path.iterdir()} == {0o600}


def test_a_secret_of_any_bytes_goes_on_being_accepted(tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(os.urandom(31) + b"\n\xff" * 9)
    settings = Settings(data_dir=str(tmp_path))
    signed = tokens_of(settings).user_token(ANN, None, 60)
    rotate(settings, EMBEDDED, 1)
    assert tokens_of(settings).read_user(signed).user_id == ANN


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    (tmp_path / "secret.older").write_text("no hex")
    with pytest.raises(BadSecret, match=r"secret\.older"):
        older_signing_secrets(Settings(data_dir=str(tmp_path)), EMBEDDED)


async def test_a_running_server_follows_and_forgets_what_it_had_checked_before(tmp_path: Path) -> None:
    settings = Settings(data_dir=str(tmp_path))
    tokens = tokens_of(settings)
    watch = SecretWatch(cast("Any", Reader()), settings, tokens)
    signed = tokens.user_token(ANN, None, 60)
    rotate(settings, EMBEDDED, 1)
    await watch.look()
    fresh = tokens_of(settings).user_token(ANN, None, 60)
    for token in (signed, fresh):
        assert tokens.read_user(token).user_id == ANN
    forget(settings, EMBEDDED)
    await watch.look()
    assert tokens.read_user(fresh).user_id == ANN
    with pytest.raises(Unauthenticated):
        tokens.read_user(signed)


def test_with_older_secrets_a_forged_or_broken_token_is_refused_as_ever(tmp_path: Path) -> None:
    settings = Settings(data_dir=str(tmp_path))
    rotate(settings, EMBEDDED, 1)
    tokens = tokens_of(settings)
    forged = Tokens(b"y" * 64, CLOCK).user_token(ANN, None, 60)
    expired = tokens.user_token(ANN, None, -60)
    for token in (forged, expired, "x", "", "a.b.c", tokens.agent_key(ANN, ANN, ANN)):
        with pytest.raises(Unauthenticated):
            tokens.read_user(token)
