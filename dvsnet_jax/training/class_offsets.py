"""What to add to each class's scores, so that the mean IoU of labelled pictures is largest.

A loss that weighs rare classes more (`--class-weights`) learns to find nearly all there is of them, and takes much else
for them. Features need that, the choice among classes does not: a constant for each class sets it right afterwards
(logit adjustment; Menon et al., Long-tail learning via logit adjustment, 2021, section 4.2, which has it from the
classes' frequencies). Here it is looked for, as the mean IoU is what counts, and kept small: pictures that were trained
on show rare things as more certain than they are elsewhere.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, Integer, UInt8

from dvsnet_jax import networks
from dvsnet_jax.config import SegmentationConfig
from dvsnet_jax.datasets.samples import LabelledImage
from dvsnet_jax.errors import InputError
from dvsnet_jax.evaluation.clips.programs import MIXED, HeldPrograms
from dvsnet_jax.evaluation.segmentation import Counting, counting, whole_scores
from dvsnet_jax.metrics.segmentation import confusion_matrix, mean_iou
from dvsnet_jax.ops.resize import enlarge

_STEP = 0.1
"""Between the constants that are tried."""
_GAIN = 1e-5
"""Of the mean IoU, below which nothing is changed any more."""
_SWEEPS = 20
"""Over all classes, at most; five to ten are usual."""


class PixelScores(NamedTuple):
    """Some of the pixels of a data set: what the network says of them, and what they are."""

    scores: Float[np.ndarray, "pixels classes"]
    truth: Int[np.ndarray, "pixels"]
    """In the classes that are counted."""
    counted_as: Int[np.ndarray, "classes"]
    """For each of the network's classes that which it is counted as: itself, but for CamVid."""


def pixel_scores(
    params: networks.Params,
    source: Sequence[LabelledImage],
    config: SegmentationConfig,
    *,
    classes: Counting = "own",
    pictures: int = 400,
    pixels: int = 1000,
    seed: int = 0,
    on_picture: Callable[[int], None] = lambda done: None,
) -> PixelScores:
    """Scores of pixels drawn from pictures, none cut into regions; `params` are the segmentation network's alone.

    Args:
      classes: "camvid" counts Cityscapes' 19 classes as CamVid's 11.
      pictures: so many at most, evenly spread over the set.
      pixels: of each, at most, among those that have a label.

    Raises InputError where no pixel has a label, and where a score is no number; ValueError for a network of the user's
    own.
    """
    merged, _ = counting(config.num_classes, classes)
    rng, programs = np.random.default_rng(seed), HeldPrograms(MIXED)
    found, true = [], []
    for done, index in enumerate(np.unique(np.linspace(0, len(source) - 1, min(pictures, len(source))).astype(int))):
        image, labels = source[int(index)]
        programs.expect(image.shape)
        labelled = np.flatnonzero(labels < config.num_classes)
        drawn = rng.choice(labelled, min(pixels, len(labelled)), replace=False)
        places = np.zeros(pixels, np.int32)
        places[: len(drawn)] = drawn
        scores = np.asarray(_scores_at(params, image, places, config=config))[: len(drawn)]
        if not np.isfinite(scores).all():
            raise InputError(f"picture {index}: the network gives scores that are no numbers; check the weights")
        found.append(scores)
        true.append(merged(labels.reshape(-1)[drawn]).astype(np.int64))
        on_picture(done + 1)
    if not sum(map(len, true)):
        raise InputError(f"all {len(source)} pictures: every label is void, so there is nothing to go by")
    counted_as = merged(np.arange(config.num_classes, dtype=np.uint8)).astype(np.int64)
    return PixelScores(np.concatenate(found), np.concatenate(true), counted_as)


@partial(jax.jit, static_argnames="config")
def _scores_at(
    params: networks.Params,
    image: UInt8[Array, "h w 3"],
    places: Integer[Array, "pixels"],
    *,
    config: SegmentationConfig,
) -> Float[Array, "pixels classes"]:
    """Upsampled scores of an image's pixels, by their number in it, row by row; padded as whole pictures are."""
    scores, size = whole_scores(params, image[None], config)
    full = enlarge(scores.astype(jnp.float32), size, legacy=True)
    return full[0, places // image.shape[1], places % image.shape[1]]


def class_offsets(sets: Sequence[PixelScores], *, most: float = 1.0) -> tuple[float, ...]:
    """`DVSNetConfig.class_offsets`: constants within ±`most` at which the mean over the sets of their mean IoU is
    largest. A search finds them, which sets one class after the other to its best. A class that occurs in no set stays
    as it is.

    The mean IoU is over the classes that a set has. With more than ±1 the bundled network gained on the pictures it was
    trained on and lost in cities it never saw (docs/model_card.md).
    """
    candidates = np.round(np.arange(-most, most + _STEP / 2, _STEP), 6)
    offsets = np.zeros(sets[0].scores.shape[1])
    there = [np.isin(each.counted_as, each.truth) for each in sets]
    best = float(np.mean([offset_mean_iou(each, offsets) for each in sets]))
    for _ in range(_SWEEPS):
        before = best
        for label in range(len(offsets)):
            if not any(each[label] for each in there):
                continue
            curve = np.mean([_by_offset(each, offsets, label, candidates) for each in sets], axis=0)
            if curve.max() > best + _GAIN:
                best = float(curve.max())
                offsets[label] = candidates[curve.argmax()]
        if best <= before:
            break
    return tuple(map(float, offsets))


def _by_offset(
    pixels: PixelScores, offsets: Float[np.ndarray, "classes"], label: int, candidates: Float[np.ndarray, "n"]
) -> Float[np.ndarray, "n"]:
    """The mean IoU with each of the candidates as the class's constant: a pixel is the class's from that candidate on
    which makes up for its distance from the best other one, so one pass counts for all of them."""
    scores = pixels.scores + offsets.astype(np.float32)
    own = pixels.scores[:, label]
    scores[:, label] = -np.inf
    other = scores.argmax(1)
    needed = np.searchsorted(candidates, scores[np.arange(len(scores)), other] - own)
    count, kind = int(pixels.counted_as.max()) + 1, pixels.counted_as[label]
    cells = (needed * count + pixels.truth) * count + pixels.counted_as[other]
    by_need = np.bincount(cells, minlength=(len(candidates) + 1) * count**2).reshape(-1, count, count)
    taken = by_need.cumsum(0)[:-1]
    matrices = by_need.sum(0) - taken
    matrices[:, :, kind] += taken.sum(2)
    return np.array([mean_iou(matrix, absent="untrue") for matrix in matrices])


def offset_mean_iou(pixels: PixelScores, offsets: Sequence[float] | np.ndarray) -> float:
    """The mean IoU of the pixels, 0..1, over the classes that occur, with constants added to the scores."""
    labels = pixels.counted_as[(pixels.scores + np.asarray(offsets, np.float32)).argmax(1)]
    count = int(pixels.counted_as.max()) + 1
    return mean_iou(confusion_matrix(labels, pixels.truth, count), absent="untrue")
