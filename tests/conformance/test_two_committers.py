"""Two processes on one database: what one has claimed the other cannot write, and neither waits for ever."""

import random
import threading
from concurrent.futures import ThreadPoolExecutor

from peewee import Database

from store import Committed, Incarnation, Refused, open_database
from store.claims import claim, release
from store.committer import Committer
from tests.support.desk import Claim, Desk, created
from tests.support.rows import host_row, write_host

ROUNDS = 30
HOSTS = 8
LONG = 20.0  # seconds: a bound for what should take none


class Node:
    """A process that claims hosts in any order, gives some up, and makes a job on each that it takes for its own."""

    def __init__(self, url: str, name: str, host_ids: list[str], claimed: threading.Barrier) -> None:
        self.database = open_database(url)
        self.committer = Committer(self.database, name)
        self.host_ids = host_ids
        self.claimed = claimed  # where all meet
        self.chance = random.Random(name)  # noqa: S311 - so that it can be repeated
        self.mine: dict[str, Claim] = {}
        self.commits: list[tuple[str, int]] = []  # host and revision
        self.refused = 0

    def run(self) -> None:
        for _ in range(ROUNDS):
            self.claim()
            self.claimed.wait(LONG)
            self.commit()
            self.give_up()
        self.database.close()

    def claim(self) -> None:
        wanted = self.chance.sample(self.host_ids, 4)
        with self.database.atomic(*self.committer.begin):
            found = claim(self.database, self.committer.owner, wanted)
        for host_id, claimed in found.items():
            self.mine[host_id] = Claim(claimed.host, Incarnation(host_id, claimed.host.epoch))
            assert len(claimed.runs) == claimed.host.next_seq - 1  # what was committed before is read

    def commit(self) -> None:
        waiting = [at.entry(*created(*at.new_job())) for at in self.mine.values()]
        self.chance.shuffle(waiting)
        while waiting:
            entries, outcomes, waiting = self.committer.write(waiting)
            for entry, outcome in zip(entries, outcomes, strict=True):
                host_id = entry.incarnation.host_id
                if isinstance(outcome, Committed):
                    self.commits.append((host_id, outcome.rev))
                else:
                    assert outcome == Refused("another process has taken this host over", fenced=True)
                    self.refused += 1
                    del self.mine[host_id]

    def give_up(self) -> None:
        given = self.chance.sample(sorted(self.mine), min(len(self.mine), 2))
        with self.database.atomic(*self.committer.begin):
            release(self.database, self.committer.owner, [(id_, self.mine[id_].host.epoch) for id_ in given])
        for host_id in given:
            del self.mine[host_id]


def test_two_processes_that_fight_for_hosts_write_each_others_nowhere(url: str) -> None:
    database = open_database(url)
    hosts = [host_row() for _ in range(HOSTS)]
    for host in hosts:
        write_host(database, host)
    claimed = threading.Barrier(2)
    nodes = [Node(url, name, [host.id for host in hosts], claimed) for name in ("one", "another")]
    with ThreadPoolExecutor(len(nodes)) as pool:
        for future in [pool.submit(node.run) for node in nodes]:
            future.result()
    commits = [commit for node in nodes for commit in node.commits]
    assert len(commits) == len(set(commits))  # no revision of a host was made twice
    for host in hosts:
        check(database, host.id, sum(host_id == host.id for host_id, _ in commits))
    assert sum(node.refused for node in nodes) > 0
    database.close()


def check(database: Database, host_id: str, commits: int) -> None:
    """As many jobs as commits, and their places without a gap."""
    (next_seq,) = database.execute_sql(f"SELECT next_seq FROM host WHERE id = '{host_id}'").fetchone()  # noqa: S608
    rows = database.execute_sql(f"SELECT seq FROM job WHERE host_id = '{host_id}' ORDER BY seq").fetchall()  # noqa: S608
    assert [seq for (seq,) in rows] == list(range(1, commits + 1))
    assert next_seq == commits + 1


def test_batches_of_the_same_hosts_in_any_order_do_not_deadlock(desk: Desk, url: str) -> None:
    """The other's batches are all fenced off; they lock the same rows."""
    other = Committer(open_database(url), "another")
    claims = [desk.host() for _ in range(20)]

    def fight() -> list[str]:
        entries = [claim.entry() for claim in reversed(claims)]
        for entry in entries:
            entry.incarnation = Incarnation(entry.incarnation.host_id, 99)
        refused: list[str] = []
        while entries:
            _, outcomes, entries = other.write(entries)
            refused += [outcome.why for outcome in outcomes if isinstance(outcome, Refused)]
        return refused

    with ThreadPoolExecutor(1) as pool:
        for _ in range(10):
            fighting = pool.submit(fight)
            entries = [claim.entry() for claim in claims]
            while entries:
                _, outcomes, entries = desk.committer.write(entries)
                assert all(isinstance(outcome, Committed) for outcome in outcomes)
            assert set(fighting.result()) == {"another process has taken this host over"}
        pool.submit(other.database.close).result()
