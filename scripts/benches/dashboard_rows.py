"""The figures of `bench dashboard` beside what was promised."""

from collections.abc import Mapping, Sequence

from benches.dashboard import ELEMENTS, HEAP_MB, PAGES, ROWS, TEXT
from benches.dashboard_sizes import DashboardSizes
from benches.figures import Floor, Row, Yardstick

PAINT_MS, RECEIVED_KB, TASK_MS = 300.0, 200.0, 100.0
HEARD = 0.95  # of the events that the driver makes
LONG_MINUTES = 5.0  # from here on a line through samples is trusted


def dashboard_rows(sizes: DashboardSizes, of: Mapping[str, Sequence[float]]) -> list[Row]:
    """A page after the other."""
    found = [row for page in PAGES for row in _rows(page, sizes, of)]
    stick = Yardstick(f"{TEXT}, ms", of[f"{TEXT} paint"])
    return [
        *found,
        Row(name=f"{ROWS}: the page itself", unit="ms", values=of[f"{ROWS} shown"], yardstick=stick),
        Row(name=f"{ROWS}: received", unit="KB", values=of[f"{ROWS} KB"]),
    ]


def _rows(page: str, sizes: DashboardSizes, of: Mapping[str, Sequence[float]]) -> list[Row]:
    def row(name: str, unit: str, key: str, floor: Floor | None = None, stick: str = "") -> Row:
        yardstick = Yardstick(f"{TEXT}, ms", of[f"{TEXT} {stick}"]) if stick else None
        return Row(name=f"{page}: {name}", unit=unit, values=of[f"{page} {key}"], floor=floor, yardstick=yardstick)

    long = sizes.minutes >= LONG_MINUTES
    task, heap, elements = Floor(at_most=TASK_MS), Floor(at_most=HEAP_MB), Floor(at_most=ELEMENTS)
    return [
        row("first paint", "ms", "paint", Floor(at_most=PAINT_MS)),
        row("first paint", "ms", "paint", stick="paint"),
        row("the page itself", "ms", "shown", stick="paint"),
        row("received", "KB", "KB", Floor(at_most=RECEIVED_KB)),
        row("events heard", "/s", "heard", Floor(at_least=sizes.events * HEARD)),
        row("longest task", "ms", "longest", task),
        row("longest task, of CPU", "ms", "longest CPU", task),
        row("tasks of more than 50 ms", "tasks", "held up"),
        row("main thread busy", "%", "busy"),
        row("main thread for an event", "ms", "ms each"),
        row("event to screen, p50", "ms", "p50"),
        row("event to screen, p99", "ms", "p99"),
        row("events never on the screen", "events", "unseen", Floor(at_most=0)),
        row("longest task, all pages at once", "ms", "long longest"),
        row("heap", "MB", "MB"),
        row("heap grows by", "MB/min", "heap slope"),
        row("heap grows by less than", "MB/min", "heap bound", heap if long else None),
        row("elements", "elements", "elements"),
        row("elements grow by less than", "/min", "elements bound", elements if long else None),
    ]
