"""All decisions of one incarnation in a batch, merged: the last image of each row, and what it must have been before."""

from store.entries import Append, AskToStop, Entry, JobChange, RunChange


class HostBatch:
    """A new job's place in line comes out of the fence: `first_seq` and those behind it, in the order of the jobs."""

    __slots__ = ("appends", "asked", "claims", "entries", "expects", "first_seq", "jobs", "missed", "new_jobs", "runs")

    def __init__(self) -> None:
        self.entries: list[Entry] = []
        self.jobs: dict[str, JobChange] = {}
        self.runs: dict[str, RunChange] = {}
        self.appends: list[Append] = []
        self.asked: list[AskToStop] = []
        self.claims: list[Entry] = []  # those that take a job out of a pool
        self.missed: set[int] = set()  # by `id`: those of them that came too late, as the last transaction found
        self.new_jobs: list[str] = []
        self.first_seq = 0
        self.expects: int | None = None  # the place that must be next; one that never is, when decisions do not agree

    @property
    def host_id(self) -> str:
        """Whose decisions they are."""
        return self.entries[0].incarnation.host_id

    @property
    def epoch(self) -> int | None:
        """By which they own the host; None when they do not."""
        return self.entries[0].incarnation.epoch

    def add(self, entry: Entry) -> None:
        """The next decision."""
        self.entries.append(entry)
        if entry.expects is not None:
            self.expects = entry.expects if self.expects in {None, entry.expects} else -1
        if entry.claim is not None:
            self.claims.append(entry)
        for change in entry.changes:
            if isinstance(change, RunChange):
                known = self.runs.get(change.id)
                self.runs[change.id] = change if known is None else RunChange(change.id, known.was, change.image)
            elif isinstance(change, JobChange):
                earlier = self.jobs.get(change.id)
                if change.new_seq:
                    self.new_jobs.append(change.id)
                self.jobs[change.id] = change if earlier is None else _later(earlier, change)
            elif isinstance(change, Append):
                self.appends.append(change)
            else:
                self.asked.append(change)

    def seqs(self) -> dict[str, int]:
        """The places of its new jobs."""
        return {job_id: self.first_seq + place for place, job_id in enumerate(self.new_jobs)}


def _later(earlier: JobChange, change: JobChange) -> JobChange:
    new_seq, leaves = earlier.new_seq or change.new_seq, earlier.leaves or change.leaves
    return JobChange(change.id, earlier.was, change.image, new_seq, leaves=leaves)
