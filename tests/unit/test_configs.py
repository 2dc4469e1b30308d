"""Settings in memory: who is pushed which version, and when a row is read again."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from interlock.fleet import Config
from store.settings import Setting
from web.configs import DEFAULT, PUSHED_AT_ONCE, Configs


class FakeStore:
    """Answers with the setting that it holds, whatever is asked for."""

    def __init__(self) -> None:
        self.setting: Setting | None = None
        self.asked = 0
        self.on_answer: Callable[[], object] = lambda: None

    async def fetch(self, work: Callable[[Any], Any]) -> Any:
        self.asked += 1
        await asyncio.sleep(0)
        asyncio.get_running_loop().call_soon(self.on_answer)
        if "versions_of" in work.__code__.co_names:
            return {} if self.setting is None else {"org": self.setting.version}
        return self.setting


class FakeClock:
    def __init__(self) -> None:
        self.at = 1000

    def now(self) -> int:
        return self.at

    def chance(self) -> float:
        return 0.5


class Session:
    """What was pushed to it."""

    def __init__(self, org_id: str) -> None:
        self.org_id = org_id
        self.versions: list[int] = []

    def deliver(self, event: str, data: Any) -> None:
        assert event == "config"
        self.versions.append(data.version)


class Rig:
    """Two sessions of one org and one of another."""

    def __init__(self) -> None:
        self.store, self.clock = FakeStore(), FakeClock()
        self.sessions = [Session("org"), Session("org"), Session("other")]
        store: Any = self.store
        self.configs = Configs(store, self.clock, 10, lambda: self.sessions)

    def row(self, version: int) -> None:
        self.store.setting = Setting(version, '{"platform": {}, "connectors": []}', 7)

    @property
    def pushed(self) -> list[list[int]]:
        return [session.versions for session in self.sessions]


@pytest.fixture
def rig() -> Rig:
    return Rig()


async def test_who_has_set_nothing_has_the_default(rig: Rig) -> None:
    assert await rig.configs.of("org") is DEFAULT
    assert [each.id for each in DEFAULT.connectors] == ["google_maps", "google_search"]


async def test_a_row_is_read_again_when_its_time_is_over(rig: Rig) -> None:
    rig.row(1)
    for _ in range(2):
        assert (await rig.configs.of("org")).version == 1
    assert rig.store.asked == 1
    rig.clock.at += 10
    await rig.configs.of("org")
    assert rig.store.asked == 2


async def test_a_change_is_pushed_to_all_sessions_of_its_org_alone(rig: Rig) -> None:
    await rig.configs.of("org")
    rig.configs.learn("org", Config(platform={}, connectors=[], version=1))
    assert rig.pushed == [[1], [1], []]


async def test_a_large_fleet_is_told_in_portions_and_never_of_an_older_version_behind_a_newer(rig: Rig) -> None:
    rig.sessions = [Session("org") for _ in range(3 * PUSHED_AT_ONCE)]
    await rig.configs.of("org")
    rig.configs.learn("org", Config(platform={}, connectors=[], version=1))
    assert sum(map(len, rig.pushed)) == PUSHED_AT_ONCE
    await asyncio.sleep(0)
    assert sum(map(len, rig.pushed)) == 2 * PUSHED_AT_ONCE
    rig.configs.learn("org", Config(platform={}, connectors=[], version=2))
    for _ in range(5):
        await asyncio.sleep(0)
    both, latter = [1, 2], [2]
    assert rig.pushed == [both] * 2 * PUSHED_AT_ONCE + [latter] * PUSHED_AT_ONCE


async def test_what_is_known_already_is_not_pushed_again(rig: Rig) -> None:
    rig.row(2)
    await rig.configs.of("org")
    for _ in range(2):
        await rig.configs.look()
        await rig.configs.read("org")
    assert rig.pushed == [[], [], []]


async def test_an_older_version_that_was_read_late_changes_nothing(rig: Rig) -> None:
    await rig.configs.of("org")
    newer = rig.configs.learn("org", Config(platform={}, connectors=[], version=3))
    rig.row(2)
    assert await rig.configs.read("org") is newer
    assert rig.pushed == [[3], [3], []]


async def test_what_another_node_has_changed_is_pushed_by_the_next_look(rig: Rig) -> None:
    await rig.configs.of("org")
    rig.row(1)
    await rig.configs.look()
    assert rig.pushed == [[1], [1], []]


async def test_without_sessions_nobody_looks(rig: Rig) -> None:
    rig.sessions.clear()
    await rig.configs.look()
    assert rig.store.asked == 0


async def test_a_fleet_that_connects_at_once_asks_once(rig: Rig) -> None:
    rig.row(1)
    configs = await asyncio.gather(*(rig.configs.of("org") for _ in range(100)))
    assert ({config.version for config in configs}, rig.store.asked) == ({1}, 1)


async def test_who_asked_before_a_change_does_not_get_what_was_before_it(rig: Rig) -> None:
    asking = asyncio.gather(*(rig.configs.of("org") for _ in range(2)))
    rig.store.on_answer = lambda: rig.configs.learn("org", Config(platform={}, connectors=[], version=5))
    assert [config.version for config in await asking] == [5, 5]
