"""What a seed draws: how large its world is, which faults are on, and how strong.

A run in which everything fails finds less than one in which a single thing fails all the time, so some seeds are calm
with one fault, some are wild. A mix can be given as text (`hosts=1 jobs=4 reply_lost=0`): that is how a failing seed,
shrunk to what its failure needs, is written down.
"""

import random
from typing import Any

import msgspec

NODES = (1, 1, 2, 3)  # servers on one database
SIZES = ("nodes", "hosts", "jobs", "seconds", "sticky")


class Mix(msgspec.Struct, frozen=True, kw_only=True):
    """Probabilities for each occasion; `…_a_minute` are rates, each for one node, agent or link."""

    nodes: int = 1
    hosts: int = 1
    jobs: int = 10  # that users ask for
    seconds: int = 60  # of trouble, before everything heals
    sticky: int = 0  # percent of the messages that go where their sender's last one went

    commit_fails: float = 0  # COMMIT is refused, and everybody knows
    commit_unknown: float = 0  # COMMIT happened or did not, and the caller sees an error
    statement_fails: float = 0  # in the middle of a transaction
    rows_held: float = 0  # somebody else holds a host's row at that moment
    claim_unknown: float = 0  # a claim or release: it happened, and the caller sees an error
    read_fails: float = 0
    outages_a_minute: float = 0  # the database is away, for one node or for all, for up to 30 s

    node_dies_a_minute: float = 0
    node_stops_a_minute: float = 0  # as an operator stops it: polls are answered first
    node_pauses_a_minute: float = 0  # for up to two minutes
    clock_steps_a_minute: float = 0  # of a node's wall clock, up to ten minutes either way

    request_lost: float = 0
    reply_lost: float = 0
    request_twice: float = 0  # delivered twice, perhaps much later
    request_slow: float = 0  # on its way for up to 20 s, so that later ones arrive earlier
    cuts_a_minute: float = 0  # of a host's link, both ways or one, for up to 90 s

    hop_lost: float = 0  # between nodes, of a request that is passed on
    bell_lost: float = 0
    bell_late: float = 0
    bells_down_a_minute: float = 0  # for up to a minute neither doorbells nor alarms get through

    alarm_lost: float = 0
    alarm_twice: float = 0
    alarm_late: float = 0

    agent_dies_a_minute: float = 0  # and is back within seconds, as a new process
    agent_vanishes_a_minute: float = 0  # for up to three minutes, with what it had spooled
    agent_pauses_a_minute: float = 0
    clones_a_minute: float = 0  # a second machine uses the host's key for a while

    batches: float = 0  # beside a job, several at once and without a key
    cancels: float = 0  # of jobs, by users, some by force
    retries: float = 0
    expiries: float = 0  # jobs with a startBefore
    delays: float = 0  # jobs with a runAt
    pooled: float = 0  # jobs without a host, some of which want labels

    sockets: float = 0  # agents on sockets
    socket_drops: float = 0  # before or after any frame

    loop_writes: float = 0  # 1: the servers' journals are the loop's, with a process each that writes
    writer_dies: float = 0  # that process, with a batch in its hands


CALM = Mix()
# What a fault may draw when it is on: light, strong.
STRENGTHS: dict[str, tuple[float, ...]] = {
    "commit_fails": (0.01, 0.05, 0.2),
    "commit_unknown": (0.01, 0.05, 0.2),
    "statement_fails": (0.01, 0.05),
    "rows_held": (0.05, 0.3),
    "claim_unknown": (0.05, 0.3),
    "read_fails": (0.02, 0.1, 0.3),
    "outages_a_minute": (0.7, 2),
    "node_dies_a_minute": (0.7, 2, 6),
    "node_stops_a_minute": (0.7, 2),
    "node_pauses_a_minute": (0.7, 3),
    "clock_steps_a_minute": (0.7, 3),
    "request_lost": (0.02, 0.1, 0.3),
    "reply_lost": (0.02, 0.1, 0.3),
    "request_twice": (0.05, 0.3),
    "request_slow": (0.02, 0.2),
    "cuts_a_minute": (0.5, 2),
    "hop_lost": (0.05, 0.3),
    "bell_lost": (0.2, 1),
    "bell_late": (0.3,),
    "bells_down_a_minute": (0.7, 2),
    "alarm_lost": (0.2, 1),
    "alarm_twice": (0.2, 1),
    "alarm_late": (0.3, 1),
    "agent_dies_a_minute": (1, 4),
    "agent_vanishes_a_minute": (0.5, 1.5),
    "agent_pauses_a_minute": (0.7, 3),
    "clones_a_minute": (0.5, 2),
    "batches": (0.1, 0.3),
    "cancels": (0.1, 0.3, 0.6),
    "retries": (0.1, 0.4),
    "expiries": (0.1, 0.4),
    "delays": (0.1, 0.4),
}

# What has dice of its own, so that all else in a seed is as it was before there was any of it.
BESIDE: dict[str, tuple[float, ...]] = {
    "pooled": (0, 0, 0.2, 0.6, 1),
    "sockets": (0, 0.5, 1),
    "socket_drops": (0, 0.02, 0.1),
    "loop_writes": (0, 1),
    "writer_dies": (0, 0, 0.01),
}


def drawn(seed: int) -> Mix:
    """The seed's own mix."""
    chance = random.Random(f"{seed}/mix")  # noqa: S311 - a simulation wants the same dice every time
    share = chance.choice((0.04, 0.1, 0.2, 0.35, 0.6, 1.0))  # of the faults that are on
    on = [name for name in STRENGTHS if chance.random() < share] or [chance.choice(list(STRENGTHS))]
    sizes = {
        "nodes": chance.choice(NODES),
        "hosts": chance.choice((1, 2, 2, 3)),
        "jobs": chance.choice((8, 16, 24)),
        "seconds": chance.choice((45, 90)),
        "sticky": chance.choice((0, 90, 100)),
    }
    faults: dict[str, Any] = {name: chance.choice(STRENGTHS[name]) for name in on}
    for name, strengths in BESIDE.items():
        faults[name] = random.Random(f"{seed}/{name}").choice(strengths)  # noqa: S311 - as above
    return Mix(**sizes, **faults)


def calm(mix: Mix) -> Mix:
    """A world of the same size in which nothing fails any more."""
    return Mix(**{name: getattr(mix, name) for name in SIZES})


def parsed(text: str, mix: Mix = CALM) -> Mix:
    """The mix with what is written as `name=value name=value`; `ValueError` for a name that does not exist."""
    values: dict[str, Any] = {}
    for word in text.split():
        name, _, value = word.partition("=")
        if name not in Mix.__struct_fields__:
            raise ValueError(f"{name!r} is nothing that a seed draws")
        values[name] = int(value) if name in SIZES else float(value)
    return msgspec.structs.replace(mix, **values)


def shown(mix: Mix) -> str:
    """What `parsed` would make this mix of."""
    return " ".join(
        f"{name}={getattr(mix, name):g}" for name in Mix.__struct_fields__ if name in SIZES or getattr(mix, name)
    )
