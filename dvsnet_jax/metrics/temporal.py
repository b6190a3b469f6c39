"""How steady labels are from frame to frame: whether they go along with the motion, or flicker.

    steps = (consistency_counts(now, before, flow, 19) for before, now, flow in clip)    # flow: now → before
    matrix = sum(np.asarray(step, np.int64) for step in steps)
    print(mean_iou(matrix), pixel_accuracy(matrix))                                      # of metrics.segmentation

The labels of the previous frame are carried along the flow and compared with the current ones. The mean IoU between
the two is the temporal consistency of Liu et al., Efficient Semantic Video Segmentation with Per-frame Inference, ECCV
2020, and of Varghese et al., Unsupervised Temporal Consistency Metric for Video Segmentation in Highly-Automated
Driving, CVPR Workshops 2020. It needs no true labels, and it says nothing about being right: one class everywhere is
perfectly steady. Report it beside the IoU, and with a flow that the segmentation itself has not used.

Flow is a displacement (x, y) in pixels at the labels' resolution, current → previous, as DVSNet warps by. Leading axes
(streams, steps) are allowed everywhere.
"""

from __future__ import annotations

from functools import partial

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, UInt8

from dvsnet_jax.errors import InputError
from dvsnet_jax.metrics.segmentation import confusion_matrix
from dvsnet_jax.ops.flow_warp import flow_warp

_VOID = 255
_SHARE, _SLACK = 0.01, 0.5  # how far two flows may miss each other: 1 % of their squared lengths, and half a pixel²


@jax.jit
def carried(
    labels_before: UInt8[Array, "*batch h w"], flow: Float[Array, "*batch h w 2"]
) -> UInt8[Array, "*batch h w"]:
    """Labels of the previous frame where the current one has them: those of the pixel nearest to x + flow.

    255 (void) where that lies outside of the picture or the flow is no number. Half-way between two pixels the right or
    lower one is taken. Raises `InputError` where the sizes differ.
    """
    if flow.shape != (*labels_before.shape, 2) or labels_before.ndim < 2:
        raise InputError(
            f"labels_before are {list(labels_before.shape)} and flow {list(flow.shape)}, "
            "expected [..., h, w] and [..., h, w, 2]"
        )
    height, width = labels_before.shape[-2:]
    x, y = (jnp.floor(place + 0.5) for place in _places(flow))
    inside = _inside(x, y, height, width)
    # Before they become integers: a NaN or a far point has none.
    index = jnp.where(inside, y, 0).astype(jnp.int32) * width + jnp.where(inside, x, 0).astype(jnp.int32)
    flat = (*labels_before.shape[:-2], height * width)
    taken = jnp.take_along_axis(labels_before.reshape(flat), index.reshape(flat), axis=-1)
    return jnp.where(inside, taken.reshape(labels_before.shape), _VOID)


@partial(jax.jit, static_argnames="num_classes")
def consistency_counts(
    labels: UInt8[Array, "*batch h w"],
    labels_before: UInt8[Array, "*batch h w"],
    flow: Float[Array, "*batch h w 2"],
    num_classes: int,
    *,
    visible: Bool[Array, "*batch h w"] | UInt8[Array, "*batch h w"] | None = None,
) -> Int[Array, "num_classes num_classes"]:
    """Pixels by carried class (rows) and current class (columns), int32: a confusion matrix of the two frames.

    Pixels that are void in either, that come from outside of the picture, or that are not `visible` in the previous
    frame are left out. Matrices add up, in 64 bits; `mean_iou` and `pixel_accuracy` make numbers of them.

    Raises `InputError` where the sizes differ; nothing is broadcast.
    """
    if labels.shape != labels_before.shape:
        raise InputError(
            f"labels are {list(labels.shape)} and labels_before {list(labels_before.shape)}: one size is needed"
        )
    before = carried(labels_before, flow)
    if visible is not None:
        if visible.shape != labels.shape:
            raise InputError(f"visible is {list(visible.shape)} and labels {list(labels.shape)}: one size is needed")
        before = jnp.where(jnp.asarray(visible, bool), before, _VOID)
    return confusion_matrix(labels, before, num_classes)


@jax.jit
def visible_both_ways(
    forward_flow: Float[Array, "*batch h w 2"], backward_flow: Float[Array, "*batch h w 2"]
) -> Bool[Array, "*batch h w"]:
    """Which pixels of the frame that `forward_flow` starts from are visible in the other one, going by two flows.

    For `consistency_counts`, forward is current → previous and backward is previous → current. A point that goes there
    and back must arrive where it started, as far as two estimates can be trusted: |f + b|² < 0.01 (|f|² + |b|²) + 0.5,
    with b read bilinearly at x + f (Sundaram et al., Dense Point Trajectories by GPU-Accelerated Large Displacement
    Optical Flow, ECCV 2010). False where x + f is outside of the pixel centres' rectangle or a flow is not a number.

    Raises `InputError` where the shapes differ.
    """
    shape = forward_flow.shape
    if shape != backward_flow.shape or len(shape) < 3 or shape[-1] != 2:
        raise InputError(
            f"forward_flow is {list(shape)} and backward_flow {list(backward_flow.shape)}, "
            "expected [..., h, w, 2] for both"
        )
    height, width = shape[-3:-1]
    forward, backward = (
        flow.astype(jnp.float32).reshape(-1, height, width, 2) for flow in (forward_flow, backward_flow)
    )
    back = flow_warp(backward, forward)
    missed, lengths = ((forward + back) ** 2).sum(-1), (forward**2 + back**2).sum(-1)
    # NaN is below nothing, so it is not visible.
    return ((missed < _SHARE * lengths + _SLACK) & _inside(*_places(forward), height, width)).reshape(shape[:-1])


def _places(flow: Float[Array, "*batch h w 2"]) -> tuple[Float[Array, "*batch h w"], Float[Array, "*batch h w"]]:
    """Where each pixel comes from, x and y, in float32: float16 cannot hold 2047.5."""
    height, width = flow.shape[-3:-1]
    flow = flow.astype(jnp.float32)
    return jnp.arange(width) + flow[..., 0], jnp.arange(height)[:, None] + flow[..., 1]


def _inside(
    x: Float[Array, "*batch h w"], y: Float[Array, "*batch h w"], height: int, width: int
) -> Bool[Array, "*batch h w"]:
    return (x >= 0) & (y >= 0) & (x <= width - 1) & (y <= height - 1)
