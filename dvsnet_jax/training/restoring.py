"""The weights that a stage of the training begins from."""

from __future__ import annotations

from pathlib import Path

import jax
import jax.numpy as jnp

from dvsnet_jax import checkpoints, networks
from dvsnet_jax.checkpoints.foreign.original_names import config_from_shapes
from dvsnet_jax.checkpoints.matching import flatten
from dvsnet_jax.config import AnyDecisionConfig, DVSNetConfig
from dvsnet_jax.errors import InputError


def restore(path: str | Path, *, decision_from: str | Path | None = None) -> tuple[networks.Params, DVSNetConfig]:
    """Parameters and configuration from a checkpoint of ours, of the original's in TensorFlow's files, or the package's
    own: `street`, with a flow network, or `street-large`, which carries motion.

    The original keeps the decision network in a checkpoint of its own (`decision_from`). Before stage 3 there is none:
    it may be left out, and the decision network is then a fresh one. Raises InputError as the loading does.
    """
    if decision_from is None and (name := checkpoints.bundled_name(path)):
        return checkpoints.load_bundled("paper" if name == "street" else "carried", name)
    if not checkpoints.is_tensorflow(path):
        if decision_from is not None:
            raise InputError(f"{path}: is no TensorFlow checkpoint and has a decision network; drop --decision-from")
        return checkpoints.load(path)
    if decision_from is not None:
        return checkpoints.import_tensorflow(path, decision_from=decision_from)
    variables = checkpoints.read_tensorflow(path)
    config = config_from_shapes(variables)
    if not any(name.startswith("decision/") for name in variables):
        target = networks.abstract_params(config)["decision"]
        fresh = fresh_decision(config.decision, target["Conv"]["weights"].shape[2])
        variables = {**variables, **flatten({"decision": jax.device_get(fresh)})}
    return checkpoints.from_tensorflow(variables, config, source=str(path)), config


def fresh_decision(config: AnyDecisionConfig, channels: int, seed: int = 0) -> networks.Params:
    """Fresh parameters of a decision network on features of that many channels."""
    network = networks.decision_network(config)
    feature = jnp.zeros((1, *config.grid, channels), jnp.float32)
    return dict(jax.jit(network.init)(jax.random.key(seed), feature)["params"])
