"""The agent key: a signed token whose claims name the host it speaks for.

The agent reads the claims without verifying them: it only needs to know its own host's id, and the server
verifies the key at every request.
"""

import base64
import binascii
from typing import Any

import msgspec

from interlock.agent.errors import ConfigInvalid
from interlock.ids import HostId, is_id

_USERS = "interlock"  # the audience of a user's token


class _Claims(msgspec.Struct):
    sub: str
    aud: Any = None


def host_id_of(key: str) -> HostId:
    """The `sub` claim of `key`; `ConfigInvalid` unless that is a host's id."""
    parts = key.split(".")
    if len(parts) != 3:  # noqa: PLR2004 - header, claims, signature
        raise _invalid("a key has three parts joined by dots")
    try:
        raw = base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4))
        claims = msgspec.json.decode(raw, type=_Claims)
    except (binascii.Error, msgspec.MsgspecError, ValueError) as error:
        raise _invalid("its middle part cannot be read") from error
    if claims.aud == _USERS:
        raise ConfigInvalid(
            "agent key", ["this is a user's token, not an agent key (one is shown when its host is created)"]
        )
    if not is_id(claims.sub):
        raise _invalid("its `sub` is not a host's id")
    return claims.sub


def _invalid(why: str) -> ConfigInvalid:
    return ConfigInvalid("agent key", [f"this is not an agent key: {why} (copy it again from where it was shown)"])
