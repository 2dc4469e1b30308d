"""The agent with a real server behind a bad network: both die, the network is cut, a key is cloned.

No run starts twice, no two are at work at once, and every job ends with the result that its command had.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support import skewed_agent
from tests.support.agent_rig import lives
from tests.support.callers import PATIENCE
from tests.support.scene import Scene, lines_of, scene_at, seen
from tests.support.server import Server


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with Server(tmp_path_factory.mktemp("data"), heartbeat_seconds=0.1) as running:
        yield running
    assert running.tracebacks() == []


@pytest.fixture(scope="module")
def hasty(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server that gives runs up after seconds of silence. A busy machine is silent for one of them now and then."""
    times = {"lease_seconds": 2, "lost_after_seconds": 0.5, "heartbeat_seconds": 0.1, "startup_grace_seconds": 0}
    with Server(tmp_path_factory.mktemp("data"), **times) as running:
        yield running
    assert running.tracebacks() == []


@pytest.fixture
async def scene(server: Server, tmp_path: Path) -> AsyncIterator[Scene]:
    async with scene_at(server, tmp_path) as scene:
        yield scene


@pytest.fixture(params=["poll", "socket"])
async def any_scene(request: pytest.FixtureRequest, server: Server, tmp_path: Path) -> AsyncIterator[Scene]:
    """Whichever way the agent speaks to the server."""
    async with scene_at(server, tmp_path, transport=request.param, request_timeout_seconds=1.0) as scene:
        yield scene


@pytest.fixture
async def hasty_scene(hasty: Server, tmp_path: Path) -> AsyncIterator[Scene]:
    async with scene_at(hasty, tmp_path) as scene:
        yield scene


def once(scene: Scene, job: dict[str, Any], *statuses: str) -> None:
    """Each attempt that has started did so once, and these are the attempts."""
    assert [run["status"] for run in job["jobRuns"]] == list(statuses)
    assert set(scene.starts()) <= {run["id"] for run in job["jobRuns"]}, "something else ran, or two at once"
    assert set(scene.starts().values()) == {1}


# ---- the server dies


@pytest.mark.parametrize("answered", [False, True], ids=["before it is handled", "before its answer arrives"])
@pytest.mark.parametrize("route", ["poll", "heartbeat", "logs", "result"])
async def test_a_server_killed_at_a_request_and_restarted_does_and_loses_nothing(
    scene: Scene, route: str, answered: bool
) -> None:
    killed, restarted = asyncio.Event(), asyncio.Event()

    async def kill(at: str) -> bool:
        if at != route or killed.is_set():
            return True
        killed.set()
        await asyncio.to_thread(scene.server.kill)
        await asyncio.to_thread(scene.server.start)
        restarted.set()
        return False

    job = await scene.tenant.create(scene.host)
    if answered:
        scene.network.after = kill
    else:
        scene.network.before = kill
    if route == "result":
        scene.go()
    async with scene.place.running():
        await killed.wait()
        scene.go()
        done = await scene.ended(job)
        async with asyncio.timeout(
            PATIENCE
        ):  # the job may have been seen to end before: the next test needs the server
            await restarted.wait()
    once(scene, done, "success")
    assert done["output"] == {"text": "out"}


# ---- the agent dies


async def test_an_agent_killed_at_work_and_started_again_ends_its_command_and_the_job_is_tried_again(
    any_scene: Scene,
) -> None:
    scene = any_scene
    job = await scene.tenant.create(scene.host)
    async with scene.place.process() as agent:
        await scene.at_work(job)
        agent.kill()
    (left,) = scene.pids()
    assert lives(left)
    async with scene.place.running():
        done = await scene.ended(job)
    once(scene, done, "failed", "success")
    assert done["jobRuns"][0]["result"]["errorCode"] == "interrupted"
    assert "has been stopped" in done["jobRuns"][0]["result"]["errorMessage"]
    assert not lives(left)


# ---- the network is cut


@pytest.mark.parametrize("deliver", [False, True], ids=["what was under way is lost", "what was under way comes late"])
class TestNetworkCut:
    async def test_a_result_that_was_had_meanwhile_is_handed_over(self, any_scene: Scene, deliver: bool) -> None:
        scene = any_scene
        job = await scene.tenant.create(scene.host)
        async with scene.place.running():
            await scene.at_work(job)
            scene.network.cut()
            scene.go()
            await scene.written("finished")
            await scene.reconnected()
            scene.network.mend(deliver=deliver)
            done = await scene.ended(job)
        once(scene, done, "success")
        assert done["lateReports"] == []

    async def test_a_job_that_was_handed_out_into_the_void_is_done_once(self, any_scene: Scene, deliver: bool) -> None:
        scene = any_scene
        scene.go()
        async with scene.place.running(), asyncio.timeout(PATIENCE):
            while not (await scene.tenant.queue(scene.host))["connections"]:
                pass
            scene.network.cut()
            job = await scene.tenant.create(scene.host)
            await scene.reconnected()
            scene.network.mend(deliver=deliver)
            done = await scene.ended(job)
        once(scene, done, "success")

    async def test_a_command_that_outlasts_the_cut_goes_on(self, any_scene: Scene, deliver: bool) -> None:
        scene = any_scene
        job = await scene.tenant.create(scene.host)
        async with scene.place.running():
            await scene.at_work(job)
            scene.network.cut()
            await scene.reconnected()
            before = scene.network.passed.total()
            scene.network.mend(deliver=deliver)
            await scene.job_until(job, lambda _: scene.network.passed.total() > before)
            scene.go()
            done = await scene.ended(job)
        once(scene, done, "success")

    async def test_a_command_whose_run_was_given_up_is_stopped_before_the_next_attempt(
        self, hasty_scene: Scene, deliver: bool
    ) -> None:
        scene = hasty_scene
        job = await scene.tenant.create(scene.host)
        async with scene.place.running():
            await scene.at_work(job)
            await scene.leased()
            scene.network.cut()
            await scene.job_until(job, lambda shown: shown["jobRuns"][0]["status"] == "lost")
            (left,) = scene.pids()
            assert lives(left)
            scene.network.mend(deliver=deliver)
            done = await scene.ended(job)
        once(scene, done, "lost", "success")
        assert not lives(left)
        assert done["lateReports"] == []

    async def test_a_result_of_a_run_that_was_given_up_is_kept_beside_the_job(
        self, hasty_scene: Scene, deliver: bool
    ) -> None:
        scene = hasty_scene
        job = await scene.tenant.create(scene.host)
        async with scene.place.running():
            await scene.at_work(job)
            await scene.leased()
            scene.network.cut()
            scene.go()
            await scene.written("finished")
            await scene.job_until(job, lambda shown: shown["jobRuns"][0]["status"] == "lost")
            scene.network.mend(deliver=deliver)
            done = await scene.ended(job)
        once(scene, done, "lost", "success")
        (late,) = done["lateReports"]
        assert (late["jobRunId"], late["body"]["status"]) == (done["jobRuns"][0]["id"], "success")


