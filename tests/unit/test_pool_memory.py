"""What a supervisor remembers of its pool: who gets what, who hears of what, and that it stays small."""

import random
from collections.abc import Sequence

from actors.limits import Limits
from actors.pool import FIRST_HINTS, HINTED_AT_ONCE, KEPT, Idle, Pool
from actors.pool_lanes import order
from store.labels import carries
from store.pool import Lane, PoolRead, Waiting

LIMITS = Limits(pool_window=64, pool_lanes=50, pool_hints=30)
WINDOW, LANES, MOST_HINTS = LIMITS.pool_window, LIMITS.pool_lanes, LIMITS.pool_hints
GPU = '{"gpu":"yes"}'


def item(number: int, priority: int = 0) -> Waiting:
    """A job; the higher its number, the younger it is."""
    return Waiting(f"j{number:06d}", f"r{number:06d}", "SEARCH_SINGLE", priority)


class Rows:
    """The rows behind the memory, and the reading of them."""

    def __init__(self, *jobs: tuple[str, Waiting]) -> None:
        self.jobs = dict.fromkeys(jobs)

    def read(self, pool: Pool) -> PoolRead:
        labels, window = pool.begin_reading()
        return self.look(labels, window)

    def look(self, hosts: frozenset[str], window: int) -> PoolRead:
        lanes: dict[str, list[Waiting]] = {}
        for text, job in self.jobs:
            lanes.setdefault(text, []).append(job)
        names = sorted(lanes, key=lambda text: (text != "{}", text))[:LANES]
        wanted = [text for text in names if any(carries(host, text) for host in hosts)]
        ordered = {text: sorted(lanes[text], key=order) for text in wanted}
        return PoolRead(names, [Lane(text, jobs[:window], len(jobs) <= window) for text, jobs in ordered.items()])


def poller(host_id: str = "h", labels: str = "{}", *, asks: bool = False, refused: Sequence[str] = ()) -> Idle:
    return Idle(host_id, labels, polls=True, asks=asks, listens=False, refused=refused)


def listener(host_id: str = "h", labels: str = "{}", *, refused: Sequence[str] = ()) -> Idle:
    return Idle(host_id, labels, polls=False, asks=False, listens=True, refused=refused)


def filled(rows: Rows, *idle: Idle) -> Pool:
    """The memory after its first reading, with these hosts idle."""
    pool = Pool(LIMITS)
    for host in idle:
        pool.host_is_idle(host)
    assert pool.needs_reading is bool(idle)
    pool.fill(rows.read(pool))
    return pool


def given(pool: Pool, now: int = 0) -> list[tuple[str, str]]:
    """Host and job, as they are served now."""
    return [(host, job.job_id) for host, job in pool.serve(now).jobs]


def hinted(pool: Pool) -> dict[str, list[str]]:
    """The jobs of which each host is told now."""
    return {host: [job.job_id for job in jobs] for host, jobs in pool.serve(0).hints}


# ---- polls -------------------------------------------------------------------------------------------------------------


def test_nothing_is_read_while_nobody_is_idle() -> None:
    pool = Pool(LIMITS)
    pool.add("{}", item(1))
    assert not pool.needs_reading
    assert pool.size == 0


def test_each_job_goes_to_one_poll_and_who_has_waited_longest_comes_first() -> None:
    pool = filled(Rows(), poller("a"), poller("b"), poller("c"))
    pool.add("{}", item(1))
    pool.add("{}", item(2))
    assert given(pool) == [("a", "j000001"), ("b", "j000002")]
    assert given(pool) == []
    assert list(pool.idle) == ["c"]


def test_the_highest_priority_goes_first_and_then_the_oldest_whatever_the_lane() -> None:
    rows = Rows(("{}", item(1)), (GPU, item(2, 5)), ("{}", item(3, 5)), ("{}", item(4, -1)))
    pool = filled(rows, poller("h", GPU))
    order_of = []
    for _ in range(4):
        ((_, job_id),) = given(pool)
        order_of.append(job_id)
        pool.gone(job_id)
        pool.host_is_idle(poller("h", GPU))
    assert order_of == ["j000002", "j000003", "j000001", "j000004"]


