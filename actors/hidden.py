"""Values that a job's type hides, where its agent repeats them: in its log, its output, its errors, what it has found.

Only of jobs that hide something, which their row tells (`payload_shown`). What is masked is what stands there to the
letter, or as JSON has it; what an agent has encoded in another way, cut or made a file of is its own matter.
"""

import json
from collections.abc import Iterator
from functools import lru_cache
from typing import Any

import msgspec

from actors.messages import EvidenceItem, Line
from interlock.wire import Report
from store.rows import JobRow

SHOWN_AS = "***"
LEAST = 6  # characters: what is shorter is everywhere
MOST = 100  # texts of one payload, the longest first: each is looked for in all that its agent says


def masked_text(job: JobRow, text: str | None) -> str | None:
    """The text without the job's hidden values."""
    if job.payload_shown is None or text is None:
        return text
    for hidden in hidden_texts(job.payload, job.payload_shown):
        text = text.replace(hidden, SHOWN_AS)
    return text


def masked(job: JobRow, value: Any) -> Any:
    """The JSON value without the job's hidden values, in its keys too."""
    if job.payload_shown is None:
        return value
    if isinstance(value, str):
        return masked_text(job, value)
    if isinstance(value, list):
        return [masked(job, item) for item in value]
    if isinstance(value, dict):
        return {masked_text(job, name): masked(job, item) for name, item in value.items()}
    return value


def masked_json(job: JobRow, text: str) -> str:
    """The same of JSON text."""
    if job.payload_shown is None:
        return text
    return msgspec.json.encode(masked(job, msgspec.json.decode(text))).decode()


def masked_report(job: JobRow, report: Report) -> Report:
    """The report without the job's hidden values."""
    if job.payload_shown is None:
        return report
    return msgspec.structs.replace(
        report,
        error_message=masked_text(job, report.error_message),
        error_code=masked_text(job, report.error_code),
        output=masked(job, report.output),
    )


def masked_lines(job: JobRow, lines: tuple[Line, ...]) -> tuple[Line, ...]:
    """The lines of a log without them."""
    if job.payload_shown is None:
        return lines
    return tuple(line._replace(message=masked_text(job, line.message) or "") for line in lines)


def masked_item(job: JobRow, item: EvidenceItem) -> EvidenceItem:
    """An item of evidence without them. Its hash is still of what the agent sent."""
    if job.payload_shown is None:
        return item
    return item._replace(
        source=masked_text(job, item.source) or "",
        title=masked_text(job, item.title) or "",
        url=masked_text(job, item.url),
        snippet=masked_text(job, item.snippet) or "",
    )


@lru_cache(maxsize=64)
def hidden_texts(payload: str, shown: str) -> tuple[str, ...]:
    """The hidden values of a payload that are text, the longest first; of those with several lines each line too.
    As they stand, and as JSON has them within its quotes.
    """
    found: set[str] = set()
    for text in _hidden(msgspec.json.decode(payload), msgspec.json.decode(shown)):
        for part in {text, *text.splitlines()}:
            if len(part.strip()) >= LEAST:
                found |= {part, json.dumps(part)[1:-1], json.dumps(part, ensure_ascii=False)[1:-1]}
    return tuple(sorted(found, key=lambda part: (-len(part), part))[:MOST])


def _hidden(value: Any, shown: Any) -> Iterator[str]:
    """All text in what is not shown."""
    if shown == SHOWN_AS or (isinstance(shown, dict) and SHOWN_AS in shown and SHOWN_AS not in value):
        yield from _texts(value)
    elif isinstance(value, dict) and isinstance(shown, dict):
        for name, below in value.items():
            yield from _hidden(below, shown.get(name))
    elif isinstance(value, list) and isinstance(shown, list):
        for below, below_shown in zip(value, shown, strict=True):
            yield from _hidden(below, below_shown)


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        yield from (text for below in value.values() for text in _texts(below))
    elif isinstance(value, list):
        yield from (text for below in value for text in _texts(below))
