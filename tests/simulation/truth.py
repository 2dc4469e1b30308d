"""What must hold of connections, on top of the invariants of rows: judged where a server pushes, answers or comes to rest.

An agent is never pushed what is not committed; whoever is connected is known, has been told to stop what is to stop,
and has been handed what it should be running; an offer does not outlive the connection that carries it.
"""

from typing import TYPE_CHECKING, Any

from peewee import Database

from actors import Directory, LoopFuture
from actors.host import HostActor
from actors.messages import AddEvidence, EvidenceItem, ReportResult
from actors.sessions import Session
from interlock.frames import CancelRun, JobAvailable, JobGiven, ResumeRun
from interlock.states import LIVE, TERMINAL, RunStatus, StopReason
from interlock.wire import EvidenceAnswer, TakenJob
from store.labels import carries
from store.rows import RunRow
from tests.simulation.invariants import Invariants, must

if TYPE_CHECKING:
    from tests.simulation.sockets import Wire

_LATE = "SELECT id FROM late_report WHERE job_run_id = ? AND body_hash = ?"
_EVIDENCE = "SELECT id FROM evidence WHERE job_id = ? AND hash = ?"


def is_kept_as_late(database: Database, run_id: str, digest: str) -> bool:
    """Whether a report that came too late is in the rows."""
    found = database.connection().execute(_LATE, (run_id, digest))
    return found.fetchone() is not None


class Truth:
    """One for a world."""

    def __init__(self, database: Database, invariants: Invariants) -> None:
        self._database = database
        self._invariants = invariants
        self._rows = invariants.rows
        self._wires: dict[str, Wire] = {}  # by their sessions' ids
        self._left: dict[str, tuple[HostActor, Session]] = {}  # by host: the actor whose connection has gone

    # ---- comings and goings ----------------------------------------------------------------------------------------

    def connects(self, wire: "Wire", session: Session) -> None:
        """A server is about to take it in."""
        self._wires[session.id] = wire
        self._left.pop(wire.host_id, None)

    def disconnects(self, wire: "Wire", session: Session) -> None:
        """A server is about to be told that it has gone."""
        directory = _directory(wire)
        actor = directory.hosts.get(wire.host_id)
        if directory.sessions.get(wire.host_id) is session and actor is not None:
            self._left[wire.host_id] = actor, session

    def is_known(self, wire: "Wire") -> None:
        """A server that holds a connection open knows that it has it."""
        session, directory = wire.session, _directory(wire)
        if session is not None and session.open and session.introduced:
            known = directory.sessions.get(wire.host_id)
            must(known is session, f"host {wire.host_id} is connected by {session.id}, and its server knows {known}")

    def remembers(self, actor: HostActor, directory: Directory) -> None:
        """An actor without anything on its way."""
        state, left = actor.state, self._left.pop(actor.host_id, None)
        if state is None or state.current is None:
            return
        run, session = state.current.run, state.session
        if session is None:
            # One of a process that has been replaced is not the actor's: what is offered was offered on another.
            its_own = left is not None and left[0] is actor and left[1].instance_id in {None, state.host.instance_id}
            offered = run.status is RunStatus.OFFERED and its_own
            must(not offered, "what was offered on a connection that has gone is still offered", run)
        elif session.open and directory.sessions.get(actor.host_id) is session:
            stopping = run.stop_reason is not StopReason.NONE and run.status is not RunStatus.OFFERED
            told = run.id in self._wires[session.id].told_to_stop
            must(told or not stopping, "a connected agent has not been told to stop", run)
            must(stopping or not state.undelivered, "a connected agent has not been handed what it runs", run)
            if run.status is RunStatus.OFFERED:
                must(run.id in self._wires[session.id].given, "offered to an older connection than there is", run)
            if run.status is RunStatus.RUNNING and not stopping:
                self._has_been_given(self._wires[session.id], run)

    def _has_been_given(self, wire: "Wire", run: RunRow) -> None:
        """Who has said at his connect that he runs nothing has been handed since then what he runs, or may ask again."""
        session = wire.session
        if session is not None and session.running == ():
            known = run.id in wire.given or run.id in self._invariants.polled
            may_ask_again = run.job_id in wire.acks and session.acked(run.job_id) == run.id
            must(known or may_ask_again, "an agent that said that it runs nothing was not given its run", run)

    # ---- what is said ----------------------------------------------------------------------------------------------

    def pushed(self, wire: "Wire", event: str, data: Any) -> None:
        """It is in the rows, and concerns this host."""
        known = f"{event} was pushed to {wire.host_id}"
        if isinstance(data, JobGiven):
            wire.given.add(data.job_run_id)
            self._is_given(wire.host_id, data, known)
        elif isinstance(data, JobAvailable):
            job, host = self._rows.jobs.get(data.job_id), self._rows.hosts[wire.host_id]
            fits = job is not None and job.labels is not None and carries(host.labels, job.labels)
            must(fits, known, data, job)
        elif isinstance(data, CancelRun):
            wire.told_to_stop.add(data.job_run_id)
            run = self._rows.runs.get(data.job_run_id)
            stops = run is None or run.stop_reason is not StopReason.NONE or run.status not in LIVE
            must(stops, known, data, run)
        elif isinstance(data, ResumeRun):
            must(data.job_run_id in self._rows.runs, known, data)

    def acked(self, wire: "Wire", taken: TakenJob) -> None:
        """Who is told that it may begin holds the run."""
        wire.given.add(taken.job_run_id)
        known = f"{wire.host_id} was told to begin {taken.job_run_id}"
        run = self._is_given(wire.host_id, taken, known)
        must(run.started_at is not None, f"{known} before it was committed", run)

    def _is_given(self, host_id: str, taken: TakenJob, known: str) -> RunRow:
        run = self._rows.runs.get(taken.job_run_id)
        must(run is not None and run.host_id == host_id, known, run)
        if run is None:
            raise AssertionError(known)
        numbered = run.run_no is not None and run.run_no >= taken.run_no
        must(numbered and (run.offers > 0 or run.status in LIVE | TERMINAL), f"{known} before its commit", run)
        return run

    def reported(self, message: ReportResult, reply: LoopFuture) -> None:
        """How a run ended."""

        def late(run_id: str, digest: str) -> bool:
            return is_kept_as_late(self._database, run_id, digest)

        self._invariants.report_answered(message.job_run_id, message.digest, reply.outcome, late)

    def kept(self, message: AddEvidence, answer: Any) -> None:
        """Evidence that is acknowledged is stored, and once."""
        if not isinstance(answer, EvidenceAnswer):
            return
        for item, verdict in zip(message.items, answer.items, strict=True):
            if isinstance(item, EvidenceItem) and verdict.verdict != "rejected":
                run = self._rows.runs[message.job_run_id]
                ids = self._database.connection().execute(_EVIDENCE, (run.job_id, item.hash)).fetchall()
                must(len(ids) == 1, f"evidence of run {run.id} was acknowledged and is stored as {ids}")


def _directory(wire: "Wire") -> Directory:
    if wire.life is None:
        raise AssertionError("a connection without a server")
    return wire.life.directory
