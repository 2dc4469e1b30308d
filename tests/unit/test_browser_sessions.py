"""What a session's row means as time passes, who is told when it ends, and what is written of its use."""

import asyncio
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, cast

import pytest

from interlock.errors import NotFound, Unauthenticated, Unavailable
from store.sessions import SessionRow
from web import dashboards
from web.access import Credential
from web.front import Front
from web.services import Services
from web.sessions import SessionLimits, Sessions

ID = "01938b3e-0000-7000-8000-0000000000cc"
ORG = "01938b3e-0000-7000-8000-0000000000dd"
LIMITS = SessionLimits(idle_ms=100, whole_ms=1000, ticket_ms=30, per_user=2)
Done = Callable[[Any, BaseException | None], None]


class Desk:
    """The clock, the rows, and the journal's queue."""

    def __init__(self, *rows: SessionRow | None) -> None:
        self.time = 1000
        self.rows = list(rows)  # the last stays
        self.looks = 0
        self.forgotten = 0
        self.journal = self
        self.written: list[Done] = []

    def now(self) -> int:
        return self.time

    async def session(self, _: str) -> SessionRow | None:
        self.looks += 1
        return self.rows.pop(0) if len(self.rows) > 1 else self.rows[0]

    def forget_session(self, _: str) -> None:
        self.forgotten += 1

    def exclusive(self, _: Callable[[Any], Any], done: Done) -> None:
        self.written.append(done)


def sessions(desk: Desk) -> Sessions:
    each = cast("Any", desk)
    return Sessions(each, each, each, Front(), LIMITS)


def row(seen_at: int = 1000, expires_at: int = 2000) -> SessionRow:
    return SessionRow(ID, "ann", "0" * 64, 1000, seen_at, expires_at, None, None)


async def test_a_session_goes_on_until_it_was_idle_for_long_or_its_time_is_over() -> None:
    for held, over in ((1099, 1100), (1049, 1050)):
        desk = Desk(row(expires_at=1050 if over == 1050 else 2000))
        desk.time = held
        assert (await sessions(desk).held(ID)).user_id == "ann"
        desk.time = over
        with pytest.raises(Unauthenticated):
            await sessions(desk).held(ID)


async def test_a_row_that_seems_idle_is_read_again_since_another_server_may_have_seen_its_user() -> None:
    desk = Desk(row(seen_at=1000), row(seen_at=1090))
    desk.time = 1150
    assert (await sessions(desk).held(ID)).last_seen_at == 1090
    assert (desk.looks, desk.forgotten) == (2, 1)


async def test_use_is_written_now_and_then_once_at_a_time_and_nobody_waits() -> None:
    desk = Desk(row())
    door = sessions(desk)
    await door.held(ID)
    assert desk.written == []
    desk.time = 1025
    for _ in range(3):
        await door.held(ID)
    (done,) = desk.written
    done(None, Unavailable("no disk"))
    assert desk.forgotten == 0
    await door.held(ID)
    desk.written[1](None, None)
    assert (len(desk.written), desk.forgotten) == (2, 1)


async def test_a_session_that_ended_here_is_refused_even_if_its_row_is_still_known() -> None:
    desk = Desk(row())
    door = sessions(desk)
    door.ended([ID])
    with pytest.raises(Unauthenticated):
        await door.held(ID)
    desk.time += 200_000
    door.ended(["another"])
    assert list(door._ended) == ["another"]


async def test_whoever_holds_a_session_is_told_of_its_end_and_nobody_else() -> None:
    door = sessions(Desk(row()))
    with door.holding(ID) as one, door.holding(ID) as two, door.holding("b") as other, door.holding(None) as none:
        door.ended([ID])
        assert [event.is_set() for event in (one, two, other, none)] == [True, True, False, False]
    assert door._holders == {}


async def test_a_dashboard_is_sent_away_at_once_when_its_session_ends_here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dashboards, "CHECKED_EVERY", 3600.0)
    door = sessions(Desk(row()))
    s = cast("Services", SimpleNamespace(sessions=door))
    waiting = asyncio.create_task(dashboards.until_unwelcome(s, Credential(session_id=ID), ORG))
    await asyncio.sleep(0)
    door.ended([ID])
    await waiting
    assert door._holders == {}


async def test_a_dashboard_is_sent_away_when_a_look_says_so_but_not_when_nothing_can_be_read(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(dashboards, "CHECKED_EVERY", 0.0)
    said = [Unavailable("away"), Unavailable("away"), NotFound("No such organization")]

    async def look(*_: object) -> None:
        raise said.pop(0)

    monkeypatch.setattr(dashboards, "may_watch", look)
    s = cast("Services", SimpleNamespace(sessions=sessions(Desk(row()))))
    await dashboards.until_unwelcome(s, Credential(token="x"), ORG)
    assert said == []
