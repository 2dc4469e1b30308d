"""`./scripts/reliability`: print the page; `take` results for it."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from reliability_report.page import page
from reliability_report.results import FOLDER, load_all
from reliability_report.takes import TAKES, TakeFailed, described, page_path, take


def main(arguments: Sequence[str] | None = None) -> int:
    """0 when the page is written or as it should be; 1 when it is stale, or when a result could not be taken."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    further = given[given.index("--") + 1 :] if "--" in given else []
    options = _options(given[: given.index("--")] if "--" in given else given)
    if options.order == "take":
        for name in options.names or TAKES:
            _say(f"taking {name}")
            try:
                _say(f"{take(name, further).save(options.results)}")
            except TakeFailed as failure:
                _say(f"reliability: {failure}")
                return 1
    return _write(options.results, options.page, check=options.check)


def _options(given: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="./scripts/reliability", description=__doc__)
    parser.add_argument("order", nargs="?", choices=("take",), help="take results first")
    parser.add_argument(
        "names", nargs="*", metavar="NAME", help=f"of these; all when none is named: {', '.join(TAKES)}"
    )
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 when the page is stale")
    parser.add_argument("--results", type=Path, default=FOLDER, help="where results are [default: docs/results]")
    parser.add_argument("--page", type=Path, default=page_path(), help="the page [default: docs/reliability.md]")
    options = parser.parse_args(given)
    if unknown := set(options.names) - set(TAKES):
        parser.error(f"no such result: {', '.join(sorted(unknown))}")
    return options


def _write(results: Path, path: Path, *, check: bool) -> int:
    text = page(load_all(results), TAKES, described())
    same = path.exists() and path.read_text(encoding="utf-8") == text
    if not same and not check:
        path.write_text(text, encoding="utf-8")
    _say(f"{path.name}: {'as it should be' if same else 'stale; run ./scripts/reliability' if check else 'written'}")
    return int(check and not same)


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
