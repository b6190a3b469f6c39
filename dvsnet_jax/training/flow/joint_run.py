"""The joint fine-tune from start to end, on clips; what `dvsnet train flow-joint` and `dvsnet accelerate` run."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Literal

import jax

from dvsnet_jax import networks
from dvsnet_jax.config import DVSNetConfig
from dvsnet_jax.datasets.augment.key_pairs import draw_carried_pair, draw_key_pair
from dvsnet_jax.datasets.augment.labelled import LabelledAugmentation
from dvsnet_jax.datasets.batches import Batches
from dvsnet_jax.datasets.clips import Clip, Places, may_have_labels
from dvsnet_jax.datasets.samples import VOID
from dvsnet_jax.errors import InputError
from dvsnet_jax.own_segmentation import wanted_images
from dvsnet_jax.training import loop
from dvsnet_jax.training.flow import joint
from dvsnet_jax.training.flow.validation import agreement_at_gaps, check_pairs, check_regions
from dvsnet_jax.training.parallel import local_batch, replicate
from dvsnet_jax.training.run_folder import fingerprint, said
from dvsnet_jax.training.state import TrainState

CROPS = LabelledAugmentation(crop=(288, 368), scale=(0.6, 1.4))


def fine_tune(
    params: networks.Params,
    config: DVSNetConfig,
    clips: Sequence[Clip],
    folder: str | Path,
    training: joint.JointTraining,
    schedule: loop.Schedule,
    *,
    held_out: Sequence[Clip] | None = None,
    crops: LabelledAugmentation = CROPS,
    distances: tuple[int, int] = (0, 9),
    motion: Literal["dis", "encoder"] = "dis",
    described: Mapping[str, Any] | None = None,
    on_step: Callable[[int, loop.Metrics], None] = lambda done, metrics: None,
    on_validation: Callable[[loop.Metrics], None] = lambda metrics: None,
) -> networks.Params:
    """The flow network's parameters, fine-tuned: the best on `held_out`, or the last where there is none.

    Args:
      params: of all of DVSNet; segmentation stands, the decision network is not used.
      clips: frames of one video each, in order. Crops have sides that are multiples of 16.
      distances: least and greatest number of frames that the key frame is behind.
      motion: what finds it between them, where `config.flow` is `CarriedMotionConfig`.
      described: what the clips are, those held out too, for the run's settings: JSON values.

    Raises InputError for crops of other sides, where labels are to supervise and there are none, where held-out frames
    cannot be cut into the configuration's regions or are alone in their clips, and as `loop.run` does.
    """
    height, width = crops.crop
    if height % 16 or width % 16:
        near = [max(16, round(side / 16) * 16) for side in (height, width)]
        raise InputError(
            f"--crop is {height} {width}, but sides of a crop are multiples of 16; take {near[0]} {near[1]}"
        )
    if training.supervision == "labels" and not _has_labels(clips):
        raise InputError(
            f"none of the {sum(map(len, clips))} frames has a label, and labels are to supervise; name clips that have "
            "some, or --supervision own, which needs none"
        )
    if held_out:
        check_pairs(held_out)
        check_regions(held_out, config)
    source = Places(clips, distances)
    draw: Any = draw_key_pair
    if config.carries_motion:
        draw = partial(draw_carried_pair, motion=motion)
    data = Batches(
        source, batch_size=local_batch(training.batch_size), seed=training.seed,
        augment=partial(draw, limits=crops, distances=distances),
        process=jax.process_index(), processes=jax.process_count(),
    )  # fmt: skip
    settings = {
        "kind": "joint fine-tune of the flow network", "training": dataclasses.asdict(training),
        **(described or {}), "frames": len(source), "crops": dataclasses.asdict(crops), "distances": distances,
        "segmentation": said(config.segmentation), "flow": said(config.flow),
        "began from (CRC-32)": fingerprint([params["segmentation"], params["flow"]]),
        **({"motion": motion} if config.carries_motion else {}),
        **({"classes became": merged} if (merged := networks.merged_classes(config.segmentation)) else {}),
        **({"images": dataclasses.asdict(wants)} if (wants := wanted_images(config.segmentation)) else {}),
    }  # fmt: skip
    segmentation = replicate(params["segmentation"])
    begin = jax.device_get(params["flow"])  # a state is donated: the caller's arrays are not to go with it

    def measure(state: TrainState) -> loop.Metrics:
        table = agreement_at_gaps({**params, "flow": state.params}, held_out or [], config)
        gaps = {f"{kind}_{gap}": row[kind] for gap, row in table.items() for kind in ("warped", "copied")}
        return {"warped": sum(row["warped"] for row in table.values()) / len(table), **gaps}

    state = loop.run(
        folder,
        settings,
        lambda: joint.start(begin, training),
        lambda state, batch: joint.train_step(state, segmentation, *batch, config=config, training=training),
        data,
        schedule,
        params_of=lambda state: state.params,
        validation=loop.Validation(measure=measure, by="warped") if held_out else None,
        on_step=on_step,
        on_validation=on_validation,
    )
    return loop.best(folder, params["flow"])[0] if held_out else jax.device_get(state.params)


def _has_labels(clips: Sequence[Clip]) -> bool:
    """Read up to the first one."""
    frames = (clip[index] for clip in clips if may_have_labels(clip) for index in range(len(clip)))
    return any((frame.labels != VOID).any() for frame in frames)
