"""The limits of one agent: every field with its unit, default and special values.

They are the `[agent]` table of agent.toml; `docs/agent.md` lists the same fields, and a test keeps it so.
"""

from typing import Annotated, Literal

import msgspec

Seconds = Annotated[float, msgspec.Meta(ge=0, le=86_400)]
PositiveSeconds = Annotated[float, msgspec.Meta(gt=0, le=86_400)]
WholeSeconds = Annotated[int, msgspec.Meta(ge=0, le=50)]
Characters = Annotated[int, msgspec.Meta(ge=100, le=16_000)]
Lines = Annotated[int, msgspec.Meta(ge=1, le=100_000)]
Bytes = Annotated[int, msgspec.Meta(ge=256, le=16 * 1024 * 1024)]
Transport = Literal["auto", "socket", "poll"]
DiskBytes = Annotated[int, msgspec.Meta(ge=0, le=2**40)]


class AgentSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Frozen and checked whole at start."""

    # Ending a command
    grace_seconds: Seconds = 10.0  # between SIGTERM and SIGKILL, or until an async function is cancelled;
    # the server's cancel deadline allows 10 s and 20 more
    drain_seconds: Seconds = 30.0  # how long a run may go on once the agent is asked to stop; 0 stops it at once
    pipe_grace_seconds: Seconds = 0.5  # how long output is awaited after the command's exit
    exit_report_seconds: Seconds = 5.0  # how long a stopping agent tries to hand over results; the journal keeps them

    # What is kept of a command's output
    output_lines: Lines = 50  # last lines that go into a result
    output_bytes: Bytes = 65_536  # and at most so much of them; a longer line is cut
    error_characters: Characters = 16_000  # the end of them that an error message holds; the server keeps no more
    result_bytes: Bytes = 262_000  # of an output as JSON; a larger one is left out, as the server would refuse it

    # Talking to the server
    transport: Transport = "auto"  # a socket, with polls while there is none; `socket` never polls, `poll` only polls
    poll_wait_seconds: WholeSeconds = 25  # how long the server may hold a poll; whole seconds up to 50
    poll_spacing_seconds: PositiveSeconds = 1.0  # from one empty poll to the next, when the server does not hold it
    heartbeat_seconds: PositiveSeconds = 15.0  # until the server names its own interval
    request_timeout_seconds: PositiveSeconds = 15.0  # for one request; a poll has poll_wait_seconds on top
    retry_base_seconds: PositiveSeconds = 1.0  # full jitter: a delay between 0 and base · 2^failures
    retry_cap_seconds: PositiveSeconds = 60.0  # the most that such a delay may grow to
    key_retry_seconds: PositiveSeconds = 60.0  # between attempts while the server refuses the key, half more or less

    # Uploading a command's output as log lines
    upload_logs: bool = True  # false keeps output on the machine, but for the last lines in the result
    log_queue_lines: Lines = 5_000  # waiting to be sent; the oldest beyond are dropped, and a line says how many
    log_line_bytes: Bytes = 8_192  # a longer line is cut
    log_batch_lines: Lines = 500  # in one request
    log_batch_bytes: Bytes = 65_536  # in one request
    log_interval_seconds: PositiveSeconds = 1.0  # between two requests
    log_flush_seconds: Seconds = 2.0  # the most that a result waits for its last log lines and progress notes

    # The journal
    finished_kept: Lines = 32  # finished runs whose result can be reported again
    journal_bytes: DiskBytes = 8_388_608  # grown to this, the file is written afresh with half of it or less
    free_bytes: DiskBytes = 16_777_216  # with less room on the state directory's disk no job is taken
