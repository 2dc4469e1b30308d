"""Labels: what a host carries and what a pool job wants, as the text that `accounts.label_text` makes of them."""

from functools import lru_cache

import msgspec

Pairs = frozenset[tuple[str, str]]
ANY_HOST = "{}"  # the labels of a job that any host of its org may take


@lru_cache(maxsize=16_384)  # more than the hosts of most fleets, of which no two may carry the same
def pairs_of(text: str) -> Pairs:
    """Names and values, from the text of a row."""
    return frozenset(msgspec.json.decode(text, type=dict[str, str]).items())


def carries(host: str, wanted: str) -> bool:
    """Whether a host with these labels carries all that are wanted; both as text."""
    return wanted == ANY_HOST or pairs_of(wanted) <= pairs_of(host)
