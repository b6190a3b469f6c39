"""Tensors that a module's code has and that are no parameters of it, as constants of the program.

A mean kept as a plain attribute, what a table by position was once computed to be (`functools.lru_cache`), a small
buffer that code branches on: torchax refuses to compute with them ("mixed math").
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import jax


def take_constants(env: Any) -> None:
    """Has a torchax environment take torch's own tensors where its own ones are computed with them."""
    import torch
    from torch.utils._pytree import tree_map_only

    unwrapped, made = env.t2j_iso, type(env.to_xla(torch.zeros(())))

    def t2j_iso(tree: Any) -> Any:
        return unwrapped(tree_map_only(torch.Tensor, constant, tree))

    def constant(tensor: Any) -> Any:
        return env.to_xla(tensor) if tensor.device.type == "cpu" and not isinstance(tensor, made) else tensor

    env.t2j_iso = t2j_iso
    # What is drawn counts for nothing, or the module was refused; and torchax would keep a key of the trace.
    env.get_and_rotate_prng_key = lambda generator=None: jax.random.key(0)


@contextmanager
def traced() -> Iterator[None]:
    """While a module is looked at or traced.

    Its code is told that it is compiled (`torch.compiler.is_compiling`), so that it keeps no tensors of the trace for
    the next call, as transformers' BEiT does. What torch logs of an attempt that fails, a hundred lines, is left out.
    """
    import torch

    log = logging.getLogger("torch._subclasses.fake_tensor")
    was = torch.compiler._is_compiling_flag
    torch.compiler._is_compiling_flag = True
    log.addFilter(_nothing)  # not its level, which torch sets anew where it is first traced
    try:
        yield
    finally:
        torch.compiler._is_compiling_flag = was
        log.removeFilter(_nothing)


def _nothing(record: logging.LogRecord) -> bool:
    return False
