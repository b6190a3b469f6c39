"""DVSNet around any segmentation network, without a label: flow fine-tune, scale head and decision network.

What the decision network predicts is agreement with the segmentation network's *own* output, and the joint fine-tune
can be supervised by that output too. So unlabelled video is enough, whatever the network is: one of ours, or a function
of the user's (`SegmentationFunction`).

    params = accelerate(params, config, clips, held_out, "run")      # then segment with params and config
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Literal, NamedTuple

import jax

from dvsnet_jax import networks
from dvsnet_jax.config import DVSNetConfig
from dvsnet_jax.datasets.augment.labelled import LabelledAugmentation
from dvsnet_jax.datasets.clips import Clip
from dvsnet_jax.training.decision.clip_pairs import clip_pairs
from dvsnet_jax.training.decision.example_files import make_set
from dvsnet_jax.training.decision.example_set import read_set
from dvsnet_jax.training.decision.loop import train as train_decision
from dvsnet_jax.training.decision.network import DecisionTraining
from dvsnet_jax.training.decision.report import Row, report
from dvsnet_jax.training.flow.joint import JointTraining
from dvsnet_jax.training.flow.joint_run import CROPS, fine_tune
from dvsnet_jax.training.flow.validation import check_regions
from dvsnet_jax.training.loop import Metrics, Schedule
from dvsnet_jax.training.parallel import by_first, check_shared, together

_LOOKED_AT = 16
"""Clips whose frames are tried for their size beforehand."""


@dataclass(frozen=True, kw_only=True)
class Acceleration:
    """How much of everything."""

    joint: JointTraining = field(default_factory=lambda: JointTraining(supervision="own", steps=2000))
    decision: DecisionTraining = field(default_factory=DecisionTraining)
    pairs: int = 2000
    """Pairs of frames that the decision network learns from; a quarter as many to validate."""
    distances: tuple[int, int] = (1, 12)
    """Frames between them."""
    crops: LabelledAugmentation = CROPS
    motion: Literal["dis", "encoder"] = "dis"
    """What finds the motion from frame to frame, where `config.flow` is `CarriedMotionConfig`."""


class Accelerated(NamedTuple):
    """What came out."""

    params: networks.Params
    """Segmentation as it was, decision trained, and flow where there is a flow network."""
    rows: list[Row]
    """The decision network beside the mean and a line on flow magnitude, on held-out pairs; of several processes the
    first one has them."""


def accelerate(
    params: networks.Params,
    config: DVSNetConfig,
    clips: Sequence[Clip],
    held_out: Sequence[Clip],
    folder: str | Path,
    options: Acceleration,
    *,
    schedule: Schedule | None = None,
    described: Mapping[str, Any] | None = None,
    on_stage: Callable[[str], None] = lambda stage: None,
    on_step: Callable[[int, Metrics], None] = lambda done, metrics: None,
    on_pairs: Callable[[int], None] = lambda done: None,
    on_epoch: Callable[[Metrics], None] = lambda record: None,
) -> Accelerated:
    """Trains all that DVSNet adds to a segmentation network, in `folder`; started again, it goes on where it stopped.

    `clips` are frames of one video each, in order; labels in them are not looked at. `held_out` are others, which the
    decision network is validated on. Where `config.flow` is `CarriedMotionConfig` there is no flow network to train,
    only its scale field, if it has one. With `options.joint.steps` of 0 both stay as they are. Of several processes the
    first one makes the data of the decision network, in a folder that all of them must share. Raises InputError where
    they do not, and as the stages do. `described` says what both are, for the runs' settings: JSON values.
    """
    folder = Path(folder)
    check_shared(folder)
    for called, source in (
        ("clip", clips),
        ("held-out clip", held_out),
    ):  # some, as each is read: before hours of training
        check_regions(source[:: -(-len(source) // _LOOKED_AT) or 1], config, called=called)
    carries = config.carries_motion
    if options.joint.steps and not jax.tree.leaves(params.get("flow")):
        on_stage("nothing to fine-tune, as these weights have neither flow network nor scale field")
    elif options.joint.steps:
        on_stage("scale field" if carries else "flow")
        flow = fine_tune(
            params, config, clips, folder / "flow", options.joint, schedule or Schedule(steps=options.joint.steps),
            crops=options.crops, distances=options.distances if carries else (0, 9), motion=options.motion,
            described=described, on_step=on_step,
        )  # fmt: skip
        params = {**params, "flow": flow}
    return learn_decision(
        params, config, clips, held_out, folder, options,
        described=described, on_stage=on_stage, on_pairs=on_pairs, on_epoch=on_epoch,
    )  # fmt: skip


def learn_decision(
    params: networks.Params,
    config: DVSNetConfig,
    clips: Sequence[Clip],
    held_out: Sequence[Clip],
    folder: str | Path,
    options: Acceleration,
    *,
    described: Mapping[str, Any] | None = None,
    on_stage: Callable[[str], None] = lambda stage: None,
    on_pairs: Callable[[int], None] = lambda done: None,
    on_epoch: Callable[[Metrics], None] = lambda record: None,
) -> Accelerated:
    """The second half of `accelerate`: a fresh decision network for segmentation and flow as they are."""
    folder = Path(folder)
    on_stage("decision data")
    motion = options.motion if config.carries_motion else None
    for name, source, count in (("train", clips, options.pairs), ("val", held_out, max(1, options.pairs // 4))):
        pairs, read = clip_pairs(source, count, options.distances, seed=options.decision.seed, motion=motion)
        place = folder / "decision-data" / name
        make = partial(make_set, params, pairs, place, config=config, read=read, motion=motion, described=described)
        by_first(partial(make, on_progress=on_pairs))
    on_stage("decision")
    data, validation = together(lambda: [read_set(folder / "decision-data" / name) for name in ("train", "val")])
    decision = train_decision(
        data, validation, folder / "decision", options.decision, config=config.decision, on_epoch=on_epoch
    )
    rows = by_first(lambda: report(decision, data, validation, folder / "decision", config=config.decision))
    return Accelerated({**params, "decision": decision}, rows or [])
