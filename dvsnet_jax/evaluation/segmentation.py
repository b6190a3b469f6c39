"""How well every picture is segmented, whole and in the regions that DVSNet cuts it into: confusion matrices."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, Literal

import jax
import numpy as np
from jaxtyping import Array, Float, Int, UInt8

from dvsnet_jax import networks
from dvsnet_jax.config import DVSNetConfig, SegmentationConfig
from dvsnet_jax.datasets.camvid import CLASSES, one_of_each, to_camvid
from dvsnet_jax.datasets.samples import LabelledImage
from dvsnet_jax.errors import InputError
from dvsnet_jax.evaluation.clips.programs import MIXED, HeldPrograms
from dvsnet_jax.media.motion.field import for_step
from dvsnet_jax.metrics.segmentation import confusion_matrix, left_void, summary
from dvsnet_jax.ops.regions import MULTIPLE, continued, split
from dvsnet_jax.ops.upsample_argmax import favoured, upsample_argmax
from dvsnet_jax.video import init_state, region_grid, segment_frame

Counting = Literal["own", "camvid"]
"""The network's own classes, or Cityscapes' 19 as CamVid's 11."""


@partial(jax.jit, static_argnames=("config", "offsets"))
def label(
    params: Any, images: UInt8[Array, "n h w 3"], *, config: SegmentationConfig, offsets: tuple[float, ...] = ()
) -> UInt8[Array, "n h w"]:
    """Labels of whole pictures, not cut into regions; `params` are the segmentation network's alone, `offsets` are
    `DVSNetConfig.class_offsets`.

    They are padded at the bottom and right as frames of one region are: of other sizes a network whose strides halve
    them has its grids askew, and the bundled one 1.3 points less on pictures of 360 rows.
    """
    scores, size = whole_scores(params, images, config)
    return upsample_argmax(favoured(scores, offsets), size)[0][:, : images.shape[1], : images.shape[2]]


def whole_scores(
    params: Any, images: UInt8[Array, "n h w 3"], config: SegmentationConfig
) -> tuple[Float[Array, "n h2 w2 classes"], tuple[int, int]]:
    """What the network says of whole pictures, and height and width of these as it saw them, padded as `label` says."""
    height, width = images.shape[1:3]
    padded = continued(images, height + -height % MULTIPLE, width + -width % MULTIPLE)
    scores, _ = networks.training_scores(params, padded, config, update_moments=False)
    return scores, (padded.shape[1], padded.shape[2])


def whole(
    params: Any,
    source: Sequence[LabelledImage],
    config: SegmentationConfig,
    *,
    offsets: tuple[float, ...] = (),
    classes: Counting = "own",
    void: Int[np.ndarray, "classes"] | None = None,
    on_picture: Callable[[int], None] = lambda done: None,
) -> Int[np.ndarray, "classes classes"]:
    """The confusion matrix over all pictures, none cut into regions; `params` and `offsets` are as `label`'s. To `void`
    are added, by true class, the pixels that the network leaves void, which are not in the matrix.

    Pictures of several sizes are compiled for one by one. Raises InputError where every label is void, and where the
    network leaves all void.
    """

    def labels(image: UInt8[np.ndarray, "h w 3"]) -> Array:
        return label(params, image[None], config=config, offsets=offsets)[0]

    return _confusion(labels, source, config.num_classes, classes, void, on_picture)


def in_regions(
    params: networks.Params,
    source: Sequence[LabelledImage],
    config: DVSNetConfig,
    *,
    classes: Counting = "own",
    void: Int[np.ndarray, "classes"] | None = None,
    on_picture: Callable[[int], None] = lambda done: None,
) -> Int[np.ndarray, "classes classes"]:
    """The same of pictures cut as the configuration says, which is what `segment_frame` does with a stream's first.

    Raises InputError, besides, for pictures too small for the regions.
    """

    def labels(image: UInt8[np.ndarray, "h w 3"]) -> Array:
        try:
            state = init_state(params, image[None], config=config)
        except ValueError as error:
            raise InputError(f"a picture of {image.shape[1]} × {image.shape[0]}: {error}") from error
        motion = for_step(None, *image.shape[:2]) if config.takes_motion else None  # a first frame's is not looked at
        return segment_frame(params, state, image[None], motion=motion, config=config)[1].labels[0]

    return _confusion(labels, source, config.num_classes, classes, void, on_picture)


