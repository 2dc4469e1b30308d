"""Any order of messages: what a host remembers is what the rows say, one run holds the slot, and nothing gets stuck."""

import random
from collections.abc import Callable
from typing import Any

import pytest

from actors.messages import HandOutAgain, RunDue, Tick
from actors.policies import Policy, text_of
from interlock.errors import InterlockError, InvalidState
from interlock.states import REFUSALS, TERMINAL, RunEvent, RunStatus
from tests.support.hosts import HostRig

S = RunStatus
POLICIES = [None, None, text_of(Policy(while_backing_off="hold")), text_of(Policy(on_lost="fail"))]
STEPS = 250
SEEDS = range(24)


class Walk:
    """A random walk over all messages. After every one the rig compares memory with rows."""

    def __init__(self, seed: int) -> None:
        self.dice = random.Random(seed)  # noqa: S311 - the same dice every time
        self.host = HostRig()
        self.seen: set[RunStatus] = set()
        self._steps: dict[Callable[[], Any], int] = {
            self.create: 6,
            self.poll: 14,
            self.beat: 10,
            self.report: 5,
            self.progress: 3,
            self.log: 3,
            self.cancel: 2,
            self.retry: 1,
            self.wait: 8,
            self.look: 2,
            self.hand_out_again: 1,
            self.rebuild: 1,
        }

    def run(self) -> None:
        """Take all steps."""
        for step in self.dice.choices(list(self._steps), list(self._steps.values()), k=STEPS):
            step()
            self.seen |= {run.status for run in self.host.rows.runs.values()}

    def create(self) -> None:
        dice, now = self.dice, self.host.now
        self.host.create(
            priority=dice.choice((0, 0, 0, 5)),
            policy=dice.choice(POLICIES),
            timeout_ms=dice.choice((None, 20_000)),
            run_at=dice.choice((None, None, None, now + 5000)),
            start_before=dice.choice((None, None, None, now + 20_000)),
        )

    def poll(self) -> None:
        instance = self.dice.choices((None, "a", "b"), (3, 8, 1))[0]
        running: tuple[str, ...] | None = self.dice.choices((None, (), self.current(), ("stranger",)), (4, 3, 8, 1))[0]
        self.host.poll(waits=self.dice.random() < 0.5, instance=instance, running=running)

    def beat(self) -> None:
        running = self.dice.choices((self.current(), (), ("stranger",)), (8, 1, 1))[0]
        self.host.beat(*running, instance=self.dice.choice((None, "a")), silent=self.dice.random() < 0.2)

    def report(self) -> None:
        status = self.dice.choice(("success", "failed", "failed", "cancelled", "rejected"))
        self.host.report(self.some_run(), status, take_next=self.dice.random() < 0.5)

    def progress(self) -> None:
        self.host.progress(self.some_run(), 10, needs_user_action=self.dice.choice((None, None, True, False)))

    def log(self) -> None:
        self.host.logs(self.some_run(), "a line", first=self.dice.randrange(10**6))

    def cancel(self) -> None:
        self.host.cancel(self.some_job(), force=self.dice.random() < 0.3)

    def retry(self) -> None:
        self.host.retry(self.some_job())

    def wait(self) -> None:
        self.host.wait(self.dice.choice((0.5, 3, 12, 31, 65, 310)))

    def look(self) -> None:
        self.host.do(self.dice.choice((Tick(), Tick(save=True), RunDue())))

    def hand_out_again(self) -> None:
        self.host.do(HandOutAgain(job_run_id=self.some_run()))

    def rebuild(self) -> None:
        self.host.rebuild(cold=self.dice.random() < 0.5)

    def current(self) -> tuple[str, ...]:
        """The run in the slot, as an agent would name it."""
        current = self.host.state.current
        return () if current is None else (current.run.id,)

    def some_run(self) -> str:
        """Mostly the one in the slot, else one of the latest."""
        latest = sorted(self.host.rows.runs)[-5:]
        return self.dice.choice([*self.current() * 10, *latest, "nobody"])

    def some_job(self) -> str:
        """One of the latest, or the one that runs."""
        current = self.host.state.current
        running = [] if current is None else [current.job.id] * 3
        return self.dice.choice([*running, *sorted(self.host.rows.jobs)[-5:], "nobody"])


@pytest.mark.parametrize("seed", SEEDS)
def test_whatever_happens_memory_and_rows_agree_and_every_job_comes_to_its_end(seed: int) -> None:
    walk = Walk(seed)
    walk.run()
    host = walk.host
    host.wait(400)  # a host that was taken for cloned is well again, and what nobody speaks of is lost
    for _ in range(4 * len(host.rows.jobs) + 10):
        host.poll(instance="last", running=())
        if host.state.current is not None:
            host.report(host.state.current.run.id)
        host.wait(10)
    assert {run.status for run in host.rows.runs.values()} <= TERMINAL
    done = {run.job_id for run in host.rows.runs.values() if run.status is S.SUCCESS}
    assert {job.id for job in host.rows.jobs.values() if job.status == "COMPLETED"} == done


def test_the_walks_together_see_every_state_of_a_polling_agent() -> None:
    seen: set[RunStatus] = set()
    for seed in SEEDS:
        walk = Walk(seed)
        walk.run()
        seen |= walk.seen
        if seen == set(S) - {S.OFFERED}:
            return
    raise AssertionError(f"never seen: {set(S) - seen}")


def test_a_move_that_the_table_refuses_changes_nothing_and_shows_the_present_state() -> None:
    host = HostRig()
    attempt, d = host.create(), host.decision()
    with pytest.raises(InvalidState, match=REFUSALS[S.PENDING][RunEvent.DEADLINE]) as refusal:
        host.state.advance(attempt, RunEvent.DEADLINE, d)
    assert refusal.value.current.status == "pending"
    assert not d.changes_anything
    host.check()


def test_every_refusal_of_a_handler_leaves_no_change_behind() -> None:
    host = HostRig()
    created = host.create()
    replies = [
        host.report(created.run.id),
        host.progress(created.run.id),
        host.logs(created.run.id, "too early"),
        host.retry(created.job.id),
        host.cancel("unknown"),
    ]
    assert all(isinstance(reply, InterlockError) for reply in replies)
    assert len(host.rows.appended) == 1  # the audit line of the creation
