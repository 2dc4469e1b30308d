"""What glibc is told about memory, looked at in a process of its own: it cannot be untold."""

import ctypes
import os
import subprocess
import sys
from asyncio.selector_events import _SelectorSocketTransport  # type: ignore[attr-defined]  # what it reads at once

import pytest

from runtime.heap import OF_ITS_OWN, give_back_freed_memory

pytestmark = pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "mallinfo2"), reason="another C library than glibc 2.33")
BLOCKS = 100
_MAPPED = f"""
import ctypes
from runtime.heap import give_back_freed_memory

class Info(ctypes.Structure):  # hblks: blocks that are mapped by themselves
    _fields_ = [(name, ctypes.c_size_t) for name in "arena ordblks smblks hblks a b c d e f".split()]

def mapped():
    look = ctypes.CDLL(None).mallinfo2
    look.restype = Info
    return look().hblks

TELLS
large = bytes(30_000_000)
del large
before = mapped()
blocks = [bytes(SIZE) for _ in range({BLOCKS})]
print(mapped() - before)
"""


def mapped(size: int, *, told: bool) -> int:
    """How many blocks of this size are mapped by themselves after a very large one was freed."""
    text = _MAPPED.replace("TELLS", "assert give_back_freed_memory({})" if told else "").replace("SIZE", str(size))
    environ = {name: value for name, value in os.environ.items() if not name.startswith(("MALLOC_", "GLIBC_"))}
    done = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, env=environ, check=True)
    return int(done.stdout)


def test_large_blocks_go_back_to_the_machine_even_after_a_very_large_one() -> None:
    assert mapped(OF_ITS_OWN * 2, told=True) == BLOCKS
    assert mapped(OF_ITS_OWN * 2, told=False) < BLOCKS  # the reason for telling it


def test_what_a_socket_is_read_into_is_not_mapped_by_itself_at_each_read() -> None:
    assert mapped(_SelectorSocketTransport.max_size, told=True) == 0


@pytest.mark.parametrize("name", ["MALLOC_TRIM_THRESHOLD_", "MALLOC_ARENA_MAX", "GLIBC_TUNABLES"])
def test_whoever_tunes_glibc_himself_is_left_alone(name: str) -> None:
    assert not give_back_freed_memory({name: "1"})
