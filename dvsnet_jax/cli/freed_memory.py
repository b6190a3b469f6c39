"""Freed memory is kept, in huge pages, so that a step does not get its temporaries from the kernel page by page."""

from __future__ import annotations

import ctypes
import os
import platform
import sys

_SETTINGS = {"mmap_max": 0, "trim_threshold": 2**31 - 1}
_MALLOPT = {"mmap_max": -4, "trim_threshold": -1}
"""What mallopt calls these (glibc's malloc.h); it has no word for `hugetlb`, which is of glibc 2.35 and later."""
_TUNABLES = ":".join(f"glibc.malloc.{name}={value}" for name, value in {"hugetlb": 1, **_SETTINGS}.items())
_USERS = ("GLIBC_TUNABLES", "MALLOC_ARENA_MAX", "MALLOC_MMAP_MAX_", "MALLOC_MMAP_THRESHOLD_", "MALLOC_TRIM_THRESHOLD_")


def keep_freed_memory() -> bool:
    """Has glibc's malloc keep what is freed, in huge pages where the kernel gives them; whether it keeps. To be called
    before JAX starts its threads, and where nothing has been read, written or changed yet: to have huge pages, the
    process is begun again once, with the same words and GLIBC_TUNABLES in its environment.

    XLA:CPU asks for a program's temporaries at every call, and glibc has anything large from the kernel each time, page
    by page and zeroed: 17,500 page faults and a sixth of the time of a step at 1024×2048 with nothing segmented.
    Without mmap the same memory comes again (table in eval/README). Nothing is done where malloc is another's (macOS,
    musl) or where the user has set it up by the environment (GLIBC_TUNABLES, MALLOC_…).
    """
    library, version = platform.libc_ver()
    if library != "glibc" or any(name in os.environ for name in _USERS):
        return os.environ.get("GLIBC_TUNABLES") == _TUNABLES
    if tuple(map(int, version.split(".")[:2])) >= (2, 35) and _can_begin_again():
        os.environ["GLIBC_TUNABLES"] = _TUNABLES
        try:
            os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])
        except OSError:  # as where memory is short: go on without huge pages
            del os.environ["GLIBC_TUNABLES"]
    malloc = ctypes.CDLL(None)
    return all(malloc.mallopt(_MALLOPT[name], value) for name, value in _SETTINGS.items())


def _can_begin_again() -> bool:
    """Not where the program itself came by stdin, which has been read, or inside another program than Python's own."""
    return bool(sys.executable) and len(sys.orig_argv) > 1 and sys.argv[0] not in ("", "-")
