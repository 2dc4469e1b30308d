"""What the demo plays, scene by scene, and what it looks at after each: the machines, not only the records."""

import asyncio
import os
from itertools import pairwise
from pathlib import Path
from typing import Any

import msgspec

from demo_fleet.control_plane import Account
from demo_fleet.fleet import Fleet, Host
from demo_fleet.game_server import MAPS, answered_pid
from demo_fleet.pool import PoolScenes
from demo_fleet.processes import DemoFailed
from demo_fleet.screen import Screen
from demo_fleet.watch import Watch
from interlock.client import Client
from interlock.clock import parse_rfc3339
from interlock.states import JobStatus, RunStatus
from interlock.wire import CreateJob, Job, JobRun

CHECKS = 25
SCENE_SECONDS = 60.0  # until every job of a scene has ended; the longest scene takes some 7 s
BACKOFF_SECONDS = (2.0, 4.0)  # before attempts 2 and 3
JITTER = 0.1  # the share by which each of them may differ

CROWD = 5  # jobs created at once for one host

_ENDINGS = frozenset({RunStatus.SUCCESS, RunStatus.FAILED, RunStatus.CANCELLED})
_MAP, _NEXT_MAP, *_ = MAPS
_MISSING_MAP = "de_atlantis"


class Story:
    """Plays on `fleet` through the REST API and checks what came of it."""

    def __init__(self, client: Client, account: Account, fleet: Fleet, heard: Watch, screen: Screen) -> None:
        self._client = client
        self._account = account
        self._fleet = fleet
        self._hosts = fleet.hosts
        self._heard = heard
        self._screen = screen
        self._played: list[Job] = []

    async def play(self) -> None:
        """All scenes in order."""
        await self._start_all()
        await self._restart_all()
        await self._crowd_one_host()
        await self._cancel_one()
        self._played += await PoolScenes(self._client, self._account, self._fleet, self._heard, self._screen).play()
        await self._fail_and_recover()
        await self._stop_all()
        self._look_for_overlaps()

    async def _start_all(self) -> None:
        self._screen.scene("Start a game server on every host")
        for host, job in zip(self._hosts, await self._run_everywhere("SERVER_START", {"map": _MAP}), strict=True):
            pid = await _answered_pid(host)
            self._screen.check(
                _completed(job) and pid is not None,
                f"{host.name}: http://127.0.0.1:{host.port} answers (pid {pid})",
            )

    async def _restart_all(self) -> None:
        self._screen.scene("Restart all of them with another map")
        before = [await _answered_pid(host) for host in self._hosts]
        jobs = await self._run_everywhere("SERVER_RESTART", {"map": _NEXT_MAP})
        for host, job, old in zip(self._hosts, jobs, before, strict=True):
            pid = await _answered_pid(host)
            self._screen.check(
                _completed(job) and pid is not None and pid != old,
                f"{host.name}: answers again, as another process (pid {old} → {pid})",
            )

    async def _crowd_one_host(self) -> None:
        host = self._hosts[0]
        self._screen.scene(f"Ask one host for {CROWD} restarts at once")
        asked = ((host, "SERVER_RESTART", {"map": MAPS[number % len(MAPS)]}) for number in range(CROWD))
        runs = [run for job in await self._run(*asked) for run in job.job_runs]
        in_order = sorted(runs, key=lambda run: run.started_at or "") == runs
        self._screen.check(
            in_order and len(runs) == CROWD and _overlaps(runs) == 0,
            f"{host.name}: did them one after another, in the order in which they came",
        )

    async def _cancel_one(self) -> None:
        host = self._hosts[0]
        self._screen.scene("Cancel a job that is at work")
        untouched = await _answered_pid(host)
        job = await self._create(host, "SERVER_RESTART", {"download": True})
        at_work = await self._said(job)
        self._screen.check(
            all(map(_lives, at_work.values())), f"{host.name}: its command and a download of it run, {at_work}"
        )
        await asyncio.to_thread(self._client.cancel_job, self._account.org, job.id)
        (ended,) = await self._ended([job])
        self._screen.check(ended.status == JobStatus.CANCELLED, f"{host.name}: the job is {ended.status}")
        self._screen.check(not any(map(_lives, at_work.values())), f"{host.name}: both processes have ended")
        self._screen.check(
            untouched is not None and await _answered_pid(host) == untouched,
            f"{host.name}: its server, which is not of that job, still answers (pid {untouched})",
        )

    async def _said(self, job: Job) -> dict[str, int]:
        """The processes that the job's command names in its log."""
        async with asyncio.timeout(SCENE_SECONDS):
            while True:
                page = await asyncio.to_thread(self._client.logs, self._account.org, job.id, follow=True)
                for line in page.items:
                    return msgspec.json.decode(line.message, type=dict[str, int])

    async def _fail_and_recover(self) -> None:
        self._screen.scene("One restart fails twice, another for good")
        steady, shaky, hopeless = self._hosts
        untouched = await _answered_pid(hopeless)
        recovering, failing = await self._run(
            (shaky, "SERVER_RESTART", {"map": _MAP, "breaksOff": 2}),
            (hopeless, "SERVER_RESTART", {"map": _MISSING_MAP}),
        )
        waited = _backoffs(recovering)
        expected = zip(waited, BACKOFF_SECONDS, strict=False)
        self._screen.check(
            _completed(recovering) and recovering.attempts == len(BACKOFF_SECONDS) + 1,
            f"{shaky.name}: succeeded on attempt {recovering.attempts}",
        )
        self._screen.check(
            len(waited) == len(BACKOFF_SECONDS) and all(_near(each, asked) for each, asked in expected),
            f"{shaky.name}: it was put off by {' and '.join(f'{each:.1f} s' for each in waited)} in between",
        )
        self._screen.check(
            failing.status == JobStatus.FAILED and failing.attempts == failing.max_attempts,
            f"{hopeless.name}: failed for good after {failing.attempts} attempts ({failing.error_message})",
        )
        self._screen.check(
            untouched is not None and await _answered_pid(hopeless) == untouched,
            f"{hopeless.name}: its old server still answers (pid {untouched})",
        )
        self._screen.check(
            await _answered_pid(steady) is not None, f"{steady.name}: was not disturbed by its neighbours"
        )

    async def _stop_all(self) -> None:
        self._screen.scene("Stop them all")
        for host, job in zip(self._hosts, await self._run_everywhere("SERVER_STOP", {}), strict=True):
            pid = await _answered_pid(host)
            self._screen.check(_completed(job) and pid is None, f"{host.name}: port {host.port} is closed")

    def _look_for_overlaps(self) -> None:
        self._screen.scene("Look back: were there ever two at a time?")
        runs = [run for job in self._played for run in job.job_runs]
        places = self._fleet.names()
        overlaps = sum(_overlaps([run for run in runs if run.host_id == place]) for place in places)
        self._screen.check(overlaps == 0, f"{len(runs)} runs in {len(places)} places, {overlaps} overlapped")

    async def _run_everywhere(self, job_type: str, payload: dict[str, Any]) -> list[Job]:
        return await self._run(*((host, job_type, payload) for host in self._hosts))

    async def _run(self, *asked: tuple[Host, str, dict[str, Any]]) -> list[Job]:
        """Create the jobs and see them to their end."""
        return await self._ended([await self._create(*each) for each in asked])

    async def _ended(self, created: list[Job]) -> list[Job]:
        """Wait until all have ended, and read what became of them."""
        try:
            async with asyncio.timeout(SCENE_SECONDS):
                for job in created:
                    await self._heard.until_ended(job.id)
        except TimeoutError as error:
            raise DemoFailed(f"After {SCENE_SECONDS:g} s not every job of this scene had ended") from error
        ended = [await asyncio.to_thread(self._client.job, self._account.org, job.id) for job in created]
        self._played += ended
        return ended

    async def _create(self, host: Host, job_type: str, payload: dict[str, Any]) -> Job:
        job = CreateJob(type=job_type, server_instance_id=host.instance, payload=payload)
        return await asyncio.to_thread(self._client.create_job, self._account.org, job)