def test_a_job_with_labels_waits_for_who_carries_them_and_stands_in_nobodys_way() -> None:
    pool = filled(Rows((GPU, item(1, 9)), ("{}", item(2))), poller("plain"))
    assert given(pool) == [("plain", "j000002")]
    pool.host_is_idle(poller("special", '{"gpu":"yes","region":"eu"}'))
    assert pool.needs_reading  # nobody wanted that lane before
    pool.fill(Rows((GPU, item(1, 9)), ("{}", item(2))).read(pool))
    assert given(pool) == [("special", "j000001")]


def test_a_poll_is_not_given_what_its_host_has_refused() -> None:
    pool = filled(Rows(("{}", item(1)), ("{}", item(2))), poller(refused=["j000001"]))
    assert given(pool) == [("h", "j000002")]


def test_a_poll_that_would_not_wait_is_told_that_there_is_nothing_once_that_is_known() -> None:
    pool = Pool(LIMITS)
    pool.host_is_idle(poller(asks=True))
    assert pool.serve(0).nothing == []  # nobody has looked yet
    pool.fill(Rows().read(pool))
    assert pool.serve(0).nothing == ["h"]
    assert pool.idle == {}


def test_a_poll_that_would_not_wait_gets_what_there_is() -> None:
    pool = filled(Rows(("{}", item(1))), poller(asks=True))
    found = pool.serve(0)
    assert (found.jobs, found.nothing) == ([("h", item(1))], [])


# ---- what is kept for a host -------------------------------------------------------------------------------------------


def test_what_is_kept_for_one_host_nobody_else_may_try_to_take() -> None:
    pool = filled(Rows(("{}", item(1))), listener("a"), listener("b"))
    assert pool.keep("j000001", "a", 0)
    assert pool.keep("j000001", "a", 0)
    assert not pool.keep("j000001", "b", 0)
    pool.free("j000001", "b")  # it was never kept for that one
    assert not pool.keep("j000001", "b", 0)
    pool.free("j000001", "a")
    assert pool.keep("j000001", "b", 0)
    pool.gone("j000001")
    assert pool.keep("j000001", "c", 0)  # what is not known here may wait all the same


def test_what_is_freed_is_given_and_hinted_again() -> None:
    pool = filled(Rows(("{}", item(1))), poller("a"), listener("b"))
    assert given(pool) == [("a", "j000001")]
    pool.free("j000001", "a")
    assert hinted(pool) == {"b": ["j000001"]}
    pool.host_is_idle(poller("c"))
    assert given(pool) == [("c", "j000001")]


def test_what_was_kept_for_a_host_whose_actor_ended_is_read_again() -> None:
    rows = Rows(("{}", item(1)))
    pool = filled(rows, poller("a"), poller("b"))
    given(pool)
    pool.host_is_gone("a")
    assert pool.needs_reading
    pool.fill(rows.read(pool))
    assert given(pool) == [("b", "j000001")]


def test_what_nobody_speaks_of_is_kept_for_no_longer_than_a_while() -> None:
    rows = Rows(("{}", item(1)))
    pool = filled(rows, poller("a"), poller("b"))
    given(pool, now=100)
    pool.tick(100 + KEPT - 1)
    assert not pool.needs_reading
    pool.tick(100 + KEPT)
    pool.fill(rows.read(pool))
    assert given(pool, now=100 + KEPT) == [("b", "j000001")]


def test_what_did_not_wait_may_have_come_back_so_the_rows_are_asked() -> None:
    rows = Rows(("{}", item(1)))
    pool = filled(rows, poller("a"), poller("b"))
    given(pool)
    pool.missed("j000001")
    pool.fill(rows.read(pool))
    assert given(pool) == [("b", "j000001")]


# ---- hints -------------------------------------------------------------------------------------------------------------


def test_an_ack_of_what_has_long_been_taken_makes_nobody_read_the_rows() -> None:
    pool = filled(Rows(("{}", item(1)), ("{}", item(2))), listener())
    pool.gone(item(1).job_id)
    assert pool.keep(item(1).job_id, "h", 0)
    pool.missed(item(1).job_id)
    assert not pool.needs_reading


