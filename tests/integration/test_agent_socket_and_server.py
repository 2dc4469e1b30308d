"""The agent on the real server's socket: what a user asks for reaches the machine, whatever breaks in between."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from interlock.agent import Context, Job
from tests.support.agent_rig import lives
from tests.support.callers import PATIENCE
from tests.support.scene import Scene, lines_of, scene_at, seen
from tests.support.server import Server

FOUND = {"type": "place", "title": "Café", "source": "maps", "snippet": "open", "confidence": "high"}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with Server(tmp_path_factory.mktemp("data"), heartbeat_seconds=0.1) as running:
        yield running
    assert running.tracebacks() == []


@pytest.fixture
async def scene(server: Server, tmp_path: Path) -> AsyncIterator[Scene]:
    async with scene_at(server, tmp_path, transport="auto", request_timeout_seconds=2.0) as scene:
        yield scene


@pytest.fixture(params=["poll", "socket"])
async def any_scene(request: pytest.FixtureRequest, server: Server, tmp_path: Path) -> AsyncIterator[Scene]:
    async with scene_at(server, tmp_path, transport=request.param) as scene:
        yield scene


async def pooled(scene: Scene, job_type: str, **fields: Any) -> dict[str, Any]:
    """A job for any host."""
    reply = await scene.tenant.user.post(scene.tenant.jobs_path, {"type": job_type, **fields})
    assert reply.status == 201, reply
    made: dict[str, Any] = reply.json
    return made


async def connections(scene: Scene, holds: Callable[[list[dict[str, Any]]], object]) -> None:
    """Return when that holds of the host's connections, as the server sees them."""
    async with asyncio.timeout(PATIENCE):
        while not holds((await scene.tenant.queue(scene.host))["connections"]):  # noqa: ASYNC110 - nothing tells of it
            await asyncio.sleep(0.01)


@asynccontextmanager
async def upgraded(scene: Scene) -> AsyncIterator[None]:
    """Afterwards another socket has been asked for."""
    before = scene.network.passed["upgrade"]
    yield
    await seen(lambda: scene.network.passed["upgrade"] > before)


# ---- what breaks


@pytest.mark.parametrize("again", [1, 3])
async def test_a_run_goes_on_through_restarts_of_the_server(scene: Scene, again: int) -> None:
    job = await scene.tenant.create(scene.host)
    async with scene.place.running():
        await scene.at_work(job)
        for _ in range(again):
            async with upgraded(scene):
                await asyncio.to_thread(scene.server.kill)
                await asyncio.to_thread(scene.server.start)
        scene.go()
        done = await scene.ended(job)
    assert [run["status"] for run in done["jobRuns"]] == ["success"]
    assert set(scene.starts().values()) == {1}
    assert done["lateReports"] == []


async def test_a_run_goes_on_through_connections_that_break(scene: Scene) -> None:
    job = await scene.tenant.create(scene.host)
    async with scene.place.running():
        await scene.at_work(job)
        for _ in range(5):
            async with upgraded(scene):
                scene.network.drop()
        scene.go()
        done = await scene.ended(job)
    assert [run["status"] for run in done["jobRuns"]] == ["success"]
    assert set(scene.starts().values()) == {1}


async def test_jobs_are_done_once_each_while_connections_break_at_any_moment(scene: Scene) -> None:
    scene.go()
    jobs = [await scene.tenant.create(scene.host) for _ in range(8)]
    async with scene.place.running():
        for job in jobs:
            scene.network.drop()
            await scene.ended(job)
    shown = [await scene.tenant.show(job) for job in jobs]
    assert {job["status"] for job in shown} == {"COMPLETED"}
    assert [len(job["jobRuns"]) for job in shown] == [1] * len(jobs)
    assert sorted(scene.starts()) == sorted(run["id"] for job in shown for run in job["jobRuns"])
    assert set(scene.starts().values()) == {1}
    assert [job["lateReports"] for job in shown] == [[]] * len(jobs)


async def test_an_agent_whose_proxy_lets_no_socket_pass_polls_and_returns_once_it_does(scene: Scene) -> None:
    async def refuse(route: str) -> bool:
        return route != "upgrade"

    scene.go()
    scene.network.before = refuse
    async with scene.place.running():
        job = await scene.tenant.create(scene.host)
        polled = await scene.ended(job)
        assert scene.network.passed["poll"] > 0
        scene.network.before = _pass
        await connections(scene, lambda each: [one for one in each if "poll" not in str(one).lower()])
        polls = scene.network.passed["poll"]
        pushed = await scene.ended(await scene.tenant.create(scene.host))
        assert scene.network.passed["poll"] == polls
    assert [polled["status"], pushed["status"]] == ["COMPLETED", "COMPLETED"]


async def _pass(_: str) -> bool:
    return True


# ---- what a user asks for


async def test_a_cancel_reaches_the_process_tree_without_a_heartbeat(any_scene: Scene) -> None:
    scene = any_scene
    scene.place.shell("sleep 60 & echo $$ $! > tree; wait", "SERVER_STOP")
    tree = scene.place.folder / "tree"
    async with scene.place.running():
        job = await scene.tenant.create(scene.host, job_type="SERVER_STOP")
        await seen(lambda: tree.exists() and len(tree.read_text().split()) == 2)
        reply = await scene.tenant.cancel(job)
        done = await scene.ended(job)
    assert reply.status == 202
    assert done["status"] == "CANCELLED"
    assert [run["status"] for run in done["jobRuns"]] == ["cancelled"]
    assert not any(lives(int(pid)) for pid in tree.read_text().split())


