"""`./scripts/docs`: write the pages; with `--check` say which are stale, and exit 1 when any is."""

import argparse
import sys
from pathlib import Path

from docs_pages.commands import commands_page
from docs_pages.lifecycle import lifecycle_page
from docs_pages.routes import events_page, routes_page
from docs_pages.settings import settings_page

DOCS = Path(__file__).parents[2] / "docs"
PAGES = {
    "lifecycle.md": lifecycle_page,
    "settings.md": settings_page,
    "reference/commands.md": commands_page,
    "reference/events.md": events_page,
    "reference/routes.md": routes_page,
}


def main() -> int:
    """0 when every page is as the code says, or has been written."""
    parser = argparse.ArgumentParser(prog="./scripts/docs", description="Write the pages that come from the code.")
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 when a page is stale")
    parser.add_argument("--folder", type=Path, default=DOCS, help="where the pages are [default: docs]")
    options = parser.parse_args()
    stale = [name for name, page in PAGES.items() if _read(options.folder / name) != page()]
    for name in stale:
        if not options.check:
            (options.folder / name).parent.mkdir(parents=True, exist_ok=True)
            (options.folder / name).write_text(PAGES[name](), encoding="utf-8")
        print(f"{name}: {'stale; run ./scripts/docs' if options.check else 'written'}")
    return 1 if stale and options.check else 0


def _read(path: Path) -> str | None:
    return path.read_text(encoding="utf-8") if path.exists() else None


if __name__ == "__main__":
    sys.exit(main())
