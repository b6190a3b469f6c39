"""Compiled programs are kept on disk, so that a command that ran before starts at once."""

from __future__ import annotations

import os
from pathlib import Path


def keep_compiled() -> None:
    """Has JAX keep what takes over a second to compile: in JAX_COMPILATION_CACHE_DIR where that is set (empty:
    nowhere), else in the user's cache folder (XDG_CACHE_HOME, ~/.cache), in dvsnet-jax. A folder that cannot be written
    is told by a warning of JAX's and nothing else. A user without a home, as in a container, has nowhere.
    """
    if "JAX_COMPILATION_CACHE_DIR" in os.environ:
        return
    try:
        place = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    except RuntimeError:  # neither HOME nor an entry among the users
        return
    import jax

    jax.config.update("jax_compilation_cache_dir", str(Path(place) / "dvsnet-jax" / "xla"))
