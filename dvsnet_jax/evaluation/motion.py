"""How well segmentations are carried along the motion that each source finds: agreement with segmenting the frame."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, UInt8

from dvsnet_jax import networks, preprocessing
from dvsnet_jax.config import DVSNetConfig
from dvsnet_jax.errors import InputError
from dvsnet_jax.frame_motion import CarriedFlow, FrameMotion
from dvsnet_jax.markdown import Table
from dvsnet_jax.media.images import resize_image
from dvsnet_jax.media.motion.attached import Kind, with_motion
from dvsnet_jax.media.motion.field import Motion, for_step
from dvsnet_jax.media.sources import Frame, Source
from dvsnet_jax.ops.carried_motion import carry_alone, carry_cells, still
from dvsnet_jax.ops.motion_search import search_motion
from dvsnet_jax.ops.regions import RegionGrid, split
from dvsnet_jax.ops.upsample_argmax import upsample_argmax
from dvsnet_jax.ops.warp import warp_scores

GAPS = (1, 3, 6, 9)
_Flows = Iterator[tuple[Array, Array | None]]
"""Flow to the key frame and scale field, if there is one, of one frame after another."""


@dataclass(frozen=True)
class Carried:
    """What one way of finding motion gave."""

    way: str
    agreement: Mapping[int, float]
    """By frames since the key frame: percent of pixels whose carried label is that of segmenting the frame."""
    host: float | None = None
    """Milliseconds of CPU time a frame that finding motion takes on the host, with decoding where that finds it."""
    unknown: int = 0
    """Frames after the first whose motion is not known. They are segmented in use; here they count as still."""


class Segmented:
    """Frames of one video, each segmented whole, in one region."""

    def __init__(self, params: networks.Params, config: DVSNetConfig, images: Sequence[UInt8[np.ndarray, "h w 3"]]):
        config = config.replace(regions=(1, 1), overlap=0)
        self._height, self._width = images[0].shape[:2]
        self._grid = RegionGrid.fit(self._height, self._width, (1, 1), 0)
        found = [_segmented(params, jnp.asarray(image[None]), config, self._grid) for image in images]
        self._small, self._scores, self._labels = zip(*found, strict=True)

    def __len__(self) -> int:
        return len(self._labels)

    def along(
        self, way: str, motions: Sequence[Motion | None], *, gaps: Sequence[int] = GAPS, every: int = 1
    ) -> Carried:
        """Each `every`-th frame's segmentation carried along motion from frame to frame, chained as in the step."""
        nothing = np.zeros_like(for_step(None, self._height, self._width).flow)
        steps = [
            FrameMotion(nothing, nothing[..., 0]) if motion is None else for_step(motion, self._height, self._width)
            for motion in motions
        ]

        def carry(carried: CarriedFlow, step: FrameMotion) -> CarriedFlow:
            return carry_alone(carried, step, self._grid, (self._height, self._width))

        unknown = sum(motion is None for motion in motions[1:])
        return Carried(way, self._agreement(self._chained(steps[1:], carry), gaps, every), unknown=unknown)

    def copied(self, *, gaps: Sequence[int] = GAPS, every: int = 1) -> Carried:
        """Each key frame's labels as they are."""
        return Carried("copied", self.along("", [None] * len(self), gaps=gaps, every=every).agreement)

    def searched(self, *, gaps: Sequence[int] = GAPS, every: int = 1) -> Carried:
        """Motion that is searched for inside the step (`ops.motion_search`), which `--motion network` takes."""
        pairs = zip(self._small[1:], self._small[:-1], strict=True)
        steps = [FrameMotion(*_search(current, previous)) for current, previous in pairs]
        unknown = sum(bool(jnp.isnan(step.flow).all()) for step in steps)

        def carry(carried: CarriedFlow, step: FrameMotion) -> CarriedFlow:
            return _carry(carried, jnp.nan_to_num(step.flow), step.trust)

        return Carried("network", self._agreement(self._chained(steps, carry), gaps, every), unknown=unknown)

    def by_flow_network(
        self, params: networks.Params, config: DVSNetConfig, *, gaps: Sequence[int] = GAPS, every: int = 1
    ) -> Carried:
        """The flow network of these weights, from key to current frame, with its scale field."""

        def flows(key: int) -> _Flows:
            for current in range(key + 1, len(self)):
                yield _flow(params, self._small[current], self._small[key], config)

        return Carried("paper", self._agreement(flows, gaps, every))

    def _chained(
        self, steps: Sequence[FrameMotion], carry: Callable[[CarriedFlow, FrameMotion], CarriedFlow]
    ) -> Callable[[int], _Flows]:
        """Flow to a key frame along `steps`, the motion of every frame but the first."""

        def flows(key: int) -> _Flows:
            carried = still(1, self._grid)
            for step in steps[key:]:
                carried = carry(carried, step)
                yield carried.flow, None

        return flows

    def _agreement(self, flows: Callable[[int], _Flows], gaps: Sequence[int], every: int) -> dict[int, float]:
        same: dict[int, list[float]] = {gap: [] for gap in gaps}
        for key in range(0, len(self) - max(gaps), every):
            for gap, (flow, scale) in zip(range(1, max(gaps) + 1), flows(key), strict=False):
                if gap in same:
                    share = _same(self._scores[key], flow, scale, self._labels[key + gap], self._grid)
                    same[gap].append(float(share))
        return {gap: 100 * float(np.mean(shares)) for gap, shares in same.items()}


