"""The frame step as a function of arrays by name: what a program takes and gives, without a type of this package."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import jax.export
import jax.numpy as jnp
import jax.stages
from jax import lax

from dvsnet_jax import networks
from dvsnet_jax.config import DVSNetConfig
from dvsnet_jax.frame_motion import FrameMotion, motion_shape
from dvsnet_jax.networks.layers import gpu_order
from dvsnet_jax.networks.preparation import own_networks
from dvsnet_jax.routing import default_chunk
from dvsnet_jax.video import init_state, segment_frame


@dataclass(frozen=True)
class NamedStep:
    """`jitted(weights, state, frames, restart) → (state, result)`; weights, state and result are dicts of arrays. Where
    the configuration carries motion, that is a fifth argument: a dict of `FrameMotion`'s arrays."""

    jitted: jax.stages.Wrapped
    """`state` is donated."""
    weights: dict[str, Any]
    arguments: tuple[Any, ...]
    """Shapes and types of what it takes."""
    chunks: dict[str, int]
    """Regions that `compact` routing segments at once on each platform."""
    gpu_orders: dict[str, tuple[int, ...]]
    """Axes of those weights that lie on a GPU in another than the usual order, from the slowest to the fastest."""


def named_step(
    params: networks.Params,
    config: DVSNetConfig,
    height: int,
    width: int,
    *,
    platforms: Sequence[str],
    streams: int | None = None,
) -> NamedStep:
    """The step for frames of this size; `streams` None leaves their number open (a symbolic dimension).

    A state of zeros, no stream started, is the one before the first frame: that frame sets all of it. Raises ValueError
    for a size that the configuration cannot take.
    """
    open_streams = jax.export.symbolic_shape("streams")[0]
    count: Any = open_streams if streams is None else streams
    frames = jax.ShapeDtypeStruct((count, height, width, 3), jnp.uint8)
    restart = jax.ShapeDtypeStruct((count,), jnp.bool)
    state = jax.eval_shape(partial(init_state, params, config=config), frames)
    weights, weights_tree = _by_name(params)
    arrays, state_tree = _by_name(state)
    # With the number of streams open, only one frame's regions are sure to be there.
    regions = config.num_regions * (streams or 1)
    chunks = {platform: min(config.chunk or default_chunk(regions, platform), regions) for platform in platforms}

    def run(chunk: int, weights: Any, state: Any, frames: Any, restart: Any, motion: Any = None) -> tuple[Any, Any]:
        after, result = segment_frame(
            jax.tree.unflatten(weights_tree, list(weights.values())),
            jax.tree.unflatten(state_tree, [state[name] for name in arrays]),
            frames,
            restart,
            None if motion is None else FrameMotion(**motion),
            config=config.replace(chunk=chunk),
        )
        return _by_name(after)[0], result._asdict()

    def function(weights: Any, state: Any, *given: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        weights = {name: weights[name] for name in named}  # in the tree's order: jit has sorted them by name
        if len(set(chunks.values())) == 1 or config.routing == "dense":
            return run(next(iter(chunks.values())), weights, state, *given)
        # The program is traced on this machine, but the platform that runs it decides which chunk it takes.
        accelerator = next(chunk for platform, chunk in chunks.items() if platform != "cpu")
        return lax.platform_dependent(
            weights, state, *given, cpu=partial(run, chunks["cpu"]), default=partial(run, accelerator)
        )

    named = list(weights)
    ours = own_networks(config)
    laid = {name: gpu_order(leaf.shape) for name, leaf in weights.items() if name.split("/")[0] in ours}
    orders = {name: order for name, order in laid.items() if order is not None}
    shapes = [{name: _shape(leaf) for name, leaf in tree.items()} for tree in (weights, arrays)]
    given: tuple[Any, ...] = (frames, restart)
    if config.takes_motion:
        cells = motion_shape(height, width)
        shapes_of = {"flow": (count, *cells, 2), "trust": (count, *cells)}
        given += ({name: jax.ShapeDtypeStruct(shape, jnp.float32) for name, shape in shapes_of.items()},)
    return NamedStep(jax.jit(function, donate_argnums=1), weights, (*shapes, *given), chunks, orders)


def _by_name(tree: Any) -> tuple[dict[str, Any], Any]:
    """The leaves by their path, "flow/conv1/weights" or "policy/limit", in the tree's order; and the tree."""
    leaves, structure = jax.tree_util.tree_flatten_with_path(tree)
    named = {"/".join(map(_key, path)): leaf for path, leaf in leaves}
    if len(named) != len(leaves):
        raise ValueError("two parameters have one name when their keys are joined by '/'; rename one of them")
    return named, structure


def _key(key: Any) -> str:
    """Of a dict, a named tuple, a sequence, or a node of the user's own."""
    return str(next(getattr(key, name) for name in ("key", "name", "idx") if hasattr(key, name)))


def _shape(leaf: Any) -> jax.ShapeDtypeStruct:
    return jax.ShapeDtypeStruct(leaf.shape, leaf.dtype)
