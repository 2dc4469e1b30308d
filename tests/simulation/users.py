"""People who create jobs, cancel them, force them, and have them tried again, over the same bad network.

A create carries an Idempotency-Key and is sent until it is answered, so a key must never become two jobs.
"""

from collections.abc import Awaitable, Callable
from types import SimpleNamespace
from typing import Any

import msgspec

from actors import LoopFuture
from actors.messages import Caller, CancelJob, CreateJob, CreateJobs, Idempotency, NewJob, ResolveAction, RetryJob
from actors.policies import Policy, text_of
from interlock.retry import Backoff
from interlock.wire import UserRef
from tests.simulation.database import FIRST_HOST, ORG
from tests.simulation.loop import Process
from tests.simulation.network import Exchange, Link, Network, Sender
from tests.simulation.nodes import Life, Plane
from web import job_places

CREATOR = UserRef(id="0b000000-0000-7000-8000-000000000000", name="Sim", email="sim@example.org")
USER = Caller("user", CREATOR.id)
WHO: Any = SimpleNamespace(org_id=ORG)  # as far as a route asks
Change = Callable[[Any, Any, Any], Awaitable[Any]]
PATIENCE = 5.0
LABELS = ("{}", "{}", '{"even":"yes"}')  # what pool jobs want
_POLICIES = (
    None,
    None,
    None,
    text_of(Policy(while_backing_off="hold")),
    text_of(Policy(on_lost="fail")),
    text_of(Policy(backoff=Backoff(base_seconds=0.2, factor=10))),
)