async def test_the_host_of_a_run_that_was_cancelled_by_force_gets_its_next_job(any_scene: Scene) -> None:
    scene = any_scene
    scene.place.shell("echo $$ > pid; exec sleep 60", "SERVER_STOP")
    pid = scene.place.folder / "pid"
    scene.go()
    async with scene.place.running():
        job = await scene.tenant.create(scene.host, job_type="SERVER_STOP")
        await seen(lambda: pid.exists() and pid.read_text().strip())
        assert (await scene.tenant.cancel(job, {"force": True})).status == 200
        following = await scene.ended(await scene.tenant.create(scene.host))
    assert following["status"] == "COMPLETED"
    assert not lives(int(pid.read_text()))


async def test_a_pool_job_is_done_by_a_handler_that_says_how_far_it_is_and_what_it_found(any_scene: Scene) -> None:
    scene, agent = any_scene, any_scene.place.agent()

    @agent.handler("SEARCH_SINGLE")
    async def search(job: Job, context: Context) -> dict[str, Any]:
        context.progress(40, f"looking for {job.payload['keyword']}")
        context.log("found two")
        verdicts = await context.evidence([FOUND, FOUND | {"title": "Bar"}, FOUND])
        stored = await context.asset("shot.png", b"png")
        return {"verdicts": [each.verdict for each in verdicts], "size": stored.size_bytes}

    async with scene.place.running(agent):
        done = await scene.ended(await pooled(scene, "SEARCH_SINGLE", input={"keyword": "cafés"}))
    assert done["output"] == {"verdicts": ["created", "created", "duplicate"], "size": 3}
    assert (done["progress"], done["hostId"], done["counts"]["evidence"]) == (100, scene.host.id, 2)
    lines = (await scene.tenant.user.get(f"{scene.tenant.jobs_path}/{done['id']}/logs")).json["items"]
    assert {"looking for cafés", "found two"} <= {line["message"] for line in lines}
    assets = (await scene.tenant.user.get(f"{scene.tenant.jobs_path}/{done['id']}/assets")).json["items"]
    assert [each["name"] for each in assets] == ["shot.png"]


async def test_a_run_that_waits_for_its_user_goes_on_when_one_resolves_it(any_scene: Scene) -> None:
    scene, agent = any_scene, any_scene.place.agent()

    @agent.handler("SEARCH_SINGLE")
    async def search(job: Job, context: Context) -> dict[str, Any]:
        del job
        await context.needs_user_action("solve the captcha")
        return {"solved": True}

    async with scene.place.running(agent):
        job = await pooled(scene, "SEARCH_SINGLE")
        await scene.job_until(job, lambda shown: shown["needsUserAction"])
        assert (await scene.tenant.user.post(f"{scene.tenant.jobs_path}/{job['id']}/resolve")).status == 200
        done = await scene.ended(job)
    assert (done["output"], done["needsUserAction"]) == ({"solved": True}, False)


async def test_a_handler_sees_the_settings_of_its_organization_as_they_are_now(any_scene: Scene) -> None:
    scene, agent = any_scene, any_scene.place.agent()

    @agent.handler("SEARCH_SINGLE")
    async def search(job: Job, context: Context) -> dict[str, Any]:
        async with asyncio.timeout(PATIENCE):
            while context.config.version < job.payload["version"]:  # noqa: ASYNC110 - it changes without a word
                await asyncio.sleep(0.01)
        return {"method": context.config.platform.get("searchMethod")}

    async with scene.place.running(agent):
        first = await scene.ended(await pooled(scene, "SEARCH_SINGLE", payload={"version": 0}))
        admin = scene.tenant.as_role("admin")
        reply = await admin.ask("PUT", f"{scene.tenant.path}/settings", {"platform": {"searchMethod": "browser"}})
        assert reply.status == 200, reply
        second = await scene.ended(await pooled(scene, "SEARCH_SINGLE", payload={"version": reply.json["version"]}))
    assert [first["output"]["method"], second["output"]["method"]] == [None, "browser"]


async def test_two_agents_with_one_key_on_sockets_start_no_run_twice(scene: Scene, tmp_path: Path) -> None:
    there = scene.workplace(tmp_path / "there")
    for place in (scene.place, there):
        place.set(transport="auto", retry_cap_seconds=0.2)
    jobs = [await scene.tenant.create(scene.host, maxAttempts=100) for _ in range(3)]
    async with scene.tenant.watch() as watch, scene.place.running(), there.running():
        await watch.until("host.updated", health="unhealthy")
        for job in jobs:
            await scene.job_until(job, lambda shown: (shown["wait"] or {}).get("reason") == "host_unhealthy")
        pids = [int(pid) for place in (scene.place, there) for pid in lines_of(place.folder / "pids")]
        await seen(lambda: not any(lives(pid) for pid in pids))
    started = Counter(run for place in (scene.place, there) for run in lines_of(place.folder / "starts"))
    assert set(started.values()) <= {1}
    assert "overlap" not in started


async def test_a_key_that_is_revoked_closes_the_socket_and_is_then_tried_slowly(scene: Scene) -> None:
    scene.place.set(key_retry_seconds=60.0)
    async with scene.place.running():
        await connections(scene, bool)
        admin, path = scene.tenant.as_role("admin"), f"{scene.tenant.path}/hosts/{scene.host.id}/keys"
        (key,) = (await admin.get(path)).json["items"]
        assert (await admin.ask("DELETE", f"{path}/{key['kid']}")).status == 204
        await connections(scene, lambda each: not each)
        await seen(lambda: scene.network.passed["upgrade"] + scene.network.passed["poll"] > 1)
    assert scene.network.passed["upgrade"] + scene.network.passed["poll"] <= 3
