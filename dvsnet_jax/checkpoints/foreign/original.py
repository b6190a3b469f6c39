"""The original's weights → parameters of this package: from arrays by name, or straight from TensorFlow's files."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from dvsnet_jax import networks
from dvsnet_jax.checkpoints.foreign.flownet2_tf import from_flownet2_tf
from dvsnet_jax.checkpoints.foreign.original_names import config_from_shapes, from_original, is_bookkeeping
from dvsnet_jax.checkpoints.foreign.tensorflow_files import read_tensorflow
from dvsnet_jax.checkpoints.matching import match
from dvsnet_jax.config import DeepLabFastConfig, DeepLabV2Config, DVSNetConfig
from dvsnet_jax.errors import InputError
from dvsnet_jax.flownet_config import FlowNet2Config, FlowNetwork


def from_tensorflow(
    variables: Mapping[str, np.ndarray],
    config: DVSNetConfig | DeepLabFastConfig | DeepLabV2Config | FlowNet2Config | None = None,
    *,
    network: FlowNetwork | None = None,
    source: str = "the given variables",
) -> networks.Params:
    """Parameters from TensorFlow variables of the originals, {name: array}, with or without ':0' after the names.

    What comes back follows from the configuration:

    - `DVSNetConfig`: all of DVSNet, from the original's variables (DeepLab's at the root, FlowNets/…, decision/…);
    - `DeepLabFastConfig`, `DeepLabV2Config`: `params["segmentation"]` alone, from DVSNet's or from
      tensorflow-deeplab-resnet's variables;
    - `FlowNet2Config`, or `network="FlowNetCSS"` for one in flownet2-tf's own form: for `estimate_flow`, from
      flownet2-tf's variables.

    An optimizer's variables (Adam's, Momentum's, RMSProp's) and `global_step` are passed over. Nothing else is: see
    `matching.match` for the five refusals. `source` is what its message calls the variables.

    Raises InputError where variables and configuration do not match, name by name.
    """
    if (config is None) == (network is None):
        raise ValueError("give the configuration that the variables are of, or the name of a FlowNet2 network")
    if network is not None:
        config = FlowNet2Config(network=network)
    if isinstance(config, FlowNet2Config):
        return from_flownet2_tf(variables, config, source=source)
    if isinstance(config, DeepLabFastConfig | DeepLabV2Config):
        target = networks.abstract_params(DVSNetConfig(segmentation=config))["segmentation"]
        return match(
            variables,
            target,
            rename=lambda name: name.removesuffix(":0"),
            ignore=is_bookkeeping,
            source=source,
        )
    assert config is not None
    whole = config
    return match(
        variables,
        networks.abstract_params(whole),
        rename=lambda name: from_original(name, whole),
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
    elif not any(name.startswith(("decision/", "FlowNet")) for name in variables):
        raise InputError(
            f"{path}: holds no flow network and no decision network, as weights of DeepLab alone, around which they "
            "would have to be trained; give DVSNet's own checkpoint"
        )
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
