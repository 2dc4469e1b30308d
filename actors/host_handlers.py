"""Who handles which message to a host's actor. Each looks at the state and the message, changes the state's memory, and
writes into the decision what follows from that.
"""

from collections.abc import Callable
from typing import Any

from actors import host_debug, host_polls, host_pool, host_reports, host_rows, host_sockets, host_times, host_users
from actors.decision import Decision
from actors.host_state import HostState
from actors.line_moves import move_in_line
from actors.messages import (
    Ack,
    AddEvidence,
    AppendLogs,
    Beat,
    CancelJob,
    Connect,
    CreateJob,
    Describe,
    Disconnect,
    EndPoll,
    ExplainWait,
    FindRun,
    Found,
    HandOutAgain,
    Look,
    Message,
    MoveInLine,
    NoteProgress,
    OfRun,
    Reject,
    ReportResult,
    ResolveAction,
    RetryJob,
    RunDue,
    Seen,
    Take,
    Tick,
)
from actors.pool_messages import PoolEmpty, PoolHints, PoolJob
from actors.user_action import resolve_action

Handler = Callable[[HostState, Any, Decision], None]


def _found(state: HostState, message: Found, d: Decision) -> None:
    if isinstance(message.asked, Ack | Reject):
        host_sockets.found(state, message, d)
        return
    if isinstance(message.asked, PoolJob):
        host_pool.found(state, message, d)
        return
    about_run = isinstance(message.asked, OfRun | FindRun)
    (host_reports.found if about_run else host_users.found)(state, message, d)


HANDLERS: dict[type[Message], Handler] = {
    Take: host_polls.take,
    EndPoll: host_polls.end_poll,
    HandOutAgain: host_polls.hand_out_again,
    Beat: host_polls.beat,
    Connect: host_sockets.connect,
    Disconnect: host_sockets.disconnect,
    Ack: host_sockets.ack,
    Reject: host_sockets.reject,
    ReportResult: host_reports.report_result,
    NoteProgress: host_reports.note_progress,
    AppendLogs: host_reports.append_logs,
    AddEvidence: host_reports.add_evidence,
    FindRun: host_reports.find_run,
    CreateJob: host_users.create_job,
    CancelJob: host_users.cancel_job,
    RetryJob: host_users.retry_job,
    ResolveAction: resolve_action,
    MoveInLine: move_in_line,
    ExplainWait: host_users.explain_wait,
    Found: _found,
    Look: host_rows.look,
    Seen: host_rows.seen,
    RunDue: host_times.look_at_clock,
    Tick: host_times.look_at_clock,
    Describe: host_debug.describe,
    PoolJob: host_pool.take,
    PoolEmpty: host_pool.nothing,
    PoolHints: host_pool.hint,
}
