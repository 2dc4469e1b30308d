"""The world: one database, one server that dies and returns, hosts with agents, users, and the invariants.

Checked after every commit and at every answer:

* never two live runs on a host, and no host's machine ever runs two at once;
* what has ended stays ended, and no job succeeds twice;
* a take is in order: nothing of the same priority with a lower seq was waiting;
* nothing leaves before its commit: a 201, a job, an event is already in the rows;
* memory equals rows, whenever nothing is on its way;
* liveness: once the faults stop, all that was accepted ends within bounded time.
"""

import random
from collections import Counter
from collections.abc import Callable
from typing import Any

import msgspec

from actors import Limits
from actors.host import HostActor
from actors.messages import Caller, CancelJob, CreateJob, NewJob, PollAnswer, RetryJob
from interlock.errors import InterlockError
from interlock.states import LIVE, TERMINAL, WAITING, RunStatus
from interlock.wire import JobEvent, UserRef
from store import open_database
from store.accounts import By, create_host
from store.claims import read_open
from store.database import migrate
from tests.simulation.agents import Agent
from tests.simulation.loop import CountingIds, Violation, VirtualClock, VirtualLoop
from tests.simulation.server import Faults, Life

LIMITS = Limits(
    heartbeat_ms=5_000,
    lease_ms=15_000,
    lost_after_ms=20_000,
    offline_after_ms=15_000,
    cancel_grace_ms=1_000,
    cancel_slack_ms=3_000,
    timeout_ms=30_000,
    startup_grace_ms=10_000,
    passivate_after_ms=8_000,
    claim_retry_ms=500,
)
TROUBLE_SECONDS = 90
HEALING_SECONDS = 1200
CHECK_EVERY = 8  # steps between looks at one host's memory
MOST_STEPS = 400_000
ORG = "0a000000-0000-7000-8000-000000000000"
CREATOR = UserRef(id="0b000000-0000-7000-8000-000000000000", name="Sim", email="sim@example.org")
USER = Caller("user", CREATOR.id)


