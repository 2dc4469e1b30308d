"""argon2id. Imported with the first password only: loading the library takes a tenth of a second."""

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from argon2.low_level import Type

from web.passwords import LANES, Cost


def make_hash(password: str, cost: Cost) -> str:
    """A new hash, with its parameters and a salt of its own in it."""
    return _hasher(cost).hash(password)


def fits(password: str, known: str) -> bool:
    """Whether it is the password that the hash was made of."""
    try:
        return PasswordHasher().verify(known, password)
    except (VerificationError, InvalidHashError):
        return False


def is_outdated(known: str, cost: Cost) -> bool:
    """Whether the hash was made at another cost."""
    return _hasher(cost).check_needs_rehash(known)


def _hasher(cost: Cost) -> PasswordHasher:
    return PasswordHasher(time_cost=cost.passes, memory_cost=cost.memory_mib * 1024, parallelism=LANES, type=Type.ID)
