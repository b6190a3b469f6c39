"""Parameters for inference: what is linear is computed beforehand, and nothing is approximated.

    params = networks.prepare(params, config)         # once; then as before: segment_frame(params, …)

Training and checkpoints keep the original form. Gains and floors were measured (`python eval/speed.py`): with batch
norms inside the convolutions and DeepLab-Fast's head as one product, a region costs 125 billion multiply-adds
instead of 158.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np
from jax.experimental.layout import Format, Layout
from jaxtyping import Array, Float

from dvsnet_jax.config import (
    CarriedMotionConfig,
    DeepLabFastConfig,
    DeepLabLiteConfig,
    DeepLabPairConfig,
    DeepLabV2Config,
    DVSNetConfig,
    FlowNet2sConfig,
)
from dvsnet_jax.flownet_config import FlowNet2Config
from dvsnet_jax.networks.layers import BatchNorm, gpu_order
from dvsnet_jax.protocols import SegmentationFunction

Layers = Mapping[str, Mapping[str, Any]]
AnyArray = Array | np.ndarray

Params = dict[str, Any]
"""A plain nested dict `{"segmentation": …, "flow": …, "decision": …}` of float32 arrays, whose inner names are the
originals' variable names split at '/'; or what `prepare` makes of them. For a network of the user's own the entry is
whatever pytree it takes."""
Precision = Literal["float32", "bfloat16"]
_PYRAMID = tuple(f"fc1_voc12_c{index}" for index in range(4))
_LITE_SHARED = {f"up{stride}": f"skip{stride}_bn" for stride in (16, 8, 4)}
"""Convolutions of DeepLab-Lite whose result is added to another's before that one's norm."""


def prepare(params: Params, config: DVSNetConfig, *, precision: Precision = "float32") -> Params:
    """`params` in the form that makes inference fastest, on the default device; the same scores up to rounding.

    - Batch norms are folded into the convolutions before them.
    - The head of DeepLab-Fast and DeepLab-v2, which has nothing nonlinear in it, becomes one matrix from the trunk's
      channels to the class count for each tap (`layers.DilatedSum`).
    - `precision` is that of the segmentation network: with "bfloat16" its weights and activations are bfloat16, sums
      and scores float32. Flow and decision network stay float32, so that a region takes the same path.
      On a CPU bfloat16 is slower; on GPU and TPU it halves what is moved and doubles what matrix units do, at labels
      that differ in a few pixels of a thousand.

    - On an NVIDIA GPU convolution kernels of these networks lie in memory as they are read there (`layers.gpu_order`):
      otherwise each step would begin by transposing sixty of them.

    A network of the user's own is placed, and its arrays are left as they are, with either precision; where it says
    that it takes any (`SegmentationFunction.any_precision`, as `from_torch`'s do), they become bfloat16 with that.
    What is prepared already is only placed. Under `jax.eval_shape` shapes come out. Raises ValueError for a `precision`
    that is neither of the two.
    """
    if precision not in ("float32", "bfloat16"):
        raise ValueError(f"precision is {precision!r}; it is 'float32' or 'bfloat16'")
    prepared = dict(params)
    network = config.segmentation
    ours = own_networks(config)
    if "segmentation" in ours:
        layers = jax.tree.map(_on_host, prepared["segmentation"])
        with jax.default_matmul_precision("highest"):
            folded = layers if is_prepared(layers) else _folded(layers, network)
        prepared["segmentation"] = jax.tree.map(lambda leaf: leaf.astype(precision), folded)
    if precision == "bfloat16" and isinstance(network, SegmentationFunction) and network.any_precision:
        prepared["segmentation"] = jax.tree.map(_halved, prepared["segmentation"])
    return {name: jax.tree.map(_placed if name in ours else _there, tree) for name, tree in prepared.items()}


def own_networks(config: DVSNetConfig) -> frozenset[str]:
    """Which of `Params`' entries are of this package's own networks, whose kernels lie as `layers.gpu_order` says."""
    ours = {"decision"}
    if isinstance(config.flow, FlowNet2sConfig | FlowNet2Config | CarriedMotionConfig):
        ours.add("flow")
    if isinstance(config.segmentation, DeepLabFastConfig | DeepLabV2Config | DeepLabLiteConfig | DeepLabPairConfig):
        ours.add("segmentation")
    return frozenset(ours)


def is_prepared(layers: Any) -> bool:
    """Whether a DeepLab's parameters (`params["segmentation"]`) are `prepare`'s: they have no batch norm left."""
    paths = jax.tree_util.tree_leaves_with_path(layers)
    return not any(jax.tree_util.DictKey("moving_variance") in path for path, _ in paths)


def _placed(leaf: Any) -> Any:
    """On the default device, a kernel (of one of our networks) in the layout that its convolutions want there."""
    array = _there(leaf)
    order = gpu_order(array.shape)
    if jax.default_backend() != "gpu" or order is None or isinstance(array, jax.core.Tracer):
        return array
    return jax.device_put(array, Format(Layout(order), array.sharding))


def _halved(leaf: Any) -> Any:
    """Floating point as bfloat16; counts and indices stay."""
    return leaf.astype(jnp.bfloat16) if jnp.issubdtype(leaf.dtype, jnp.floating) else leaf


def _there(leaf: Any) -> Any:
    """On the default device. numpy's arrays are copied first, as what is put there may be their memory. `jnp.asarray`
    would copy too, but compile a program for every shape."""
    return jax.device_put(leaf.copy()) if isinstance(leaf, np.ndarray) else jnp.asarray(leaf)


def _on_host(leaf: Any) -> Any:
    """In float64, to round once; a traced array stays what it is."""
    return leaf if isinstance(leaf, jax.core.Tracer) else np.asarray(leaf, np.float64)


def _folded(layers: Layers, network: Any) -> dict[str, dict[str, Any]]:
    if isinstance(network, DeepLabPairConfig):
        return {name: _folded(layers[name], getattr(network, name)) for name in ("first", "second")}
    if isinstance(network, DeepLabLiteConfig):
        return _without_norms(layers, _LITE_SHARED)
    head = {name: layers[name] for name in layers if name.startswith("fc")}
    trunk = {name: layers[name] for name in layers if name not in head}
    fold = _fast_head if isinstance(network, DeepLabFastConfig) else _v2_head
    return {**_without_norms(trunk), "head": fold(head)}


def _affine(norm: Mapping[str, Any]) -> tuple[AnyArray, AnyArray]:
    """Scale and shift of a batch norm with its stored moments."""
    scale = norm["gamma"] / (norm["moving_variance"] + BatchNorm.epsilon) ** 0.5
    return scale, norm["beta"] - norm["moving_mean"] * scale


def _norm_of(name: str, layers: Layers) -> str | None:
    """The batch norm that follows a convolution: `conv1` → `bn_conv1`, `res2a_branch1` → `bn2a_branch1`, `stem` →
    `stem_bn`."""
    for norm in (f"{name}_bn", f"bn_{name}", f"bn{name.removeprefix('res')}"):
        if norm in layers:
            return norm
    return None


def _without_norms(layers: Layers, shared: Mapping[str, str] | None = None) -> dict[str, dict[str, Any]]:
    """Each convolution with its norm's scale in the weights and its shift as biases; one of `shared` with the scale
    alone, since the shift is to be added once."""
    folded: dict[str, dict[str, Any]] = {}
    for name, layer in layers.items():
        if "moving_variance" in layer:
            continue
        if shared and name in shared:
            folded[name] = {"weights": layer["weights"] * _affine(layers[shared[name]])[0]}
        elif norm := _norm_of(name, layers):
            scale, shift = _affine(layers[norm])
            folded[name] = {"weights": layer["weights"] * scale, "biases": shift}
        else:
            folded[name] = dict(layer)
    return folded


def _columns(weights: Float[AnyArray, "k k cin cout"]) -> Float[AnyArray, "cin k*k*cout"]:
    """A kernel as `DilatedSum` has its taps."""
    return weights.transpose(2, 0, 1, 3).reshape(weights.shape[2], -1)


def _joined(branches: list[AnyArray]) -> AnyArray:
    xp: Any = np if all(isinstance(branch, np.ndarray) for branch in branches) else jnp
    return xp.concatenate(branches, axis=1)


def _v2_head(head: Layers) -> dict[str, Any]:
    return {
        "weights": _joined([_columns(head[name]["weights"]) for name in _PYRAMID]),
        "biases": sum(head[name]["biases"] for name in _PYRAMID),
    }


def _fast_head(head: Layers) -> dict[str, Any]:
    """classes = fc_out · norm(fc_oooo · Σ norm(branch)), all of it linear."""
    scale, shift = _affine(head["fc_oooo_bn"])
    last = head["fc_out"]["weights"][0, 0]
    matrix = head["fc_oooo"]["weights"][0, 0] * scale @ last
    weights, biases = [], shift @ last
    for name in _PYRAMID:
        scale, shift = _affine(head[f"{name}_bn"])
        weights.append(_columns(head[name]["weights"] * scale @ matrix))
        biases = biases + (head[name]["biases"] * scale + shift) @ matrix
    return {"weights": _joined(weights), "biases": biases}
