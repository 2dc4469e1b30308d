"""What a host does, in one word."""

from dataclasses import dataclass
from typing import cast

import pytest

from actors.host_state import HostState
from interlock.summary import Doing
from store.summary import HostAtWork
from web.summary import doing

NOW, SILENT_SINCE = 1000, 500
IDLE = HostAtWork("h", "eu-1", 900, None, paused=False, paused_until=None, draining=False, live_status=None)


@pytest.mark.parametrize(
    ("host", "word"),
    [
        (IDLE, "idle"),
        (IDLE._replace(live_status="running"), "running"),
        (IDLE._replace(live_status="cancelling"), "running"),
        (IDLE._replace(live_status="offered"), "offered"),
        (IDLE._replace(live_status="unreachable"), "unreachable"),
        (IDLE._replace(last_seen_at=500), "offline"),
        (IDLE._replace(last_seen_at=None), "never_connected"),
        (IDLE._replace(last_seen_at=None, live_status="running"), "running"),
        (IDLE._replace(unhealthy="no_acks", live_status="offered"), "unhealthy"),
        (IDLE._replace(draining=True, paused=True), "draining"),
        (IDLE._replace(paused=True), "paused"),
        (IDLE._replace(paused=True, paused_until=1001), "paused"),
        (IDLE._replace(paused=True, paused_until=1000), "idle"),
        (IDLE._replace(paused=True, last_seen_at=1), "offline"),
        (IDLE._replace(paused=True, live_status="running"), "running"),
    ],
)
def test_trouble_comes_before_work_and_work_before_why_there_is_none(host: HostAtWork, word: Doing) -> None:
    assert doing(host, None, NOW, SILENT_SINCE) == word


@dataclass
class Actor:
    seen: str

    def presence(self) -> str:
        return self.seen


def test_the_hosts_actor_knows_better_whether_it_is_there() -> None:
    away = IDLE._replace(last_seen_at=1)
    assert doing(away, cast("HostState", Actor("online")), NOW, SILENT_SINCE) == "idle"
    assert doing(IDLE, cast("HostState", Actor("unreachable")), NOW, SILENT_SINCE) == "unreachable"
