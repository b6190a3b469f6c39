"""Freed memory is kept, so that a step does not get its temporaries from the kernel page by page."""

from __future__ import annotations

import ctypes
import os
import platform

_TRIM_THRESHOLD, _MMAP_MAX, _ARENA_MAX = -1, -4, -8  # glibc's malloc.h
_USERS = ("GLIBC_TUNABLES", "MALLOC_ARENA_MAX", "MALLOC_MMAP_MAX_", "MALLOC_MMAP_THRESHOLD_", "MALLOC_TRIM_THRESHOLD_")


def keep_freed_memory() -> bool:
    """Has glibc's malloc keep what is freed; whether it does. To be called before JAX starts its threads.

    XLA:CPU asks for a program's temporaries at every call, and glibc has anything large from the kernel each time, page
    by page and zeroed: 17,500 page faults and an eighth of the time of a step at 1024×2048 with nothing segmented. One
    arena without mmap gives the same memory again. Nothing is done where malloc is another's (macOS, musl) or where the
    user has set it up by the environment (GLIBC_TUNABLES, MALLOC_…).
    """
    if platform.libc_ver()[0] != "glibc" or any(name in os.environ for name in _USERS):
        return False
    malloc = ctypes.CDLL(None)
    # Threads' own arenas are made of small heaps, and so have to mmap.
    return all(malloc.mallopt(*given) for given in ((_ARENA_MAX, 1), (_MMAP_MAX, 0), (_TRIM_THRESHOLD, 2**31 - 1)))
