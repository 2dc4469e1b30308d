"""Why the agent cannot go on, and the exit code that tells a supervisor so.

InterlockError
└── AgentError              exit code
    ├── ConfigInvalid       2   the file, the URL or the key must be changed by a person
    ├── StateInUse          8   another agent already works in the state directory
    └── StateUnusable       9   the state directory cannot be read or written, or is another host's
"""

from pathlib import Path
from typing import ClassVar

from interlock.errors import InterlockError


class AgentError(InterlockError):
    """The agent ends with `exit_code`; the message is for the person who reads its log."""

    exit_code: ClassVar[int] = 1


class ConfigInvalid(AgentError):
    """What the agent was started with is wrong; `mistakes` lists all of it, one sentence each."""

    exit_code = 2

    def __init__(self, source: str, mistakes: list[str]) -> None:
        count = "1 mistake" if len(mistakes) == 1 else f"{len(mistakes)} mistakes"
        super().__init__(f"{source}: {count}\n" + "\n".join(f"  {mistake}" for mistake in mistakes))
        self.mistakes = mistakes


class StateInUse(AgentError):
    """One state directory serves one agent, so that one machine runs one job."""

    exit_code = 8

    def __init__(self, directory: Path, holder: str) -> None:
        super().__init__(f"another agent ({holder}) already works in {directory}; it runs one job at a time for both")


class StateUnusable(AgentError):
    """Without a journal the agent could start a run twice or lose a result, so it does not go on."""

    exit_code = 9
