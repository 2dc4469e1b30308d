"""`./scripts/fuzz`: hostile requests and frames against a real server."""

import argparse
import asyncio
import sys

from fuzzer.run import Outcome, Sizes, fuzz

QUICK = Sizes(requests=3000, frames=1000, slack_mib=32)  # what is loaded late, and caches that fill, are most of it
MOST_SHOWN = 20


def main() -> int:
    """The exit code: 0 when nothing was found."""
    whole = Sizes()
    parser = argparse.ArgumentParser(prog="fuzz", description="Hostile requests and frames against a real server.")
    parser.add_argument("--requests", type=int, help=f"how many requests ({whole.requests:,})")
    parser.add_argument("--frames", type=int, help=f"how many frames on sockets ({whole.frames:,})")
    parser.add_argument("--seed", type=int, default=1, help="what chance begins with (1)")
    parser.add_argument("--quick", action="store_true", help=f"{QUICK.requests:,} requests and {QUICK.frames:,} frames")
    asked = parser.parse_args()
    sizes = QUICK if asked.quick else whole
    given = {name: value for name in ("requests", "frames", "seed") if (value := getattr(asked, name)) is not None}
    outcome = asyncio.run(fuzz(sizes._replace(**given)))
    show(outcome)
    return 1 if outcome.findings else 0


def show(outcome: Outcome) -> None:
    """Figures, then findings."""
    print(
        f"{outcome.requests:,} requests, {outcome.frames:,} frames on {outcome.talks:,} sockets, {outcome.seconds:.0f} s"
    )
    shares = ", ".join(f"{status}: {count:,}" for status, count in sorted(outcome.statuses.items()))
    print(f"Answers: {shares}; closed instead: {outcome.closed:,}; of 503 races: {outcome.races}")
    for when, vitals in outcome.vitals.items():
        live = ", ".join(f"{name.removeprefix('interlock_')} {value:g}" for name, value in vitals.live.items())
        print(f"{when:20} {vitals.rss_mib:6.0f} MiB, {vitals.files} files open, {live}")
    if {"half-way", "after the requests"} <= outcome.vitals.keys():
        grown = outcome.vitals["after the requests"].rss_mib - outcome.vitals["half-way"].rss_mib
        print(f"The second half of the requests took {grown * 2**20 / (outcome.requests / 2):,.0f} bytes each")
    for finding in outcome.findings[:MOST_SHOWN]:
        print(f"FOUND {finding}")
    if len(outcome.findings) > MOST_SHOWN:
        print(f"… and {len(outcome.findings) - MOST_SHOWN} more")


if __name__ == "__main__":
    sys.exit(main())