async def _answered_pid(host: Host) -> int | None:
    """The pid that the host's game server answers with over HTTP; None when nobody answers."""
    return await asyncio.to_thread(answered_pid, host.port)


def _lives(pid: int) -> bool:
    """Whether the process runs; one that has ended and that nobody has asked after yet does not."""
    try:
        os.kill(pid, 0)
        return Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()[0] not in "ZX"
    except ProcessLookupError:
        return False
    except OSError:
        return not Path("/proc/self").exists()  # without /proc, it is there


def _completed(job: Job) -> bool:
    return job.status == JobStatus.COMPLETED


def _near(seconds: float, asked: float) -> bool:
    return abs(seconds - asked) <= asked * JITTER + 0.05  # the row's times are whole milliseconds, a commit apart


def _backoffs(job: Job) -> list[float]:
    """Seconds from the end of each attempt until the next was due."""
    runs = sorted(job.job_runs, key=lambda run: run.attempt)
    return [
        (parse_rfc3339(later.available_at) - parse_rfc3339(earlier.finished_at)) / 1000
        for earlier, later in pairwise(runs)
        if earlier.finished_at and later.available_at
    ]


def _overlaps(runs: list[JobRun]) -> int:
    """How many of one host's runs started before the one before them had ended."""
    spans = sorted((run.started_at, run.finished_at) for run in runs if run.started_at and run.finished_at)
    unfinished = sum(run.status not in _ENDINGS for run in runs)
    return unfinished + sum(later[0] < earlier[1] for earlier, later in pairwise(spans))