class World:
    """One seed."""

    def __init__(self, seed: int, *, hosts: int = 3, jobs: int = 25) -> None:
        self.seed = seed
        self.chance = random.Random(seed)  # noqa: S311 - a simulation wants the same dice every time
        self.stats: Counter[str] = Counter()
        self.faults = Faults.drawn(self.chance)
        self.loop = VirtualLoop(self.chance)
        self.clock = VirtualClock(self.loop, self.chance)
        self.ids = CountingIds()
        self.database = open_database("sqlite:///:memory:")
        self.database.connect()
        migrate(self.database)
        self.host_ids = [f"0c{number:06x}-0000-7000-8000-000000000000" for number in range(hosts)]
        for host_id in self.host_ids:
            create_host(self.database, host_id, ORG, "sim", By("system", None, 0, self.ids.new()))
        self.accepted: set[str] = set()
        self.ended: dict[str, str] = {}
        self.lives = 0
        self.server: Life | None = None
        self._cut_until: dict[str, int] = {}
        self._waiting_before: dict[str, list[tuple[int, int, str]]] = {}
        self.start_server()
        kinds = ("declared", "declared", "plain", "split")
        self.agents = [Agent(self, host_id, self.chance.choice(kinds)) for host_id in self.host_ids]
        for _ in range(jobs):
            self.loop.call_later(self.chance.uniform(0, TROUBLE_SECONDS * 0.8), self._create)
        self.loop.call_later(1, self._nemesis)

    # ---- the server's lives ----------------------------------------------------------------------------------------

    def start_server(self) -> None:
        self.lives += 1
        self.server = Life(
            self.lives,
            self.loop,
            self.clock,
            self.ids,
            self.database,
            self.chance,
            self.faults,
            LIMITS,
            self.stats,
            self._published,
        )
        self.server.journal.before_commit = self._look_before
        self.server.journal.on_commit = lambda _: self._check_rows()

    def kill_server(self) -> None:
        if self.server is not None:
            self.server.loop.alive = False
            self.server = None
            self.stats["server died"] += 1
            self.loop.call_later(self.chance.uniform(0.1, 5), self.start_server)

    def _nemesis(self) -> None:
        if self.faults.server_dies_per_minute > self.chance.uniform(0, 60):
            self.kill_server()
        for agent in self.agents:
            if self.faults.link_cut_per_minute > self.chance.uniform(0, 60):
                self._cut_until[agent.host_id] = self.loop.now_ms + self.chance.choice((5_000, 25_000, 60_000))
                self.stats["link cut"] += 1
            if self.faults.agent_dies_per_minute > self.chance.uniform(0, 60):
                agent.die()
        self.loop.call_later(1, self._nemesis)

    # ---- the network -----------------------------------------------------------------------------------------------

    def send(
        self,
        ask: Callable[[Life], Any],
        answered: Callable[[Any], None],
        failed: Callable[[], None],
        patience: float,
        sender: str = "",
    ) -> None:
        over = [False]

        def settle(callback: Callable[..., None], *args: Any) -> None:
            if not over[0]:
                over[0] = True
                callback(*args)

        def arrive() -> None:
            server = self.server
            if server is None:
                self.loop.call_later(0.001, settle, failed)
                return
            ask(server).then(lambda reply: reply_of(reply, server))

        def reply_of(reply: Any, server: Life) -> None:
            value = reply.error if reply.error is not None else reply.get()
            if reply.error is not None and not isinstance(reply.error, InterlockError):
                raise Violation(f"an unexpected error was answered: {reply.error!r}") from reply.error
            self._check_answer(value)
            if server.loop.alive and not self._is_cut(sender) and self.chance.random() >= self.faults.reply_lost:
                self.loop.call_later(self.chance.uniform(0.001, 0.05), settle, answered, value)

        if self.chance.random() >= self.faults.request_lost and not self._is_cut(sender):
            self.loop.call_later(self.chance.uniform(0.001, 0.05), arrive)
        self.loop.call_later(patience, settle, failed)

    def _is_cut(self, sender: str) -> bool:
        return self._cut_until.get(sender, 0) > self.loop.now_ms

    # ---- users -----------------------------------------------------------------------------------------------------

    def _create(self) -> None:
        now, draw = self.clock.now(), self.chance.random()
        job = NewJob(
            org_id=ORG,
            host_id=self.chance.choice(self.host_ids),
            server_instance_id=None,
            type="SERVER_START",
            payload="{}",
            policy=None,
            timeout_ms=self.chance.choice((None, 10_000)),
            max_attempts=3,
            priority=0 if draw < 0.9 else 5,
            run_at=now + 20_000 if 0.1 < draw < 0.2 else None,
            start_before=now + 30_000 if 0.2 < draw < 0.3 else None,
            creator=CREATOR,
        )
        message = CreateJob(job=job, by=USER)
        self.send(lambda life: life.directory.ask_org(ORG, message), self._created, lambda: None, 5)

    def _created(self, answer: Any) -> None:
        if not isinstance(answer, bytes):
            return
        job_id = msgspec.json.decode(answer)["id"]
        self.accepted.add(job_id)
        host_id = msgspec.json.decode(answer)["hostId"]
        draw = self.chance.random()
        if draw < 0.3:
            message = CancelJob(job_id=job_id, by=USER, force=draw < 0.1)
            self.loop.call_later(self.chance.uniform(0, 30), self._ask, host_id, message)
        elif draw < 0.4:
            self.loop.call_later(self.chance.uniform(10, 60), self._ask, host_id, RetryJob(job_id=job_id, by=USER))

    def _ask(self, host_id: str, message: Any) -> None:
        self.send(lambda life: life.directory.ask(host_id, message), lambda _: None, lambda: None, 5)

    # ---- invariants ------------------------------------------------------------------------------------------------

    def _rows(self, sql: str, *values: str) -> list[tuple[Any, ...]]:
        return list(self.database.execute_sql(sql, values).fetchall())

    def _look_before(self) -> None:
        self._waiting_before = {}
        for host_id, priority, seq, run_id in self._rows(
            "SELECT r.host_id, j.priority, j.seq, r.id FROM job_run r JOIN job j ON j.id = r.job_id "
            "WHERE r.status = 'pending'"
        ):
            self._waiting_before.setdefault(host_id, []).append((priority, seq, run_id))

    def _check_rows(self) -> None:
        live: Counter[str] = Counter()
        wins: Counter[str] = Counter()
        status_of: dict[str, str] = {}
        for run_id, job_id, host_id, status in self._rows("SELECT id, job_id, host_id, status FROM job_run"):
            status_of[run_id] = status
            live[host_id] += status in LIVE
            wins[job_id] += status == RunStatus.SUCCESS
            if self.ended.setdefault(run_id, status) != status:
                raise Violation(f"run {run_id} had ended {self.ended[run_id]} and is {status}")
            if status not in TERMINAL:
                del self.ended[run_id]
        if any(number > 1 for number in live.values()):
            raise Violation("two live runs on one host")
        if any(number > 1 for number in wins.values()):
            raise Violation("a job succeeded twice")
        self._check_order(status_of)

    def _check_order(self, status_of: dict[str, str]) -> None:
        for waiting in self._waiting_before.values():
            taken = [entry for entry in waiting if status_of[entry[2]] in LIVE]
            for priority, seq, run_id in taken:
                for other_priority, other_seq, other in waiting:
                    passed = other_priority == priority and other_seq < seq and status_of[other] == RunStatus.PENDING
                    if passed:
                        raise Violation(f"run {run_id} was taken before {other}, which stood ahead of it")

    def _check_answer(self, value: Any) -> None:
        """Before it is on its way to anybody: the rows must know it already."""
        if isinstance(value, PollAnswer) and value.job_run_id is not None:
            rows = self._rows("SELECT status FROM job_run WHERE id = ?", value.job_run_id)
            if not rows or rows[0][0] in WAITING:
                raise Violation(f"run {value.job_run_id} was handed out before its commit")
        if isinstance(value, bytes) and value.startswith(b'{"id"'):
            job_id = msgspec.json.decode(value)["id"]
            if not self._rows("SELECT 1 FROM job WHERE id = ?", job_id):
                raise Violation(f"job {job_id} was accepted before its commit")

    def _published(self, event: str, data: msgspec.Struct) -> None:
        if isinstance(data, JobEvent):
            rows = self._rows("SELECT status FROM job_run WHERE id = ?", data.job_run_id)
            ended = event == "job_run.done"
            if (
                not rows
                or (ended and rows[0][0] != data.status)
                or (event == "job_run.started" and rows[0][0] in WAITING)
            ):
                raise Violation(f"{event} of run {data.job_run_id} was published before its commit")

    def check_memory(self) -> None:
        """Whenever nothing is on its way, what an actor remembers is what the rows say."""
        host_id = self.host_ids[self.loop.steps // CHECK_EVERY % len(self.host_ids)]
        actor = None if self.server is None else self.server.directory.hosts.get(host_id)
        if actor is not None and actor.state is not None and not actor.busy:
            self._compare(host_id, actor)

    def _compare(self, host_id: str, actor: HostActor) -> None:
        state, rows = actor.state, read_open(self.database, [host_id])[host_id]
        if state is None or rows.host.epoch != state.host.epoch:
            return  # claimed by a newer life: this one will find out with its next commit
        remembered = {attempt.run.id: attempt for attempt in [*state.line, *state.backoff.values()]}
        if state.current is not None:
            remembered[state.current.run.id] = state.current
        stored = {run.id: (job, run) for job, run in rows.runs}
        if set(remembered) != set(stored):
            raise Violation(f"host {host_id} remembers {sorted(remembered)}, the rows hold {sorted(stored)}")
        for run_id, attempt in remembered.items():
            if (attempt.job, attempt.run) != stored[run_id]:
                raise Violation(f"run {run_id} is remembered as {attempt}, stored as {stored[run_id]}")
        same = (rows.host.run_no, rows.host.awaiting_idle, rows.host.instance_id, rows.host.next_seq)
        if same != (state.host.run_no, state.host.awaiting_idle, state.host.instance_id, state.host.next_seq):
            raise Violation(f"host {host_id} is remembered as {state.host}, stored as {rows.host}")
        if [attempt.job.seq for attempt in state.line] != [
            job.seq
            for job, _ in sorted(
                (pair for pair in rows.runs if pair[1].status is RunStatus.PENDING),
                key=lambda pair: (-pair[0].priority, pair[0].seq),
            )
        ]:
            raise Violation(f"host {host_id}: the line is out of order")

    # ---- running ---------------------------------------------------------------------------------------------------

    def run(self) -> Counter[str]:
        """Trouble, then healing; the figures of what happened. `Violation` when anything does not hold."""
        self._until(self.loop.now_ms + TROUBLE_SECONDS * 1000, lambda: False)
        self._heal()
        if not self._until(self.loop.now_ms + HEALING_SECONDS * 1000, self._all_ended):
            left = self._rows(
                "SELECT id, status, attempts FROM job WHERE status NOT IN ('COMPLETED','FAILED','CANCELLED')"
            )
            raise Violation(f"jobs never ended after the faults had stopped: {left}")
        stored = {job_id for (job_id,) in self._rows("SELECT id FROM job")}
        if not self.accepted <= stored:
            raise Violation(f"accepted jobs are gone: {sorted(self.accepted - stored)}")
        self.stats["steps"] += self.loop.steps
        self.stats["jobs"] += len(stored)
        self.database.close()
        return self.stats

    def _until(self, end_ms: int, done: Callable[[], bool]) -> bool:
        while self.loop.now_ms < end_ms:
            if self.loop.steps > MOST_STEPS:
                raise Violation("no end in sight: the world is busy with itself")
            if not self.loop.step():
                break
            self._raise_failures()
            if self.loop.steps % CHECK_EVERY == 0:
                self.check_memory()
            if self.loop.steps % 64 == 0 and done():
                return True
        return done()

    def _raise_failures(self) -> None:
        """Errors inside actors are answered to callers, so nobody would see them here otherwise."""
        if self.server is not None and self.server.directory.failures:
            error = self.server.directory.failures[0]
            raise Violation(f"an actor failed: {error!r}") from error

    def _heal(self) -> None:
        self.faults = Faults()
        if self.server is None:
            self.start_server()
        if self.server is not None:
            self.server.heal()
        for agent in self.agents:
            agent.healthy = True

    def _all_ended(self) -> bool:
        return not self._rows("SELECT 1 FROM job WHERE status NOT IN ('COMPLETED','FAILED','CANCELLED') LIMIT 1")