def test_every_idle_socket_that_fits_is_told() -> None:
    pool = filled(Rows(), listener("a"), listener("b", GPU))
    pool.add("{}", item(1))
    pool.add(GPU, item(2))
    assert hinted(pool) == {"a": ["j000001"], "b": ["j000002", "j000001"]}
    assert hinted(pool) == {}


def test_a_host_hears_of_a_few_at_first_and_of_more_as_those_go() -> None:
    pool = filled(Rows(*(("{}", item(number)) for number in range(20))), listener())
    first = hinted(pool)["h"]
    assert first == [f"j{number:06d}" for number in range(FIRST_HINTS)]
    pool.gone(first[0])
    pool.gone(first[1])
    assert hinted(pool) == {"h": [f"j{FIRST_HINTS:06d}", f"j{FIRST_HINTS + 1:06d}"]}


def test_a_host_that_stays_idle_hears_of_more_and_more_up_to_a_bound() -> None:
    pool = filled(Rows(*(("{}", item(number)) for number in range(WINDOW))), listener())
    heard = hinted(pool)["h"]
    for _ in range(20):
        pool.tick(0)
        heard += hinted(pool).get("h", [])
    assert heard == [f"j{number:06d}" for number in range(MOST_HINTS)]


def test_a_host_that_becomes_idle_hears_again_of_what_waits() -> None:
    pool = filled(Rows(("{}", item(1))), listener())
    assert hinted(pool) == {"h": ["j000001"]}
    pool.host_is_busy("h")
    pool.host_is_idle(listener())
    assert hinted(pool) == {"h": ["j000001"]}


def test_each_host_is_told_first_of_another_job_while_there_are_enough() -> None:
    """Else all would ack the same one, and all but one in vain."""
    pool = filled(
        Rows(*(("{}", item(number)) for number in range(20))), *(listener(f"h{number}") for number in range(5))
    )
    told = hinted(pool)
    assert sorted(jobs[0] for jobs in told.values()) == [f"j{number:06d}" for number in range(5)]


def test_behind_the_first_each_host_hears_of_the_front_of_the_line() -> None:
    pool = filled(
        Rows(*(("{}", item(number)) for number in range(20))), *(listener(f"h{number}") for number in range(5))
    )
    assert hinted(pool)["h4"] == ["j000004", *(f"j{number:06d}" for number in range(FIRST_HINTS - 1))]


def test_a_job_that_nobody_acks_comes_first_again_after_a_while() -> None:
    pool = filled(Rows(*(("{}", item(number)) for number in range(20))), listener("deaf"))
    ignored = hinted(pool)["deaf"]
    pool.tick(0)
    pool.tick(0)
    pool.host_is_idle(listener("other"))
    assert hinted(pool)["other"] == ignored


def test_what_a_host_has_refused_is_not_repeated_to_it() -> None:
    pool = filled(Rows(("{}", item(1)), ("{}", item(2))), listener(refused=["j000001"]))
    assert hinted(pool) == {"h": ["j000002"]}


# ---- readings ----------------------------------------------------------------------------------------------------------


def test_what_comes_and_goes_during_a_reading_counts() -> None:
    pool = Pool(LIMITS)
    pool.host_is_idle(poller())
    old = Rows(("{}", item(1)), ("{}", item(2))).read(pool)
    pool.gone("j000001")
    pool.add("{}", item(3))
    pool.fill(old)
    pool.host_is_busy("h")
    assert [pool.position(f"j{number:06d}") for number in (1, 2, 3)] == [None, 1, 2]


def test_a_job_that_a_reading_has_found_before_its_commit_was_told_stands_there_once() -> None:
    pool = filled(Rows(("{}", item(1))), poller("a"), poller("b"))
    pool.add("{}", item(1))
    assert given(pool) == [("a", "j000001")]
    pool.gone("j000001")
    assert given(pool) == []
    assert pool.size == 0


def test_a_lane_that_nobody_here_could_serve_is_read_once_somebody_can() -> None:
    """What was known of it from before may be old by then."""
    pool = filled(Rows(), poller("plain"))
    pool.add(GPU, item(1))
    pool.stale = True
    pool.fill(Rows((GPU, item(2))).read(pool))
    assert pool.size == 0
    pool.host_is_idle(poller("special", GPU))
    assert pool.needs_reading