# ---- two agents with one key


async def test_two_agents_with_one_key_start_no_run_twice_and_the_host_is_shown_unhealthy(
    scene: Scene, tmp_path: Path
) -> None:
    here, there = scene.place, scene.workplace(tmp_path / "there")
    for place in (here, there):
        place.set(retry_cap_seconds=0.2)
    jobs = [await scene.tenant.create(scene.host, maxAttempts=100) for _ in range(3)]
    async with scene.tenant.watch() as watch, here.running(), there.running():
        await watch.until("host.updated", health="unhealthy")
        for job in jobs:
            await scene.job_until(job, lambda shown: (shown["wait"] or {}).get("reason") == "host_unhealthy")
        pids = [int(pid) for place in (here, there) for pid in lines_of(place.folder / "pids")]
        await seen(lambda: not any(lives(pid) for pid in pids))  # what was superseded is stopped
    started = Counter(run for place in (here, there) for run in lines_of(place.folder / "starts"))
    assert set(started.values()) == {1}
    assert "overlap" not in started


# ---- the agent's clock is wrong


@pytest.mark.parametrize("hours", ["1", "-1", "steps"])
async def test_a_wall_clock_that_is_wrong_or_steps_changes_nothing(scene: Scene, hours: str) -> None:
    scene.place.shell("seq 1 5; exec sleep 60", "SERVER_STOP")
    scene.place.shell("seq 1 5; exec sleep 60", "SERVER_RESTART")
    scene.go()
    async with scene.place.process([skewed_agent.__file__, hours], heartbeat_seconds=0.05):
        done = await scene.ended(await scene.tenant.create(scene.host))
        late = await scene.ended(
            await scene.tenant.create(scene.host, job_type="SERVER_STOP", timeoutSeconds=0.5, maxAttempts=1)
        )
        job = await scene.tenant.create(scene.host, job_type="SERVER_RESTART")
        await scene.job_until(job, lambda shown: shown["counts"]["logs"] == 5)
        await scene.tenant.cancel(job)
        cancelled = await scene.ended(job)
    once(scene, done, "success")
    assert late["status"] == "FAILED"
    (run,) = late["jobRuns"]  # ended by the agent's clock, or by the server's, which began a moment earlier
    assert (run["status"], run["result"]["errorCode"]) in {
        ("failed", "timeout"),
        ("timed_out", "timeout"),
    }
    assert cancelled["status"] == "CANCELLED"
    for shown in (done, late, cancelled):
        (run,) = shown["jobRuns"]
        assert 0 <= run["result"]["durationMs"] < 60_000
        assert shown["createdAt"] <= run["startedAt"] <= run["finishedAt"] == shown["completedAt"]
        lines = (await scene.tenant.user.get(f"{scene.tenant.jobs_path}/{shown['id']}/logs")).json["items"]
        assert [line["message"] for line in lines] == (["out"] if shown is done else ["1", "2", "3", "4", "5"])


# ---- the server is restored from a backup


async def test_an_agent_goes_on_with_a_server_that_was_restored_from_a_backup(tmp_path: Path) -> None:
    with Server(tmp_path / "data") as server:
        async with scene_at(server, tmp_path / "agent") as scene, scene.place.running():
            scene.go()
            await scene.ended(await scene.tenant.create(scene.host))
            saved = str(tmp_path / "saved.tar")
            assert (await asyncio.to_thread(server.admin, "backup", saved)).returncode == 0
            for _ in range(3):  # of these the backup knows nothing, but the agent does
                await scene.ended(await scene.tenant.create(scene.host))
            await asyncio.to_thread(server.terminate)
            server.data_dir.rename(tmp_path / "lost")
            assert (await asyncio.to_thread(server.admin, "restore", saved)).returncode == 0
            await asyncio.to_thread(server.start)
            done = await scene.ended(await scene.tenant.create(scene.host))
        assert [run["status"] for run in done["jobRuns"]] == ["success"]
