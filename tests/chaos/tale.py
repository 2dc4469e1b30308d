"""Histories made by hand: a short true story, to which a test adds what must not have happened."""

from typing import Any

import msgspec
from chaos_rig.cast import DECLARED
from chaos_rig.checker import Promises, Violation, check
from chaos_rig.final import Final, FinalJob, FinalRun, Trespass
from chaos_rig.history import (
    Accepted,
    Asked,
    Began,
    Ended,
    Entry,
    Healed,
    ReportAnswered,
    ReportSent,
    Seen,
    Settled,
    Started,
    Taken,
    Watching,
)
from chaos_rig.work import QUICK

MS = 1_000_000  # ns
WALL = 1_700_000_000_000  # ms of the wall clock at the beginning
HOST = "host"


class Tale:
    """Time is in ms since the beginning. A job that is `done` was created, taken, run and reported without a hitch."""

    def __init__(self) -> None:
        self.entries: list[Entry] = [Began(at=0, seed=1, mode="tale", wall_ns=WALL * MS)]
        self.jobs: dict[str, FinalJob] = {}
        self.late: set[str] = set()
        self.trespasses: list[Trespass] = []
        self.listed: dict[str, str] | None = None
        self.promises = Promises()
        self._seq = 0
        self._run_no = 0
        self._frame = 100

    def add(self, *entries: Entry) -> None:
        """More entries, in any order."""
        self.entries += entries

    def create(self, name: str, at: int, *, priority: int = 0, **changes: Any) -> None:
        """Asked for and accepted within a millisecond; it stands in line."""
        self._seq += 1
        self.add(
            Asked(at=at * MS, tag=name, host=HOST, priority=priority),
            Accepted(at=(at + 1) * MS, tag=name, job=name),
        )
        job = FinalJob(
            id=name, tag=name, host=HOST, type=QUICK, status="PENDING", seq=self._seq, priority=priority, runs=[]
        )
        self.jobs[name] = msgspec.structs.replace(job, **changes)
        self.see("job.created", at + 1, job=name, run=f"{name}/1")

    def attempt(self, name: str, start: int, end: int, status: str = "success", *, last: bool = True) -> str:
        """One run of it, from its take to its acknowledged report; the run's id."""
        job = self.jobs[name]
        run = f"{name}/{len(job.runs) + 1}"
        self._run_no += 1
        job_status = {"success": "COMPLETED", "cancelled": "CANCELLED"}.get(status, "FAILED") if last else "PENDING"
        self.take(name, run, start, self._run_no)
        self.add(
            Started(at=start * MS, host=HOST, agent="agent", run=run),
            Ended(at=end * MS, host=HOST, agent="agent", run=run, how=status),
            ReportSent(at=end * MS, host=HOST, run=run, status=status),
            ReportAnswered(
                at=(end + 1) * MS,
                host=HOST,
                run=run,
                sent=status,
                answer=200,
                asked_at=end * MS,
                status=status,
                job_status=job_status,
                will_retry=not last,
            ),
        )
        self.see("job_run.started", start, job=name, run=run, status="running")
        self.see("job_run.done", end + 1, job=name, run=run, status=status)
        row = FinalRun(
            id=run,
            attempt=len(job.runs) + 1,
            status=status,
            started_at=WALL + start,
            finished_at=WALL + end,
            run_no=self._run_no,
            output=f'{{"proof":"{run}"}}',
        )
        self.change(name, status=job_status, runs=[*job.runs, row])
        return run

    def done(self, name: str, at: int, start: int, end: int, *, priority: int = 0) -> str:
        """Created, run and reported; the run's id."""
        self.create(name, at, priority=priority)
        return self.attempt(name, start, end)

    def take(
        self, name: str, run: str, at: int, run_no: int, *, late: bool = False, asked_at: int | None = None
    ) -> None:
        """It is handed out."""
        asked = (at - 1 if asked_at is None else asked_at) * MS
        self.add(
            Taken(at=at * MS, host=HOST, agent="agent", job=name, run=run, run_no=run_no, asked_at=asked, late=late)
        )

    def change(self, name: str, **changes: Any) -> None:
        """The job's row is another one."""
        self.jobs[name] = msgspec.structs.replace(self.jobs[name], **changes)

    def change_run(self, name: str, place: int = 0, **changes: Any) -> None:
        """A run's row is another one."""
        runs = list(self.jobs[name].runs)
        runs[place] = msgspec.structs.replace(runs[place], **changes)
        self.change(name, runs=runs)

    def see(self, event: str, at: int, *, number: int | None = None, watcher: str = "screen", **data: str) -> None:
        """A dashboard's next frame, or the one of that number."""
        self._frame = self._frame + 1 if number is None else number
        self.add(Seen(at=at * MS, watcher=watcher, event=event, seq=self._frame, **data))

    def watch(self, at: int, after: int | None = None) -> None:
        """The dashboard connects."""
        self.add(Watching(at=at * MS, watcher="screen", after=after))

    def without(self, kind: type[Entry], **values: Any) -> None:
        """Leave out the entries of that kind with these values."""
        self.entries = [
            entry
            for entry in self.entries
            if not (isinstance(entry, kind) and all(getattr(entry, name) == value for name, value in values.items()))
        ]

    def heal(self, at: int) -> None:
        """Nothing is broken from then on."""
        self.add(Healed(at=at * MS))

    def settle(self, at: int, left: int = 0) -> None:
        """Nothing waits any more, or so many jobs do."""
        self.add(Settled(at=at * MS, left=left))

    def violations(self) -> list[Violation]:
        """The judge's word."""
        final = Final(
            jobs=list(self.jobs.values()),
            late_reports=frozenset(self.late),
            listed=self.listed,
            kinds={HOST: DECLARED},
            trespasses=self.trespasses,
        )
        return check(sorted(self.entries, key=lambda entry: entry.at), final, self.promises)

    @property
    def kinds(self) -> set[str]:
        """What kinds of promises were broken."""
        return {violation.kind for violation in self.violations()}

    @property
    def said(self) -> str:
        """All sentences."""
        return "\n".join(violation.said for violation in self.violations())
