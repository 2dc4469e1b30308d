"""One run: everybody at work, things broken, then whole again, until nothing waits; and how it all stood at the end."""

import asyncio
import random
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import aiohttp

from chaos_rig.calls import Caller
from chaos_rig.cast import COMMAND, DECLARED, PLAIN, Cast, assemble
from chaos_rig.commands import CommandAgent
from chaos_rig.errors import Unanswered
from chaos_rig.final import Final, read_rows
from chaos_rig.fleet import Post
from chaos_rig.history import Accepted, Began, Healed, History, Settled, now
from chaos_rig.machines import Machine
from chaos_rig.nemesis import Nemesis
from chaos_rig.planted import WITHOUT_INDEX
from chaos_rig.proxy import in_front_of
from chaos_rig.topology import Topology
from chaos_rig.users import User
from chaos_rig.watchers import Watcher
from chaos_rig.witness import trespasses
from chaos_rig.work import QUICK
from interlock.states import JobStatus

HEALTHY_SECONDS = 2.0  # that users go on once nothing is broken any more
SETTLE_SECONDS = 90.0  # within which all accepted work must have ended then, unless the plan says otherwise
ANSWER_SECONDS = 60.0  # within which whatever is asked must be answered then
HEAR_SECONDS = 15.0  # within which a dashboard must have heard of the last job
# Between two creates for one host, on average: less than its agent can do.
PAUSES_SECONDS = {DECLARED: 0.35, PLAIN: 0.7, COMMAND: 1.5}
LONGER = 4.0  # times the seconds: the most that the storm takes, on a busy machine, for the wanted number of faults
LOOK_SECONDS = 0.25
PAGE = 200


class Plan(NamedTuple):
    """What is asked for."""

    seconds: float
    faults: int  # at least so many kills and pauses, if need be in longer time
    seed: int
    mode: str
    mutant: str = ""
    only_pauses: float | None = None  # seconds, at most: servers are stopped one at a time, and nothing else is broken
    patience: float = SETTLE_SECONDS
    declared: int = 14
    plain: int = 3
    commands: int = 2


