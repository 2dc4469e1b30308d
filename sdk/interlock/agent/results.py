"""From what came of a handler to what the server is told: bounded, and nothing in it that cannot be stored."""

from typing import Any

import msgspec

from interlock.agent.handlers import Ending, Outcome, StopReason
from interlock.agent.settings import AgentSettings
from interlock.agent.text import clean, json_object
from interlock.wire import Report, ReportStatus

MAX_CODE = 200  # characters, as on the server
LOGGED = 300  # characters of an error message in the agent's own log: its end, which tells most
PREFACE = 200  # characters of ours that may come on top of a command's last words


def report_of(outcome: Outcome, reason: StopReason | None, limit: float, settings: AgentSettings) -> Report:
    """The report of a handler that was asked to stop for `reason`, if at all, and had `limit` seconds."""
    report = _report(outcome, reason, limit)
    if report.output is not None:
        report.output, why = _fitting(report.output, settings.result_bytes)
        if why is not None:
            report.error_message = f"its output was left out: {why}"
    if report.error_message is not None:
        report.error_message = clean(report.error_message[: settings.error_characters + PREFACE])
    if report.error_code is not None:
        report.error_code = clean(report.error_code[:MAX_CODE])
    return report


def describe(report: Report) -> str:
    """In a few words, for the log."""
    return f"{report.status} ({report.error_code})" if report.error_code else report.status


def reason(report: Report) -> str:
    """`: why it failed` on one line, for the log; nothing where there is nothing to tell."""
    if report.status == "success" or not report.error_message:
        return ""
    text = " ".join(report.error_message.split())
    shown = text if len(text) <= LOGGED else "…" + text[-LOGGED:]
    return ": " + "".join(each if each.isprintable() else " " for each in shown)


def _fitting(output: Any, most: int) -> tuple[dict[str, Any] | None, str | None]:
    """The output as it can be stored, or why it cannot."""
    try:
        text = msgspec.json.encode(output)
    except (TypeError, ValueError, OverflowError, RecursionError) as error:
        return None, f"it is not JSON ({error})"
    if len(text) > most:
        return None, f"it has {len(text)} bytes, and {most} are allowed"
    fit = json_object(text.decode())
    return fit, None if fit is not None else "it is not an object, or nested too deeply"


def _report(outcome: Outcome, reason: StopReason | None, limit: float) -> Report:
    """Why it was stopped matters only if it did stop for that."""
    if outcome.ending is Ending.SUCCEEDED:
        return Report(status="success", output=outcome.output)
    if outcome.ending is Ending.FAILED:
        return Report(
            status="failed",
            error_code=outcome.error_code,
            error_message=outcome.error_message,
            retryable=outcome.retryable,
        )
    last_words = f"\n{outcome.error_message}" if outcome.error_message else ""
    if reason is StopReason.TIMEOUT:
        return _stopped("failed", "timeout", f"stopped after {limit:g} s{last_words}")
    if reason is StopReason.SERVER_TIMEOUT:  # not as failed: should it have been a user after all, it was cancelled
        return _stopped("cancelled", "timeout", f"stopped after {limit:g} s{last_words}")
    if reason is StopReason.AGENT_STOPPED:
        return _stopped("failed", "agent_stopped", f"stopped because the agent was stopped{last_words}")
    if reason is StopReason.ABANDON:
        return _stopped("cancelled", "abandoned", f"stopped because the server had ended the run{last_words}")
    return _stopped("cancelled", "cancelled", f"stopped on request{last_words}")


def _stopped(status: ReportStatus, code: str, message: str) -> Report:
    return Report(status=status, error_code=code, error_message=message)
