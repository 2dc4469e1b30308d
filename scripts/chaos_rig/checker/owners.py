"""Who wrote to a host: what is for its owner alone is written by whoever claimed it last, and by nobody else."""

from collections.abc import Iterator

from chaos_rig.checker.ledger import Ledger, Violation


def trespassing(ledger: Ledger) -> Iterator[Violation]:
    """What the witness in the database has seen, where there is one."""
    for seen in ledger.final.trespasses:
        said = f"node {seen.node} {seen.what} when {seen.owner} had host {seen.host}"
        yield Violation("trespass", said, ledger.monotonic_ns(seen.at))