class Rig:
    """Owns everybody for the length of one run."""

    def __init__(self, plan: Plan, topology: Topology, folder: Path, history: History) -> None:
        self.plan = plan
        self.topology = topology
        self.folder = folder
        self.history = history
        self.nemesis = Nemesis(topology, history, plan.seed, plan.seconds, plan.only_pauses)
        self.began = time.monotonic()
        self.phase = "starting"
        self._cast: Cast
        self._session: aiohttp.ClientSession
        self._url: str
        self._agents: list[CommandAgent] = []
        self._posts: list[Post] = []
        self._users: list[User] = []
        self._watchers: list[Watcher] = []

    async def run(self, say: Callable[["Rig"], None]) -> Final:
        """The final state. Whatever happens, all that was started is ended."""
        kinds = [DECLARED] * self.plan.declared + [PLAIN] * self.plan.plain + [COMMAND] * self.plan.commands
        nodes = self.topology.nodes
        more = self.topology.witness + WITHOUT_INDEX.get(self.plan.mutant, "")
        self._cast = await asyncio.to_thread(assemble, self.topology.database_url, nodes[0].data_dir, kinds, more)
        began = Began(
            at=now(), seed=self.plan.seed, mode=self.plan.mode, wall_ns=time.time_ns(), mutant=self.plan.mutant
        )
        self.history.note(began)
        try:
            for node in nodes:
                node.mutant = self.plan.mutant
                await node.spawn()
            for node in nodes:
                await node.ready()
                node.fragile = bool(self.topology.engines)
            connector = aiohttp.TCPConnector(limit=0)
            async with (
                aiohttp.ClientSession(connector=connector) as self._session,
                in_front_of(nodes, self.plan.seed) as self._url,
            ):
                listed = await self._play(say)
            for node in nodes:
                await node.end()
                for line in node.complaints():
                    self.history.wrong(f"the log of node {node.name}", line)
            agents = {seat.id: seat.kind for seat in self._cast.seats}
            url = self.topology.database_url
            seen = await asyncio.to_thread(trespasses, url)
            return await asyncio.to_thread(read_rows, url, listed, agents, seen)
        finally:
            for node in nodes:
                node.destroy()

    # ---- the play ----------------------------------------------------------------------------------------------------

    async def _play(self, say: Callable[["Rig"], None]) -> dict[str, str] | None:
        """All acts; what the servers' lists say at the end, if they still say anything."""
        self._cast_roles()
        telling = asyncio.create_task(self._tell(say))
        nemesis = asyncio.create_task(self.nemesis.run())
        roles: list[Post | CommandAgent | Watcher] = [*self._posts, *self._agents, *self._watchers]
        at_work: list[asyncio.Task[None]] = [asyncio.create_task(each.run()) for each in roles]
        users = [asyncio.create_task(user.run()) for user in self._users]
        everybody = (telling, nemesis, *at_work, *users)
        acts = asyncio.create_task(self._acts(nemesis, users))
        try:
            await asyncio.wait([acts, *at_work], return_when=asyncio.FIRST_COMPLETED)
            for task in at_work:
                if task.done():
                    task.result()
            return await acts
        finally:
            for each in (acts, *everybody):
                each.cancel()
            await asyncio.gather(acts, *everybody, return_exceptions=True)

    async def _acts(self, nemesis: "asyncio.Task[None]", users: "list[asyncio.Task[None]]") -> dict[str, str] | None:
        self.phase = "storm"
        await self._storm(nemesis)
        self.phase = "healing"
        self.nemesis.calm()
        await nemesis
        for post in self._posts:
            post.calm()
        for agent in self._agents:
            agent.calm()
        self.history.note(Healed(at=now()))
        await asyncio.sleep(HEALTHY_SECONDS)
        for user in self._users:
            user.stopping.set()
        try:
            return await self._wind_up(users)
        except TimeoutError:  # the product's fault, not the rig's: the judge is to say so
            self.history.wrong("the rig", f"while {self.phase}: no answer within {ANSWER_SECONDS:g} s of health")
            return None

    async def _wind_up(self, users: "list[asyncio.Task[None]]") -> dict[str, str]:
        """Let everything end; `TimeoutError` when servers that nobody breaks any more do not answer."""
        async with asyncio.timeout(ANSWER_SECONDS):
            await asyncio.gather(*users)
        self.phase = "settling"
        caller = self._caller("the rig", self._cast.operator)
        async with asyncio.timeout(self.plan.patience + ANSWER_SECONDS):
            left = await self._settle(caller)
        self.history.note(Settled(at=now(), left=left))
        self.phase = "listening"
        async with asyncio.timeout(ANSWER_SECONDS):
            await self._hear_out(caller)
            return await self._list(caller, {})

    async def _storm(self, nemesis: "asyncio.Task[None]") -> None:
        """So long, and longer if the machine was too busy for so many faults; ends at once when the nemesis fails."""
        loop = asyncio.get_running_loop()
        start = loop.time()
        while not nemesis.done():
            spent = loop.time() - start
            enough = self.nemesis.faults >= self.plan.faults
            if spent >= self.plan.seconds and (enough or spent >= LONGER * self.plan.seconds):
                return
            await asyncio.sleep(LOOK_SECONDS)
        nemesis.result()

    async def _settle(self, caller: Caller) -> int:
        """Wait until nothing waits or runs; how many jobs still did when patience was over."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self.plan.patience
        while True:
            open_jobs: dict[str, str] = {}
            for status in (JobStatus.PENDING, JobStatus.RUNNING):
                open_jobs |= await self._list(caller, {"status": status})
            if not open_jobs or loop.time() > deadline:
                return len(open_jobs)
            await asyncio.sleep(LOOK_SECONDS)

    async def _hear_out(self, caller: Caller) -> None:
        """A last job, so that a dashboard that has heard of it has heard of all before it."""
        body = {"type": QUICK, "hostId": self._cast.seats[0].id, "payload": {"tag": "the last", "ms": 1}}
        body |= {"runAt": "2100-01-01T00:00:00Z"}
        answer = await caller.insist("POST", self._cast.jobs_path, body, headers={"Idempotency-Key": "the last"})
        job = answer.json["id"]
        self.history.note(Accepted(at=now(), tag="the last", job=job))
        heard = await asyncio.gather(*(watcher.hears_of(job, HEAR_SECONDS) for watcher in self._watchers))
        for watcher, did in zip(self._watchers, heard, strict=True):
            if not did:
                self.history.wrong(watcher.caller.who, f"was not told of job {job} within {HEAR_SECONDS:g} s")
        await caller.insist("POST", f"{self._cast.jobs_path}/{job}/cancel", {})

    async def _list(self, caller: Caller, query: dict[str, Any]) -> dict[str, str]:
        """The statuses of all jobs by their ids, as a user lists them."""
        found: dict[str, str] = {}
        cursor = ""
        while True:
            words = {**query, "limit": PAGE} | ({"cursor": cursor} if cursor else {})
            path = f"{self._cast.jobs_path}?{'&'.join(f'{name}={value}' for name, value in words.items())}"
            try:
                page = (await caller.ask("GET", path, wait=10)).json
            except Unanswered:
                await caller.rest()
                continue
            found |= {item["id"]: item["status"] for item in page["items"]}
            cursor = page["nextCursor"]
            if cursor is None:
                return found

    # ---- who plays ---------------------------------------------------------------------------------------------------

    def _cast_roles(self) -> None:
        cast = self._cast
        for number, seat in enumerate(cast.seats):
            name = f"{seat.kind}-{number}"
            if seat.kind == COMMAND:
                agent = CommandAgent(seat, self._url, self.folder / name, self.history, self.plan.seed + number)
                self._agents.append(agent)
            else:
                machine = Machine(seat, self.history)
                self._posts.append(Post(machine, self._caller(name, seat.key), name))
            caller = self._caller(f"user of {name}", cast.operator)
            self._users.append(User(seat, caller, cast.jobs_path, PAUSES_SECONDS[seat.kind]))
        for number, faithful in enumerate((True, False)):
            self._watchers.append(
                Watcher(self._caller(f"dashboard-{number}", cast.viewer), cast.org, faithful=faithful)
            )

    def _caller(self, who: str, token: str) -> Caller:
        chance = random.Random(f"{self.plan.seed} {who}")  # noqa: S311 - which moments, not secrets
        return Caller(who, token, self.topology.nodes, self._session, self.history, chance)

    async def _tell(self, say: Callable[["Rig"], None]) -> None:
        while True:
            say(self)
            await asyncio.sleep(1.0)
