"""One clip on several devices: the regions of a frame are dealt out over them, inside the one program.

    mesh = region_mesh(jax.devices(), config)
    params, state = placed_params(mesh, params), placed_state(mesh, init_state(params, frames, config=config))
    step = step_over(mesh)
    state, result = step(params, state, frames, None, None, config)  # as segment_frame's

Each device has the whole frame, and the key frames of its own regions. It finds their motion, segments those that need
it, warps and upsamples; a device whose regions need nothing waits for the others. Twice a frame all tell all: what the
policy goes by, a few numbers of each region, and the regions' labels with the scores that they are merged by. Policies
see all regions, wherever those are. Several videos at once are better dealt out whole (`streaming.steps`).
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache, partial
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from dvsnet_jax import networks
from dvsnet_jax.config import DVSNetConfig
from dvsnet_jax.errors import InputError
from dvsnet_jax.frame_motion import FrameMotion, motion_shape
from dvsnet_jax.routing import Share
from dvsnet_jax.video import Result, VideoState, init_state, segment_frame

_AXIS = "regions"
_WHOLE: Any = PartitionSpec()
_DEALT: Any = PartitionSpec(_AXIS)
_STATE = VideoState(
    key_images=_DEALT, key_scores=_DEALT, key_features=_DEALT, carried=_DEALT, policy=_WHOLE, started=_WHOLE,
    previous_images=_DEALT, recalibration=_WHOLE,
)  # fmt: skip
"""How each field lies: all of it everywhere, or each device's regions."""


def region_mesh(devices: Sequence[Any], config: DVSNetConfig, *, streams: int = 1) -> Mesh:
    """A mesh of these devices for the regions of so many streams. Raises InputError where each cannot have as many."""
    regions = streams * config.num_regions
    if not devices or regions % len(devices):
        fits = ", ".join(str(count) for count in range(1, regions + 1) if regions % count == 0)
        raise InputError(
            f"{regions} regions cannot be dealt out evenly over {len(devices)} devices; choose of {fits}, or other "
            "regions"
        )
    return Mesh(np.asarray(devices), (_AXIS,))


def placed_params(mesh: Mesh, params: networks.Params) -> networks.Params:
    """Parameters on every device."""
    return jax.device_put(params, NamedSharding(mesh, _WHOLE))


def placed_state(mesh: Mesh, state: VideoState) -> VideoState:
    """Each region's state on its own device, the rest on every one."""
    return jax.device_put(state, shardings(mesh, state))


def shardings(mesh: Mesh, state: VideoState) -> VideoState:
    """The sharding of each of the state's arrays, or of their shapes."""
    placed = [
        jax.tree.map(lambda leaf, spec=spec: NamedSharding(mesh, spec), values)
        for values, spec in zip(state, _STATE, strict=True)
    ]
    return VideoState(*placed)


def shapes_over(
    mesh: Mesh, params: networks.Params, config: DVSNetConfig, height: int, width: int, *, streams: int = 1
) -> tuple[Any, ...]:
    """What the step takes, but for its configuration, as shapes that are placed: to compile it where no device is."""
    everywhere = NamedSharding(mesh, _WHOLE)

    def placed(tree: Any, sharding: Any = everywhere) -> Any:
        places = sharding if isinstance(sharding, VideoState) else jax.tree.map(lambda leaf: sharding, tree)
        return jax.tree.map(
            lambda leaf, place: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=place), tree, places
        )

    frames = jax.ShapeDtypeStruct((streams, height, width, 3), np.uint8)
    state = jax.eval_shape(partial(init_state, params, config=config), frames)
    motion = None
    if config.takes_motion:
        cells = (streams, *motion_shape(height, width))
        shapes: list[Any] = [jax.ShapeDtypeStruct(shape, np.float32) for shape in ((*cells, 2), cells)]
        motion = FrameMotion(*shapes)
    restart = jax.ShapeDtypeStruct((streams,), bool)
    return placed(params), placed(state, shardings(mesh, state)), placed(frames), placed(restart), placed(motion)


@cache
def step_over(mesh: Mesh, *, audit: bool = False) -> Any:
    """`segment_frame` with its regions dealt out over the mesh, jitted: `(params, state, frames, restart, motion,
    config)`, where `restart` and `motion` may be None. `state` is donated."""

    def step(
        params: Any, state: VideoState, frames: Any, restart: Any, motion: Any, config: DVSNetConfig
    ) -> tuple[VideoState, Result]:
        share = Share(frames.shape[0] * config.num_regions, mesh.size, _AXIS)
        return segment_frame(params, state, frames, restart, motion, config=config, audit=audit, share=share)

    return dealt_out(step, mesh, state=_STATE, frames=_WHOLE)


def dealt_out(step: Any, mesh: Mesh, *, state: Any, frames: Any) -> Any:
    """`step(params, state, frames, restart, motion, config)` run by each device of the mesh, as one jitted program.
    `state` and `frames` are PartitionSpecs: of the state, and of the frames with what comes with them and of them.
    Parameters are everywhere. The state is donated."""
    return jax.jit(
        jax.shard_map(
            step,
            mesh=mesh,
            in_specs=(_WHOLE, state, frames, frames, frames, _WHOLE),
            out_specs=(state, frames),
            check_vma=False,
        ),
        donate_argnums=1,
    )