def test_a_reading_that_failed_is_tried_again() -> None:
    pool = Pool(LIMITS)
    pool.host_is_idle(poller())
    pool.begin_reading()
    pool.could_not_read()
    assert pool.needs_reading
    assert not pool.reads


def test_of_many_jobs_a_window_is_kept_and_all_are_given_in_order() -> None:
    count = 1_000
    rows = Rows(*(("{}", item(number, number % 3)) for number in range(count)))
    pool = filled(rows, poller())
    wanted = [job.job_id for job in sorted((job for _, job in rows.jobs), key=order)]
    got: list[str] = []
    while len(got) < count:
        ((_, job_id),) = given(pool)
        got.append(job_id)
        assert pool.size <= WINDOW + 1
        del rows.jobs["{}", next(job for _, job in rows.jobs if job.job_id == job_id)]
        pool.gone(job_id)
        pool.host_is_idle(poller())
        if pool.needs_reading:
            pool.fill(rows.read(pool))
    assert got == wanted


def test_jobs_that_come_into_a_full_window_push_the_last_out_and_are_read_again_later() -> None:
    rows = Rows(*(("{}", item(number)) for number in range(WINDOW)))
    pool = filled(rows, poller())
    pool.host_is_busy("h")
    urgent = item(WINDOW, 9)
    pool.add("{}", urgent)
    pool.add("{}", item(WINDOW + 1))  # beyond the window
    assert pool.size == WINDOW
    assert pool.position(urgent.job_id) == 1
    assert pool.position(f"j{WINDOW - 1:06d}") is None


def test_no_more_lanes_are_kept_than_allowed() -> None:
    pool = filled(Rows(), poller())
    for number in range(LANES + 10):
        pool.add(f'{{"n":"{number}"}}', item(number))
    assert pool.size == LANES


def test_a_crowd_of_labels_does_not_hide_what_any_host_may_take() -> None:
    crowd = [(f'{{"n":"{number}"}}', item(number)) for number in range(LANES + 10)]
    rows = Rows(*crowd, ("{}", item(900)))
    pool = filled(rows, listener())
    assert hinted(pool) == {"h": [item(900).job_id]}
    pool.gone(item(900).job_id)
    pool.add("{}", item(901))
    assert hinted(pool) == {"h": [item(901).job_id]}


def test_many_hosts_that_hold_many_jobs_do_not_make_it_read_the_same_for_ever() -> None:
    rows = Rows(*(("{}", item(number)) for number in range(2 * WINDOW)))
    pool = filled(rows, *(poller(f"h{number}") for number in range(WINDOW)))
    assert len(given(pool)) == WINDOW
    pool.host_is_idle(poller("late"))
    assert pool.needs_reading
    pool.fill(rows.read(pool))
    assert len(given(pool)) == 1


def test_whatever_happens_nothing_that_waits_is_overlooked_and_nothing_given_twice() -> None:
    for seed in range(60):
        Story(random.Random(seed)).run()  # noqa: S311 - so that it can be repeated


