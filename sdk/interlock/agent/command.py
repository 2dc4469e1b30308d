"""The handler that runs a command: payload on stdin, exit code 0 for success, last lines as the result."""

import logging
from collections.abc import Mapping
from typing import Any

import msgspec

from interlock.agent.child import Child
from interlock.agent.config import CommandSpec
from interlock.agent.handlers import Context, Handler, Job, Outcome, Stop
from interlock.agent.output import Capture
from interlock.agent.settings import AgentSettings
from interlock.agent.text import clean, decode, json_object
from interlock.agent.waiting import first

logger = logging.getLogger(__name__)

# Of the agent's environment, what no command gets: its key, and whatever trace the agent itself was started in.
WITHHELD = frozenset({"INTERLOCK_AGENT_KEY", "TRACEPARENT", "TRACESTATE"})


class CommandHandler:
    """Runs one command of agent.toml. `environment` is the agent's own, which the command inherits."""

    def __init__(self, spec: CommandSpec, settings: AgentSettings, environment: Mapping[str, str]) -> None:
        self._spec = spec
        self._settings = settings
        self._environment = {name: value for name, value in environment.items() if name not in WITHHELD}

    async def __call__(self, job: Job, context: Context) -> Outcome:
        """Run the command to its end, or until `context.stop` asks for that."""
        capture = self._capture(context)
        payload = msgspec.json.encode(job.payload) + b"\n"
        try:
            child = Child(
                self._spec.command, env=self._variables(job), cwd=self._spec.cwd, stdin=payload, capture=capture
            )
        except (OSError, ValueError) as error:
            return self._not_started(str(error))
        try:
            context.process_started(child.identity)
            refusal = await child.release()
            if refusal is not None:
                return self._not_started(refusal)
            logger.info("run %s: started %s as process %d", job.run_id, self._spec.command[0], child.pid)
            stopped = await self._watch(child, context.stop)
            await self._end_leftovers(child, job, context)
        finally:
            await child.close()
            capture.close()
        return self._outcome(child.exited.result(), capture, stopped=stopped)

    async def _watch(self, child: Child, stop: Stop) -> bool:
        """Wait for the command's end; True when it had to be ended."""
        await first(child.exited, stop.requested.wait())
        if child.exited.done():
            return False
        await child.end(grace_seconds=self._settings.grace_seconds, at_once=stop.at_once)
        return True

    async def _end_leftovers(self, child: Child, job: Job, context: Context) -> None:
        """What stays in the job's process group ends with the job; what only holds its output open may go on."""

        def say(message: str) -> None:
            logger.warning("run %s: %s", job.run_id, message)
            context.log(message, "warn")

        ended = await child.output_ended(self._settings.pipe_grace_seconds)
        if child.lives():
            say(f"ending what the command left behind in its process group {child.pid}")
            grace = self._settings.grace_seconds
            if not await child.end(grace_seconds=grace, at_once=context.stop.at_once):
                say(f"some of process group {child.pid} could not be ended")
            ended = await child.output_ended(self._settings.pipe_grace_seconds)
        if not ended:
            say("a process that outlives the job still holds its output open; redirect it to a file")

    def _capture(self, context: Context) -> Capture:
        def on_line(level: str, line: bytes) -> None:
            context.log(decode(line[: self._settings.log_line_bytes]), level)

        return Capture(self._settings.output_lines, self._settings.output_bytes, on_line)

    def _variables(self, job: Job) -> dict[str, str]:
        return {
            **self._environment,
            **self._spec.env,
            "INTERLOCK_JOB_ID": job.id,
            "INTERLOCK_JOB_RUN_ID": job.run_id,
            "INTERLOCK_JOB_TYPE": job.type,
            "INTERLOCK_ATTEMPT": str(job.attempt),
            **_trace(job),
        }

    def _outcome(self, code: int, capture: Capture, *, stopped: bool) -> Outcome:
        if code == 0 and not stopped:
            return Outcome.succeeded(_output(capture))
        last_words = capture.tail.text()[-self._settings.error_characters :]
        if stopped:
            return Outcome.stopped(last_words)
        error_code = f"exit_{code}" if code > 0 else f"signal_{-code}"
        return Outcome.failed(error_code, last_words or "the command failed without a word")

    def _not_started(self, why: str) -> Outcome:
        return Outcome.failed("not_started", clean(f"{self._spec.command[0]} cannot be started: {why}"))


def command_handlers(
    commands: Mapping[str, CommandSpec], settings: AgentSettings, environment: Mapping[str, str]
) -> dict[str, Handler]:
    """A handler for each command, by job type."""
    return {
        job_type: Handler(CommandHandler(spec, settings, environment), spec.timeout_seconds)
        for job_type, spec in commands.items()
    }


def _trace(job: Job) -> dict[str, str]:
    """The job's trace as OpenTelemetry's tools read it from the environment."""
    found = {"TRACEPARENT": job.traceparent, "TRACESTATE": job.tracestate}
    return {name: value for name, value in found.items() if value is not None}


def _output(capture: Capture) -> dict[str, Any]:
    """The JSON object in the last line of stdout, or else the last lines as `text`."""
    last = json_object(capture.stdout_tail.last())
    return last if last is not None else {"text": capture.tail.text()}
