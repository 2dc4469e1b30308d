"""The scenes of jobs that belong to no host: whoever is free takes them, and brings something back."""

import asyncio
from typing import TypeVar

import msgspec

from demo_fleet.control_plane import Account
from demo_fleet.fleet import ROLE, Fleet
from demo_fleet.processes import DemoFailed
from demo_fleet.screen import Screen
from demo_fleet.searcher import PLACES
from demo_fleet.watch import Watch
from interlock.client import Client
from interlock.states import JobStatus
from interlock.wire import AssetPage, CreateJob, EvidencePage, Job

T = TypeVar("T")
KEYWORDS = ("melange", "strudel", "newspapers", "chess")
SCENE_SECONDS = 30.0  # until every job of a scene has ended; the longest takes some 2 s


class PoolScenes:
    """Plays with the fleet's devices."""

    def __init__(self, client: Client, account: Account, fleet: Fleet, heard: Watch, screen: Screen) -> None:
        self._client = client
        self._org = account.org
        self._fleet = fleet
        self._heard = heard
        self._screen = screen

    async def play(self) -> list[Job]:
        """Both scenes; the jobs that were played."""
        return [*await self._share_out(), await self._ask_a_person()]

    async def _share_out(self) -> list[Job]:
        """More jobs than devices, so that each has to take more than one."""
        devices = {device.id: device.name for device in self._fleet.devices}
        self._screen.scene(f"Put {len(KEYWORDS)} searches into the pool: {len(devices)} agents share them")
        created = [await self._create({"keyword": keyword}) for keyword in KEYWORDS]
        jobs = await self._ended(created)
        shares = {name: sum(job.host_id == device for job in jobs) for device, name in devices.items()}
        self._screen.check(
            all(job.status == JobStatus.COMPLETED and job.attempts == 1 for job in jobs) and all(shares.values()),
            "each was done once: " + ", ".join(f"{count} by {name}" for name, count in shares.items()),
        )
        job = jobs[0]
        evidence = await self._read(job, "evidence", EvidencePage)
        self._screen.check(
            len(evidence.items) == len(PLACES) == job.counts.evidence,
            f"{len(evidence.items)} pieces of evidence, though one was brought twice",
        )
        lines = await asyncio.to_thread(self._client.logs, self._org, job.id)
        progress = [line.progress for line in lines.items if line.progress is not None]
        self._screen.check(
            progress == sorted(progress) and progress[-1:] == [100], f"its log shows it at {progress} percent"
        )
        assets = (await self._read(job, "assets", AssetPage)).items
        self._screen.check(
            [each.name for each in assets] == ["page.html"],
            f"the page that it saw is kept: {', '.join(f'{each.name}, {each.size_bytes} bytes' for each in assets)}",
        )
        return jobs

    async def _ask_a_person(self) -> Job:
        self._screen.scene("A search meets a captcha")
        job = await self._create({"keyword": "captchas", "captcha": True})
        async with asyncio.timeout(SCENE_SECONDS):
            await self._heard.until_it_calls(job.id)
        await asyncio.to_thread(self._client.request, "POST", self._path(job, "resolve"))
        (ended,) = await self._ended([job])
        self._screen.check(ended.status == JobStatus.COMPLETED, "it went on when a person had solved it")
        return ended

    async def _create(self, payload: dict[str, object]) -> Job:
        job = CreateJob(type="SEARCH_SINGLE", labels=ROLE, payload=payload)
        return await asyncio.to_thread(self._client.create_job, self._org, job)

    async def _ended(self, created: list[Job]) -> list[Job]:
        try:
            async with asyncio.timeout(SCENE_SECONDS):
                for job in created:
                    await self._heard.until_ended(job.id)
        except TimeoutError as error:
            raise DemoFailed(f"After {SCENE_SECONDS:g} s not every job of this scene had ended") from error
        return [await asyncio.to_thread(self._client.job, self._org, job.id) for job in created]

    async def _read(self, job: Job, what: str, kind: type[T]) -> T:
        answer = await asyncio.to_thread(self._client.request, "GET", self._path(job, what))
        return msgspec.json.decode(answer.body, type=kind)

    def _path(self, job: Job, what: str) -> str:
        return f"/api/orgs/{self._org}/jobs/{job.id}/{what}"
