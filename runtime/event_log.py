"""An org's events as they stand in Redis: one stream per org, appended to by all nodes, numbered by Redis alone.

An entry's id is `birth-n`, the event's number is birth + n. A stream is born with its first event, at Redis's own time in
µs, as the entry `birth-0`, and is **born anew** whenever numbers could else repeat or events be missing unnoticed: when
the stream is gone (emptied, evicted), when another Redis process goes on with it (it may have lost the last entries), or
when a node says that some could not be published. An entry has one field: its name is the process that numbered it, its
value the frame without its number. What was appended last is also published on a channel named like the stream.
"""

from typing import Any, NamedTuple

from runtime.redis_link import Command

APPEND = """
-- KEYS: the stream. ARGV: how many entries to keep, the highest number that the caller knows, '1' to bear it anew, events.
redis.replicate_commands()  -- for Redis before 7
local process = string.match(redis.call('INFO', 'server'), 'run_id:(%x%x%x%x%x%x%x%x)')
local last = redis.call('XREVRANGE', KEYS[1], '+', '-', 'COUNT', 1)[1]
local birth, n, known = 0, 0, tonumber(ARGV[2])
if last then
    birth, n = string.match(last[1], '(%d+)-(%d+)')
    birth, n = tonumber(birth), tonumber(n)
end
local function id()
    return string.format('%.0f-%.0f', birth, n)
end
local anew = not last or last[2][1] ~= process or ARGV[3] == '1'
if anew then
    local now = redis.call('TIME')
    -- Time alone would do, were clocks never set back. No node knows a million events more than another.
    birth, n = math.max(now[1] * 1000000 + now[2], math.max(known, birth + n) + 1000000), 0
    redis.call('XADD', KEYS[1], id(), process, '')
end
for place = 4, #ARGV do
    n = n + 1
    redis.call('XADD', KEYS[1], 'MAXLEN', '~', ARGV[1], id(), process, ARGV[place])
end
if anew or #ARGV > 3 then
    redis.call('PUBLISH', KEYS[1], id())
end
return id()
"""


class Place(NamedTuple):
    """Where a stream stands, or an event in it."""

    birth: int
    n: int

    @property
    def seq(self) -> int:
        """The event's number."""
        return self.birth + self.n


class Entry(NamedTuple):
    """An event in Redis."""

    place: Place
    body: str


def key(org_id: str) -> str:
    """The stream, and the channel on which its newest place is published."""
    return f"{{interlock}}:events:{org_id}"


def append(sha: str, org_id: str, history: int, known: int, bodies: list[bytes], *, anew: bool) -> Command:
    """Append events, none to just look. Answers with the newest place."""
    return ("EVALSHA", sha, 1, key(org_id), history, known, "1" if anew else "", *bodies)


def newest(org_id: str) -> Command:
    """The last entry, in a list; an empty one when there is no stream."""
    return ("XREVRANGE", key(org_id), "+", "-", "COUNT", 1)


def between(org_id: str, birth: int, first: int, last: int | None, most: int) -> Command:
    """Entries of one birth, `last` included; None: all there are."""
    return ("XRANGE", key(org_id), f"{birth}-{first}", str(birth) if last is None else f"{birth}-{last}", "COUNT", most)


def place_of(text: bytes) -> Place:
    """What an id says."""
    birth, _, n = text.partition(b"-")
    return Place(int(birth), int(n))


def entries_of(answer: Any) -> list[Entry]:
    """What a range of entries says."""
    return [Entry(place_of(name), b"".join(fields.values()).decode()) for name, fields in answer]
