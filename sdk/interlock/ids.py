"""Ids are UUIDv7 strings: they sort by the time of their birth, which keeps index inserts at the right edge."""

import re
from typing import Protocol, TypeAlias

import uuid_utils

OrgId: TypeAlias = str
UserId: TypeAlias = str
HostId: TypeAlias = str
InstanceId: TypeAlias = str
JobId: TypeAlias = str
JobRunId: TypeAlias = str

_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", re.ASCII)


class Ids(Protocol):
    """Where new ids come from."""

    def new(self) -> str:
        """A fresh id, greater than all that came before it in this process."""


class UuidIds:
    """UUIDv7 by the machine's clock and chance."""

    def new(self) -> str:
        """A fresh UUIDv7."""
        return str(uuid_utils.uuid7())


def is_id(text: str) -> bool:
    """Whether `text` has the shape of one of our ids; anything else cannot name a row."""
    return _UUID.fullmatch(text) is not None
