"""The original's weights → parameters of this package: from arrays by name, or straight from TensorFlow's files."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from dvsnet_jax import networks
from dvsnet_jax.checkpoints.matching import match
from dvsnet_jax.checkpoints.original_names import config_from_shapes, from_original, is_bookkeeping
from dvsnet_jax.checkpoints.tensorflow_files import read_tensorflow
from dvsnet_jax.config import DVSNetConfig
from dvsnet_jax.errors import InputError

if TYPE_CHECKING:
    import numpy as np


def from_tensorflow(
    variables: Mapping[str, np.ndarray], config: DVSNetConfig, *, source: str = "the given variables"
) -> networks.Params:
    """Parameters from the original's variables, {name: array}, with or without ':0' after the names.

    An optimizer's variables (Adam's, Momentum's, RMSProp's) and `global_step` are passed over. Nothing else is: see
    `matching.match` for the five refusals. `source` is what its message calls the variables.

    Raises InputError where variables and configuration do not match, name by name.
    """
    return match(
        variables,
        networks.abstract_params(config),
        rename=lambda name: from_original(name, config),
        ignore=is_bookkeeping,
        source=source,
    )


def import_tensorflow(
    path: str | Path, *, decision_from: str | Path | None = None, config: DVSNetConfig | None = None
) -> tuple[networks.Params, DVSNetConfig]:
    """Parameters and configuration from a TensorFlow checkpoint of the original, in any form `read_tensorflow` takes.

    Args:
      path: the checkpoint. The original keeps the decision network in another one: give that as `decision_from`.
      decision_from: where the decision network (`decision/…`) is taken from, and nothing else; the one that `path` may
        have is then passed over.
      config: what the weights must fit. None: the Cityscapes preset, with the class count, widths and block counts of
        the variables found (`original_names.config_from_shapes`); the caller should show what came out.

    Raises:
      InputError: a file that is missing or damaged, or variables that do not fit.
    """
    variables = read_tensorflow(path)
    source = str(path)
    if decision_from is not None:
        decision = {name: value for name, value in read_tensorflow(decision_from).items() if _is_decision(name)}
        if not decision:
            raise InputError(f"{decision_from}: has no variable under decision/, so no decision network")
        variables = {name: value for name, value in variables.items() if not _is_decision(name)} | decision
        source = f"{path} with the decision network of {decision_from}"
    elif not any(_is_decision(name) for name in variables):
        raise InputError(
            f"{path}: has no variable under decision/, so no decision network; the original keeps it in a checkpoint "
            "of its own: name that one as well (--decision-from)"
        )
    if config is None:
        config = config_from_shapes(variables)
    return from_tensorflow(variables, config, source=source), config


def _is_decision(name: str) -> bool:
    return name.startswith("decision/")
