"""Memory that was freed goes back to the machine: glibc's heap, on Linux."""

import ctypes
from collections.abc import Mapping

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # of `mallopt`, from malloc.h
KEPT_FREE = 4 * 2**20  # bytes at the end of the heap
# bytes: whatever is larger is mapped by itself, and unmapped when it is freed. More than the 256 KiB that asyncio makes
# room for at each read of a socket: mapped one by one, those took a twentieth of a job.
OF_ITS_OWN = 2**19


def give_back_freed_memory(environ: Mapping[str, str]) -> bool:
    """Whether glibc was told to; not where somebody tunes it by its own variables, nor where the C library is another.

    Left alone it takes the first large body that is freed for a sign that large blocks belong into the heap. What is small
    and lasts then lies scattered between them, and holds on to what was freed: after 60,000 requests of `./scripts/fuzz`
    40 of 167 MiB were free, and still growing.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None or any(name.startswith("MALLOC_") or name == "GLIBC_TUNABLES" for name in environ):
        return False
    return all(
        mallopt(option, value) for option, value in ((_TRIM_THRESHOLD, KEPT_FREE), (_MMAP_THRESHOLD, OF_ITS_OWN))
    )
