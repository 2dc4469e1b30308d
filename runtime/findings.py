"""What `interlock doctor` has found: one finding for each thing that it looked at."""

from enum import StrEnum
from typing import NamedTuple


class Verdict(StrEnum):
    """How it is."""

    OK = "ok"
    WARN = "warn"  # it works, and may not for ever or not for everybody
    FAIL = "fail"  # it does not work


class Finding(NamedTuple):
    """One thing: what was looked at, how it is in a sentence, and what to do about it."""

    verdict: Verdict
    check: str
    text: str
    advice: str = ""


def ok(check: str, text: str) -> Finding:
    """Nothing to do."""
    return Finding(Verdict.OK, check, text)


def warn(check: str, text: str, advice: str) -> Finding:
    """It works now."""
    return Finding(Verdict.WARN, check, text, advice)


def fail(check: str, text: str, advice: str) -> Finding:
    """It does not work."""
    return Finding(Verdict.FAIL, check, text, advice)