class Users:
    """Everybody who uses the control plane."""

    def __init__(self, plane: Plane, network: Network, host_ids: list[str]) -> None:
        self.unanswered = 0  # creates that were never answered yet
        self.keys = 0
        self._plane = plane
        self._network = network
        self._host_ids = host_ids
        self._chance = plane.dice("users")
        self._pools = plane.dice("pools")
        self._sender = Sender(Link(), Process(plane.loop))
        mix = plane.weather.mix
        self._has_pool = mix.pooled > 0
        for number in range(mix.jobs):
            plane.loop.call_later(self._chance.uniform(0, mix.seconds * 0.9), self._create, f"key-{number}")

    def probe(self) -> None:
        """A job for every host, when all is well again: none of them may be stuck. And one for whoever takes it."""
        for host_id in self._host_ids:
            self._send_until_answered(self._job(host_id), f"probe-{host_id}")
        if self._has_pool:
            pooled = msgspec.structs.replace(self._job(FIRST_HOST), host_id=None, labels=LABELS[-1])
            self._send_until_answered(pooled, "probe-pool")

    def resolve_all(self) -> None:
        """What waits for a user has one."""
        for job in self._plane.invariants.rows.jobs.values():
            if job.needs_user_action:
                self._resolve(job.id)
        self._plane.loop.call_later(20, self.resolve_all)

    def _resolve(self, job_id: str) -> None:
        """As the route does: its host's owner is asked."""
        host_id = self._plane.invariants.rows.jobs[job_id].host_id
        message = ResolveAction(job_id=job_id, by=USER)

        async def ask(life: Life, _: Exchange) -> Any:
            return None if host_id is None else await life.directory.ask(host_id, message)

        self._network.send(self._sender, ask, lambda _: None, lambda: None, PATIENCE, at_owner_of=host_id)

    def _job(self, host_id: str, **more: Any) -> NewJob:
        plain: dict[str, Any] = {
            "org_id": ORG,
            "host_id": host_id,
            "server_instance_id": None,
            "type": "SERVER_START",
            "payload": "{}",
            "policy": None,
            "timeout_ms": None,
            "max_attempts": 3,
            "priority": 0,
            "run_at": None,
            "start_before": None,
            "creator": CREATOR,
        }
        return NewJob(**{**plain, **more})

    def _create(self, key: str) -> None:
        chance, mix, now = self._chance, self._plane.weather.mix, self._plane.loop.now_ms
        job = self._job(
            chance.choice(self._host_ids),
            policy=chance.choice(_POLICIES),
            timeout_ms=chance.choice((None, 10_000, 60_000)),
            max_attempts=chance.choice((1, 3, 3)),
            priority=chance.choice((0, 0, 0, 0, 5, -1)),
            run_at=now + 20_000 if chance.random() < mix.delays else None,
            start_before=now + 30_000 if chance.random() < mix.expiries else None,
        )
        if mix.pooled and self._pools.random() < mix.pooled:
            job = msgspec.structs.replace(job, host_id=None, labels=self._pools.choice(LABELS))
        if chance.random() < mix.batches:
            self._send_batch(tuple(self._job(chance.choice(self._host_ids)) for _ in range(chance.choice((2, 5)))))
        self._send_until_answered(job, key)

    def _send_batch(self, jobs: tuple[NewJob, ...]) -> None:
        """Several at once, without a key: whoever hears nothing does not know, and asks no more."""

        async def ask(life: Life, _: Exchange) -> Any:
            self.keys += len(jobs)  # at each delivery
            reply = life.directory.ask_org(ORG, CreateJobs(jobs=jobs, by=USER))
            reply.then(self._are_made)
            return await reply

        self._network.send(self._sender, ask, lambda _: None, lambda: None, PATIENCE)

    def _send_until_answered(self, job: NewJob, key: str) -> None:
        key_of_it = Idempotency(CREATOR.id, key, "the same body")
        message = CreateJob(job=job, by=USER, idempotency=key_of_it)
        self.unanswered += 1
        self.keys += 1

        def answered(answer: Any) -> None:
            if isinstance(answer, bytes):
                self.unanswered -= 1
                self._created(msgspec.json.decode(answer)["id"])
            else:
                again()

        def again() -> None:
            self._plane.loop.call_later(self._chance.uniform(0.5, 3), send)

        async def ask(life: Life, _: Exchange) -> bytes:
            async def create() -> bytes:
                reply = life.directory.ask_org(ORG, message)
                reply.then(self._accepted)
                document: bytes = await reply
                return document

            return (await life.idempotency.once(ORG, key_of_it, create))[0]

        def send() -> None:
            self._network.send(self._sender, ask, answered, again, PATIENCE)

        send()

    def _accepted(self, reply: LoopFuture) -> None:
        self._is_made(reply.outcome)

    def _are_made(self, reply: LoopFuture) -> None:
        for answer in reply.outcome if isinstance(reply.outcome, list) else []:
            self._is_made(answer)

    def _is_made(self, answer: Any) -> None:
        if isinstance(answer, bytes):
            self._plane.invariants.job_accepted(msgspec.json.decode(answer)["id"])

    def _created(self, job_id: str) -> None:
        chance, mix = self._chance, self._plane.weather.mix
        if chance.random() < mix.cancels:
            cancel = CancelJob(job_id=job_id, by=USER, force=chance.random() < 0.6)
            self._later(chance.choice((0.01, 3, 30)), self._cancel, cancel)
        if chance.random() < mix.retries:
            self._later(chance.uniform(5, 60), job_places.retry, RetryJob(job_id=job_id, by=USER))

    def _later(self, at_most: float, change: Change, message: CancelJob | RetryJob) -> None:
        async def ask(life: Life, _: Exchange) -> Any:
            around: Any = SimpleNamespace(store=life.store, directory=life.directory)
            return await change(around, WHO, message)

        def send() -> None:
            self._network.send(self._sender, ask, lambda _: None, lambda: None, PATIENCE)

        self._plane.loop.call_later(self._chance.uniform(0, at_most), send)

    async def _cancel(self, around: Any, who: Any, message: CancelJob) -> bool:
        done = await job_places.cancel(around, who, message)
        self._plane.invariants.cancel_answered(message.job_id, done)
        return done
