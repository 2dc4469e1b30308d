"""Whether the programs that agent.toml names are there: a warning before the first job, no more than that."""

import shutil
from collections.abc import Mapping
from pathlib import Path

from interlock.agent.config import CommandSpec


def missing_programs(commands: Mapping[str, CommandSpec], environment: Mapping[str, str]) -> list[str]:
    """A sentence for each command whose program is not found now; `environment` is the agent's own."""
    return [
        f"handlers.{job_type}.command: {spec.command[0]} is not found, or may not be run"
        for job_type, spec in commands.items()
        if not _found(spec, {**environment, **spec.env})
    ]


def _found(spec: CommandSpec, environment: Mapping[str, str]) -> bool:
    """As it will be started: a path from the command's folder, a name by the command's own PATH."""
    program = spec.command[0]
    if "/" in program:
        return shutil.which(Path(spec.cwd) / program) is not None
    return shutil.which(program, path=environment.get("PATH")) is not None
