"""What every training has: the state that a step changes, and the refusal to go on from one that is not finite."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
from jaxtyping import Array, Int

from dvsnet_jax.errors import InputError


class TrainState(NamedTuple):
    """All that a resumed training needs: with it, the steps to come are the same bit for bit."""

    step: Int[Array, ""]
    """Steps done so far; the order of samples and dropout masks follow from it and the seed."""
    params: Any
    """Of the network that learns."""
    optimizer: Any


def check_finite(params: Any, step: int, folder: Path) -> None:
    """Raises InputError where a parameter is not finite."""
    if not all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(params)):
        raise diverged("a parameter is not finite", step, folder)


def diverged(what: str, step: int, folder: Path) -> InputError:
    """The error that stops a run, which says what to do."""
    return InputError(
        f"step {step}: {what}, expected a finite number; the last good state is kept in {folder / 'latest'}: train "
        "with a lower --learning-rate into another save folder"
    )