class Story:
    """Hosts come and go, jobs come, are taken, freed and come back, and readings take their time."""

    def __init__(self, chance: random.Random) -> None:
        self.chance = chance
        self.rows = Rows()
        self.pool = Pool(LIMITS)
        self.held: dict[str, tuple[str, Waiting]] = {}  # by host
        self.reading: PoolRead | None = None
        self.numbers = 0

    def run(self) -> None:
        for _ in range(300):
            self.chance.choice([self.come, self.host, self.leave, self.end, self.end, self.read, self.read])()
            self.serve()
        for host in list(self.held):
            self.end_of(host)
        for labels in ("{}", GPU):
            for number in range(len(self.rows.jobs) + 1):
                self.pool.host_is_idle(poller(f"last-{labels}-{number}", GPU))
        for _ in range(1000):
            self.serve()
            if not self.rows.jobs:
                return
            for host in list(self.held):
                self.end_of(host, taken=True)
            if self.reading is not None or self.pool.needs_reading:
                self.read()
            else:
                assert self.pool.idle == {} or not self.rows.jobs, f"overlooked: {self.rows.jobs}"
        raise AssertionError(f"never given: {self.rows.jobs}")

    def come(self) -> None:
        self.numbers += 1
        job = item(self.numbers, self.chance.choice((0, 0, 5)))
        labels = self.chance.choice(("{}", GPU))
        self.rows.jobs[labels, job] = None
        self.pool.add(labels, job)

    def host(self) -> None:
        name = f"h{self.chance.randrange(4)}"
        if name not in self.held:
            self.pool.host_is_idle(poller(name, self.chance.choice(("{}", GPU))))

    def leave(self) -> None:
        name = f"h{self.chance.randrange(4)}"
        if self.held.pop(name, None) is not None:
            self.pool.host_is_gone(name)
        else:
            self.pool.host_is_busy(name)

    def end(self) -> None:
        if self.held:
            self.end_of(self.chance.choice(sorted(self.held)))

    def end_of(self, host: str, *, taken: bool | None = None) -> None:
        labels, job = self.held.pop(host)
        if self.chance.random() < 0.6 if taken is None else taken:
            self.rows.jobs.pop((labels, job), None)
            self.pool.gone(job.job_id)
        elif self.chance.random() < 0.5:
            self.pool.free(job.job_id, host)
        else:
            self.pool.missed(job.job_id)

    def read(self) -> None:
        if self.reading is not None:
            self.pool.fill(self.reading)
            self.reading = None
        elif self.pool.needs_reading:
            self.reading = self.rows.read(self.pool)

    def serve(self) -> None:
        for host, job in self.pool.serve(0).jobs:
            holders = [other for other, (_, held) in self.held.items() if held.job_id == job.job_id]
            assert not holders, f"{job} is given to {host}, and {holders} has it"
            labels = next((labels for labels, other in self.rows.jobs if other.job_id == job.job_id), None)
            if labels is None:  # the memory was old: it has been taken, and the claim misses
                self.pool.missed(job.job_id)
            else:
                self.held[host] = (labels, job)


# ---- that it stays small -----------------------------------------------------------------------------------------------


def test_of_labels_that_come_and_go_while_nobody_is_idle_nothing_is_left() -> None:
    pool = filled(Rows(), poller())
    pool.host_is_busy("h")
    for number in range(1000):
        pool.add(f'{{"only":"{number}"}}', item(number))
        pool.gone(item(number).job_id)
    assert (pool.size, pool._fuller) == (0, set())


def test_what_the_idle_hosts_carry_is_another_object_only_when_it_has_changed() -> None:
    pool = filled(Rows(), poller("a"), poller("b", GPU))
    at_first = pool.idle_labels
    assert at_first == {"{}", GPU}
    pool.host_is_idle(poller("c", GPU))
    pool.host_is_busy("b")
    assert pool.idle_labels is at_first
    pool.host_is_busy("c")
    assert pool.idle_labels == {"{}"}


def rounds(pool: Pool) -> list[set[str]]:
    """The hosts that are told, round by round until nobody is left."""
    told = [set(hinted(pool))]
    while pool.has_more_to_tell:
        told.append(set(hinted(pool)))
    return told


def test_of_many_idle_hosts_only_so_many_are_told_at_once_and_the_others_then() -> None:
    many = HINTED_AT_ONCE * 2 + 7
    pool = filled(Rows(), *(listener(f"h{number:04d}") for number in range(many)))
    assert not any(rounds(pool))  # nothing waits
    pool.add("{}", item(1))
    told = rounds(pool)
    assert [len(hosts) for hosts in told] == [HINTED_AT_ONCE, HINTED_AT_ONCE, 7]
    assert len(set.union(*told)) == many


def test_who_is_not_told_before_the_job_is_taken_is_not_told_at_all() -> None:
    pool = filled(Rows(), *(listener(f"h{number:04d}") for number in range(HINTED_AT_ONCE * 2)))
    pool.add("{}", item(1))
    assert len(hinted(pool)) == HINTED_AT_ONCE
    assert pool.keep("j000001", "h0000", 0)
    pool.gone("j000001")
    assert not any(rounds(pool))