def read_images(
    source: Source, most: int, names: Sequence[str] = (), *, scale: float = 1.0
) -> list[UInt8[np.ndarray, "h w 3"]]:
    """The first frames of a source, those whose names begin so, resized. InputError for one that is unreadable."""
    images = []
    with closing(with_motion(source, None)) as frames:  # type: ignore[type-var]
        for frame, _ in taken(frames, most, names):
            if frame.image is None:
                raise InputError(str(frame.error)) from frame.error
            height, width = (round(side * scale) for side in frame.image.shape[:2])
            images.append(frame.image if scale == 1 else resize_image(frame.image, (height, width)))
    return images


def found_motion(source: Source, kind: Kind, most: int, names: Sequence[str] = ()) -> tuple[list[Motion | None], float]:
    """Motion of the first frames of a source, those whose names begin so, and milliseconds of CPU time a frame."""
    started = time.process_time()
    with closing(with_motion(source, kind)) as frames:  # type: ignore[type-var]
        motions = [motion for _, motion in taken(frames, most, names)]
    return motions, 1e3 * (time.process_time() - started) / len(motions)


def taken(
    frames: Iterable[tuple[Frame, Motion | None]], most: int, names: Sequence[str]
) -> Iterator[tuple[Frame, Motion | None]]:
    """Of pairs of frame and motion those whose frames' names begin so, at most so many."""
    count = 0
    for frame, motion in frames:
        if count == most:
            return
        if frame.name.startswith(tuple(names) or ""):
            count += 1
            yield frame, motion


def table(rows: Sequence[Carried], auto: str) -> Table:
    """A row for each way; the one that `auto` takes is marked."""
    gaps = list(rows[0].agreement)
    cells = [
        (f"{row.way} (auto)" if row.way == auto else row.way, *(f"{row.agreement[gap]:.1f}" for gap in gaps),
         "–" if row.host is None else f"{row.host:.1f}", str(row.unknown))
        for row in rows
    ]  # fmt: skip
    titles = (f"{gap} frame{'s' if gap > 1 else ''}" for gap in gaps)
    return Table(("motion", *titles, "host, ms a frame", "not known"), tuple(cells))


_search, _carry = jax.jit(search_motion), jax.jit(carry_cells)


@partial(jax.jit, static_argnames="grid")
def _segmented(params: networks.Params, frames: Array, config: DVSNetConfig, grid: RegionGrid) -> tuple[Array, ...]:
    images = split(frames, grid)
    scores = networks.segmentation_scores(params, images, config)
    return preprocessing.half(images), scores, upsample_argmax(scores, (grid.region_height, grid.region_width))[0]


@jax.jit
def _flow(params: networks.Params, current: Array, key: Array, config: DVSNetConfig) -> tuple[Array, Array]:
    out = networks.flow_and_feature(params, current, key, config)
    return out.flow, out.scale


@partial(jax.jit, static_argnames="grid")
def _same(scores: Array, flow: Array, scale: Array | None, labels: Array, grid: RegionGrid) -> Array:
    """Share of the frame's pixels, without what pads it."""
    scale = jnp.ones((*flow.shape[:-1], 1)) if scale is None else scale
    carried, _ = upsample_argmax(warp_scores(scores, flow, scale), (grid.region_height, grid.region_width))
    return (carried == labels)[:, : grid.height, : grid.width].mean()
