"""DVSNet around any segmentation network, without a label: flow fine-tune, scale head and decision network.

What the decision network predicts is agreement with the segmentation network's *own* output, and the joint fine-tune
can be supervised by that output too. So unlabelled video is enough, whatever the network is: one of ours, or a function
of the user's (`SegmentationFunction`).

    params = accelerate(params, config, clips, held_out, "run")      # then segment with params and config
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np

from dvsnet_jax import networks
from dvsnet_jax.config import DVSNetConfig
from dvsnet_jax.datasets.augment.labelled import LabelledAugmentation
from dvsnet_jax.datasets.clips import Clip, current_frames, key_frames, unreadable
from dvsnet_jax.datasets.pair_lists import FramePair
from dvsnet_jax.errors import InputError
from dvsnet_jax.training.decision.example_files import make_set
from dvsnet_jax.training.decision.example_set import read_set
from dvsnet_jax.training.decision.loop import train as train_decision
from dvsnet_jax.training.decision.network import DecisionTraining
from dvsnet_jax.training.decision.report import Row, report
from dvsnet_jax.training.flow.joint import JointTraining
from dvsnet_jax.training.flow.joint_run import CROPS, fine_tune
from dvsnet_jax.training.loop import Metrics, Schedule
from dvsnet_jax.training.parallel import by_first, check_shared, together


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


class Accelerated(NamedTuple):
    """What came out."""

    params: networks.Params
    """Segmentation as it was, flow and decision trained."""
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
    described: object = None,
    on_stage: Callable[[str], None] = lambda stage: None,
    on_step: Callable[[int, Metrics], None] = lambda done, metrics: None,
    on_pairs: Callable[[int], None] = lambda done: None,
    on_epoch: Callable[[Metrics], None] = lambda record: None,
) -> Accelerated:
    """Trains all that DVSNet adds to a segmentation network, in `folder`; started again, it goes on where it stopped.

    `clips` are frames of one video each, in order; labels in them are not looked at. `held_out` are others, which the
    decision network is validated on. Of several processes the first one makes the data of the decision network, in a
    folder that all of them must share. Raises InputError where they do not, and as the stages do.
    """
    folder = Path(folder)
    check_shared(folder)
    on_stage("flow")
    flow = fine_tune(
        params, config, clips, folder / "flow", options.joint, schedule or Schedule(steps=options.joint.steps),
        crops=options.crops, described=described, on_step=on_step,
    )  # fmt: skip
    return learn_decision(
        {**params, "flow": flow}, config, clips, held_out, folder, options,
        on_stage=on_stage, on_pairs=on_pairs, on_epoch=on_epoch,
    )  # fmt: skip


def learn_decision(
    params: networks.Params,
    config: DVSNetConfig,
    clips: Sequence[Clip],
    held_out: Sequence[Clip],
    folder: str | Path,
    options: Acceleration,
    *,
    on_stage: Callable[[str], None] = lambda stage: None,
    on_pairs: Callable[[int], None] = lambda done: None,
    on_epoch: Callable[[Metrics], None] = lambda record: None,
) -> Accelerated:
    """The second half of `accelerate`: a fresh decision network for segmentation and flow as they are."""
    folder = Path(folder)
    on_stage("decision data")
    for name, source, count in (("train", clips, options.pairs), ("val", held_out, max(1, options.pairs // 4))):
        pairs, read = clip_pairs(source, count, options.distances, seed=options.decision.seed)
        place = folder / "decision-data" / name
        by_first(partial(make_set, params, pairs, place, config=config, read=read, on_progress=on_pairs))
    on_stage("decision")
    data, validation = together(lambda: [read_set(folder / "decision-data" / name) for name in ("train", "val")])
    decision = train_decision(
        data, validation, folder / "decision", options.decision, config=config.decision, on_epoch=on_epoch
    )
    rows = by_first(lambda: report(decision, data, validation, folder / "decision", config=config.decision))
    return Accelerated({**params, "decision": decision}, rows or [])


def clip_pairs(
    clips: Sequence[Clip], count: int, distances: tuple[int, int], *, seed: int
) -> tuple[list[FramePair], Callable[[FramePair], tuple[np.ndarray, np.ndarray]]]:
    """`count` pairs of frames drawn from clips, and what reads them. Their paths are the clip's and frames' numbers.

    Frames that cannot be read are not drawn. Raises InputError where that leaves none.
    """
    rng = np.random.default_rng(seed)
    usable = [[*current_frames(clip, distances)] for clip in clips]
    usable = [frames if frames[:1] != [0] or len(frames) == 1 else frames[1:] for frames in usable]
    lengths = np.array([len(clip) if frames else 0 for clip, frames in zip(clips, usable, strict=True)])
    if not lengths.any():
        raise InputError(f"none of {len(clips)} clips has two frames to make a pair of; name others")
    pairs = []
    for number in rng.choice(len(clips), size=count, p=lengths / lengths.sum()):
        clip, lost = clips[number], unreadable(clips[number])
        current = int(rng.integers(min(1, lengths[number] - 1), lengths[number]))
        if lost and current not in usable[number]:
            current = int(rng.choice(usable[number]))
        key = max(0, current - int(rng.integers(distances[0], distances[1] + 1)))
        if key in lost:
            key = int(rng.choice(key_frames(clip, current, distances)))
        pairs.append(FramePair(Path(f"{number}/{key}"), Path(f"{number}/{current}"), Path()))

    def frame(path: Path) -> np.ndarray:
        return clips[int(path.parent.name)][int(path.name)].image

    return pairs, lambda pair: (frame(pair.key), frame(pair.current))