@partial(jax.jit, static_argnames="config")
def _regions_labels(
    params: networks.Params, image: UInt8[Array, "h w 3"], *, config: DVSNetConfig
) -> UInt8[Array, "regions rh rw"]:
    """Labels of a picture's regions, each by itself."""
    grid = region_grid(config, *image.shape[:2])
    scores = networks.segmentation_scores(params, split(image[None], grid), config)
    return upsample_argmax(scores, (grid.region_height, grid.region_width))[0]


def disagreement(params: networks.Params, source: Sequence[LabelledImage], config: DVSNetConfig) -> float:
    """Share of the pixels that two neighbouring regions both have which they label differently, over all pictures and
    all pairs of neighbours side by side or one above the other. NaN where nothing is shared: one region, or no overlap.

    What a region does not see beyond its border is what makes them differ. Raises InputError for pictures too small for
    the regions.
    """
    differ, pixels = 0, 0
    for index in range(len(source)):
        image = source[index].image
        try:
            grid = region_grid(config, *image.shape[:2])
        except ValueError as error:
            raise InputError(f"a picture of {image.shape[1]} × {image.shape[0]}: {error}") from error
        if not grid.overlap or grid.num_regions == 1:
            return float("nan")
        labels = np.asarray(_regions_labels(params, image, config=config))
        labels = labels.reshape(grid.rows, grid.columns, grid.region_height, grid.region_width)
        shared = 2 * grid.overlap
        down, up = labels[:-1, :, -shared:], labels[1:, :, :shared]
        left, right = labels[:, :-1, ..., -shared:], labels[:, 1:, ..., :shared]
        differ += int((down != up).sum() + (left != right).sum())
        pixels += down.size + left.size
    return differ / pixels


def measure_each(
    params: Any, sources: Mapping[str, Sequence[LabelledImage]], config: SegmentationConfig
) -> dict[str, float]:
    """mIoU and accuracy over whole pictures, of each set by itself, and their means as `mean_iou` and `accuracy`.

    `sources` are by their names on a command line; a CamVid is measured in its own 11 classes. Means over sets keep a
    large set from outvoting a small one. Of a single set only its own two numbers come.
    """
    found = {
        name: summary(whole(params, source, config, classes="camvid" if name.startswith("camvid:") else "own"))
        for name, source in sources.items()
    }
    means = {metric: float(np.mean([each[metric] for each in found.values()])) for metric in ("mean_iou", "accuracy")}
    if len(found) == 1:
        return means
    return means | {f"{metric} of {name}": value for name, each in found.items() for metric, value in each.items()}


def counting(num_classes: int, classes: Counting) -> tuple[Callable[[np.ndarray], np.ndarray], int]:
    """What labels and truth go through before they are counted, and how many classes there are then."""
    return (to_camvid, len(CLASSES)) if _merging(num_classes, classes) else (np.asarray, num_classes)


def as_counted(labels: UInt8[np.ndarray, "*shape"], num_classes: int, classes: Counting) -> UInt8[np.ndarray, "*shape"]:
    """Labels to look at: those that are counted as one are one, in numbers of the network's own classes, so that they
    keep their colours."""
    return one_of_each(labels) if _merging(num_classes, classes) else labels


def _merging(num_classes: int, classes: Counting) -> bool:
    return classes == "camvid" and num_classes == 19


def _confusion(
    labels: Callable[[np.ndarray], Array],
    source: Sequence[LabelledImage],
    num_classes: int,
    classes: Counting,
    void: Int[np.ndarray, "classes"] | None,
    on_picture: Callable[[int], None],
) -> Int[np.ndarray, "classes classes"]:
    merged, count = counting(num_classes, classes)
    matrix = np.zeros((count, count), np.int64)
    void = np.zeros(count, np.int64) if void is None else void
    programs = HeldPrograms(MIXED)
    for index in range(len(source)):
        image, truth = source[index]
        programs.expect(image.shape)
        found, true = merged(np.asarray(labels(image))), merged(truth)
        matrix += np.asarray(confusion_matrix(found, true, count))
        void += left_void(found, true, count)
        on_picture(index + 1)
    if not matrix.sum():
        why = "the network leaves every labelled pixel void; check the weights" if void.any() else "every label is void"
        raise InputError(f"all {len(source)} pictures: {why}, so there is nothing to measure")
    return matrix
