"""Stage 1 from start to end, on labelled pictures; what `dvsnet train segmentation` runs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import jax

from dvsnet_jax.config import SegmentationConfig
from dvsnet_jax.datasets.augment.labelled import LabelledAugmentation, augment_labelled
from dvsnet_jax.datasets.batches import Batches
from dvsnet_jax.datasets.samples import LabelledImage
from dvsnet_jax.evaluation.segmentation import measure_each
from dvsnet_jax.training import loop
from dvsnet_jax.training.parallel import local_batch
from dvsnet_jax.training.run_folder import fingerprint
from dvsnet_jax.training.segmentation import SegmentationTraining, start, train_step


def train_segmentation(
    params: Any,
    config: SegmentationConfig,
    source: Sequence[LabelledImage],
    folder: str | Path,
    training: SegmentationTraining,
    schedule: loop.Schedule,
    *,
    held_out: Mapping[str, Sequence[LabelledImage]],
    crops: LabelledAugmentation,
    described: Mapping[str, Any],
    on_step: Callable[[int, loop.Metrics], None] = lambda done, metrics: None,
    on_validation: Callable[[loop.Metrics], None] = lambda metrics: None,
) -> Any:
    """The segmentation network's parameters, trained from `params`: the best on `held_out` (named as on a command line;
    by the mean of their mIoU, `measure_each`), or the mean of the last ones where there is none.

    `described` says what the data are, for the run's settings: JSON values. Raises InputError as `loop.run` does.
    """
    data = Batches(
        source, batch_size=local_batch(training.batch_size), seed=training.seed,
        augment=partial(augment_labelled, limits=crops),
        process=jax.process_index(), processes=jax.process_count(),
    )  # fmt: skip
    settings = {
        "kind": "training of the segmentation network", "training": vars(training), **described,
        "samples": len(source), "crop": crops.crop, "scale": crops.scale, "crop tries": crops.tries,
        "sharpness": crops.sharpness,
        "network": repr(config), "began from (CRC-32)": fingerprint(params),
    }  # fmt: skip
    validation = None
    if held_out:
        validation = loop.Validation(measure=lambda state: measure_each(state.average, held_out, config), by="mean_iou")
    state = loop.run(
        folder,
        settings,
        lambda: start(params, config, training),
        lambda state, batch: train_step(state, *batch, config=config, training=training),
        data,
        schedule,
        params_of=lambda state: state.average,
        validation=validation,
        on_step=on_step,
        on_validation=on_validation,
    )
    return loop.best(folder, params)[0] if validation else jax.device_get(state.average)
