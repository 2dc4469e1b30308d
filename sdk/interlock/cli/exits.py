"""What the command's exit code says, and how a refusal reads on a terminal.

Scripts branch on the code, people read the sentence; nobody gets a traceback.
"""

from enum import IntEnum

from interlock.errors import (
    Conflict,
    Forbidden,
    InterlockError,
    InvalidRequest,
    NotFound,
    PreconditionFailed,
    TryLater,
    Unauthenticated,
)


class Exit(IntEnum):
    """The exit codes; documented in `docs/cli.md`."""

    OK = 0
    FAILED = 1  # the job failed, or something that has no code of its own
    USAGE = 2  # the command or the request is not valid
    NOT_FOUND = 3
    NOT_ALLOWED = 4  # no credential, one that does not hold, or one that does not allow this
    UNREACHABLE = 5  # the server does not answer, or says "later"
    TIMED_OUT = 6  # waiting took longer than asked; the job goes on
    CANCELLED = 7  # the job was cancelled
    CONFLICT = 8  # the present state does not allow it
    INTERRUPTED = 130  # Ctrl-C; the job goes on


_CODES: tuple[tuple[type[InterlockError], Exit], ...] = (
    (InvalidRequest, Exit.USAGE),
    (NotFound, Exit.NOT_FOUND),
    (Unauthenticated, Exit.NOT_ALLOWED),
    (Forbidden, Exit.NOT_ALLOWED),
    (Conflict, Exit.CONFLICT),
    (PreconditionFailed, Exit.CONFLICT),
    (TryLater, Exit.UNREACHABLE),
)


def exit_code(error: InterlockError) -> Exit:
    """The exit code that stands for `error`."""
    return next((code for kind, code in _CODES if isinstance(error, kind)), Exit.FAILED)


def sentence(error: InterlockError) -> str:
    """`error` for a person: what is wrong, then where, then the request's id for the server's log."""
    lines = [error.detail.rstrip(".")]
    if isinstance(error, InvalidRequest):
        mistakes = (f"{each.get('path', '$')}: {each.get('message', '')}" for each in error.errors)
        lines += [f"  {mistake}" for mistake in mistakes if mistake not in error.detail]
    notes = ", ".join(getattr(error, "__notes__", []))
    lines[0] += f" ({notes})." if notes else "" if lines[0].endswith("?") else "."
    return printable("\n".join(lines), keep="\n")


def printable(text: str, keep: str = "") -> str:
    """`text` without characters that steer a terminal: error messages come from programs on other machines."""
    return "".join(each if each.isprintable() or each in keep else " " for each in text)
