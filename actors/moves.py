"""Server instances that leave their hosts: no job about one may reach the host that it has left."""

from collections import Counter

from interlock.clock import Clock, Millis
from interlock.errors import NotFound, Unavailable

LATELY: Millis = 60_000  # longer than a request goes on after it has looked up where its instance is


class Moves:
    """What this process moves and deletes, of one org. Between `begin` and `end` nothing new about an instance passes; what
    was on its way with the old place in hand is refused for a while after.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._under_way: Counter[str] = Counter()
        self._left: dict[str, tuple[str, bool, Millis]] = {}  # which host, whether it is deleted, and when

    @property
    def rests(self) -> bool:
        """Whether nothing is being moved."""
        return not self._under_way

    def begin(self, instance_id: str) -> None:
        """It is about to leave its host."""
        self._under_way[instance_id] += 1

    def end(self, instance_id: str) -> None:
        """Whatever has become of that."""
        self._under_way[instance_id] -= 1
        if not self._under_way[instance_id]:
            del self._under_way[instance_id]

    def has_left(self, instance_id: str, host_id: str, *, deleted: bool = False) -> None:
        """It is not on that host any more."""
        now = self._clock.now()
        for old in [each for each, (_, _, at) in self._left.items() if not now - LATELY < at <= now]:
            del self._left[old]
        self._left[instance_id] = host_id, deleted, now

    def check(self, instance_id: str | None, host_id: str | None) -> None:
        """Whether a job about the instance may go to that host: `Unavailable` while it moves or where it has just left,
        `NotFound` where it was just deleted.
        """
        if instance_id is None or not (self._under_way or self._left):
            return
        if instance_id in self._under_way:
            raise Unavailable("The server instance is just being moved; ask again", retry_after=1)
        left, deleted, at = self._left.get(instance_id, (None, False, 0))
        if left == host_id and self._clock.now() - LATELY < at:
            if deleted:
                raise NotFound("No such server instance")
            raise Unavailable("The server instance has just been moved; ask again", retry_after=1)
