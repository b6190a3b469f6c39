"""How good a segmentation network is on whole pictures: mIoU and accuracy over all of them together."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

import jax
import numpy as np

from dvsnet_jax import networks
from dvsnet_jax.config import SegmentationConfig
from dvsnet_jax.datasets.camvid import CLASSES, to_camvid
from dvsnet_jax.datasets.samples import LabelledImage
from dvsnet_jax.ops.upsample_argmax import upsample_argmax
from dvsnet_jax.segmentation_metrics import confusion_matrix, mean_iou, pixel_accuracy

if TYPE_CHECKING:
    from jaxtyping import Array, UInt8


@partial(jax.jit, static_argnames="config")
def label(params: Any, images: UInt8[Array, "n h w 3"], *, config: SegmentationConfig) -> UInt8[Array, "n h w"]:
    """Labels of whole pictures, not cut into regions; `params` are the segmentation network's alone."""
    scores, _ = networks.training_scores(params, images, config, update_moments=False)
    return upsample_argmax(scores, (images.shape[1], images.shape[2]))[0]


def measure(
    params: Any,
    source: Sequence[LabelledImage],
    config: SegmentationConfig,
    *,
    classes: Literal["own", "camvid"] = "own",
) -> dict[str, float]:
    """`mean_iou` over the classes that occur, and `accuracy`, 0..1. `camvid` counts 19 classes as CamVid's 11.

    Pictures of several sizes are compiled for one by one.
    """
    count = len(CLASSES) if classes == "camvid" and config.num_classes == 19 else config.num_classes
    merged = to_camvid if count != config.num_classes else np.asarray
    matrix = np.zeros((count, count), np.int64)
    for index in range(len(source)):
        image, truth = source[index]
        predicted = np.asarray(label(params, image[None], config=config))[0]
        matrix += np.asarray(confusion_matrix(merged(predicted), merged(truth), count))
    return {"mean_iou": mean_iou(matrix), "accuracy": pixel_accuracy(matrix)}
