"""An evaluation: clips in streams, counted one by one, logged, and gone on with where it was interrupted."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import jax

from dvsnet_jax import networks
from dvsnet_jax.config import DVSNetConfig
from dvsnet_jax.datasets.samples import paths_of
from dvsnet_jax.errors import InputError
from dvsnet_jax.evaluation.clips.kept_labels import LabelKeeper, kept
from dvsnet_jax.evaluation.clips.label_counts import DenseFlow, published_of
from dvsnet_jax.evaluation.clips.log import ClipLog
from dvsnet_jax.evaluation.clips.programs import SORTED, HeldPrograms
from dvsnet_jax.evaluation.clips.scores import ClipRecord, ClipScores
from dvsnet_jax.evaluation.clips.sources import NamedClip
from dvsnet_jax.evaluation.policies.measurement import FindFlow
from dvsnet_jax.evaluation.segmentation import Counting
from dvsnet_jax.inference.processes import gather, own_part
from dvsnet_jax.inference.source_identity import state_of
from dvsnet_jax.inference.streaming.steps import Stepping
from dvsnet_jax.inference.streaming.streams import ClipEnd, SegmentedFrame, stream_clips
from dvsnet_jax.media.motion.attached import Kind


@dataclass(frozen=True)
class Evaluation:
    """What came out, on every process the same."""

    records: list[ClipRecord]
    """Of the clips that are through, in their order."""
    failures: dict[str, str]
    """What was wrong with the others, by name. They do not count, and are tried again the next time."""
    resumed: int
    """How many of the records were there before."""
    changed: int = 0
    """How many other clips had been there, but their files have changed since."""
    unkept: int = 0
    """And how many without the labels that are to be kept now."""


def check_policy(config: DVSNetConfig) -> None:
    """InputError for a policy that is steered by this machine's clock, whose numbers would be another machine's."""
    if getattr(config.policy, "needs_host", False):
        raise InputError(
            f"{config.policy} goes by this machine's clock, so its numbers could not be had again; segment a clip with "
            "it (dvsnet segment --fps), and evaluate the share that it tells with --budget"
        )


def evaluate(
    params: networks.Params,
    clips: Sequence[NamedClip],
    *,
    config: DVSNetConfig,
    folder: Path,
    streams: int = 4,
    classes: Counting = "own",
    first_counts: bool = True,
    find_flow: FindFlow | None = None,
    published_tc: Mapping[str, DenseFlow] | None = None,
    every_frame: bool = False,
    keep: Collection[str] = (),
    devices: Sequence[Any] | None = None,
    stepping: Stepping = "auto",
    motion: Kind = "dis",
    on_frame: Callable[[str], None] = lambda clip: None,
    on_clip: Callable[[str, str | None], None] = lambda clip, error: None,
) -> Evaluation:
    """Evaluates the clips that the log in `folder` does not have yet, and those whose files have changed since.

    `keep` names the clips whose labels and routes are written to `folder/labels`, for the report: one that the log has
    without them is evaluated once more. `on_frame` is called
    with the clip's name, `on_clip` besides with what was wrong with it or None, both for this process's own clips. The
    other arguments are those of `stream_clips` and `ClipScores`. The processes of a run call it together, with the same
    clips; each takes its part of what is left.

    Raises InputError where nothing can be written to the folder, where no clip could be evaluated, and for a policy
    that goes by the clock (`check_policy`).
    """
    check_policy(config)
    log = ClipLog(folder, process=jax.process_index())
    now = {clip.name: state_of(paths_of(clip.frames)) for clip in clips}
    changed = log.forget_changed(now)
    unkept = {clip for clip in keep if clip in log.records and not kept(folder, clip)}
    log.forget(unkept)
    before = {name for names in gather(sorted(log.records)) for name in names}
    left = own_part([clip for clip in clips if clip.name not in before])
    published = {clip.name: published_of(published_tc, number) for number, clip in enumerate(clips)}
    run = _Run(left, now, log, folder, config, classes, first_counts, find_flow, published, keep, on_frame, on_clip)
    events = stream_clips(
        params, [clip.frames for clip in left], config=config, streams=streams, devices=devices,
        every_frame=every_frame, first_counts=first_counts, stepping=stepping, motion=motion,
    )  # fmt: skip
    try:
        for event in events:
            if isinstance(event, ClipEnd):
                run.end(event)
            else:
                run.count(event)
    finally:
        for keeper in run.keepers.values():  # of clips that were interrupted
            keeper.discard()
    everywhere = gather([{name: record.as_json() for name, record in log.records.items()}, run.failures])
    records = {name: ClipRecord.from_json(each) for found, _ in everywhere for name, each in found.items()}
    failed = {name: error for _, failed in everywhere for name, error in failed.items()}
    failures = {clip.name: failed[clip.name] for clip in clips if clip.name in failed}
    done = [records[clip.name] for clip in clips if clip.name in records]
    if not done:
        name, error = next(iter(failures.items()))
        raise InputError(f"none of the {len(clips)} clips could be evaluated; {name}: {error}")
    return Evaluation(done, failures, len(before), len(changed - before), len(unkept))


@dataclass
class _Run:
    """The clips of this process, as their frames come mixed."""

    clips: list[NamedClip]
    files: dict[str, dict[str, int]]
    log: ClipLog
    folder: Path
    config: DVSNetConfig
    classes: Counting
    first_counts: bool
    find_flow: FindFlow | None
    published_tc: Mapping[str, Mapping[str, DenseFlow] | None]
    """By clip."""
    keep: Collection[str]
    on_frame: Callable[[str], None]
    on_clip: Callable[[str, str | None], None]
    failures: dict[str, str] = field(default_factory=dict)
    scores: dict[str, ClipScores] = field(default_factory=dict)
    """Of the clips that are under way, as the next."""
    programs: HeldPrograms = field(default_factory=lambda: HeldPrograms(SORTED))
    keepers: dict[str, LabelKeeper] = field(default_factory=dict)

    def count(self, frame: SegmentedFrame) -> None:
        name = self.clips[frame.clip].name
        if name in self.failures:
            return
        if frame.number == 0:
            self.programs.expect(frame.sample.image.shape)  # clips come size by size
            self.scores[name] = ClipScores(
                name, self.config, self.classes, self.first_counts, self.find_flow, self.published_tc[name]
            )
            if name in self.keep:
                self.keepers[name] = LabelKeeper(self.folder, name)
        try:
            self.scores[name].add(frame)
        except InputError as error:
            self._fail(name, str(error))
            return
        if name in self.keepers:
            self.keepers[name].add(frame)
        self.on_frame(name)

    def end(self, event: ClipEnd) -> None:
        name = self.clips[event.clip].name
        if name in self.failures:
            return
        if event.error:
            self._fail(name, event.error)
            return
        if name in self.keepers:
            self.keepers.pop(name).close()  # first: a clip that is in the log has its labels
        self.log.append(replace(self.scores.pop(name).record(event.frames), files=self.files[name]))
        self.on_clip(name, None)

    def _fail(self, name: str, error: str) -> None:
        self.failures[name] = error
        self.scores.pop(name, None)
        if name in self.keepers:
            self.keepers.pop(name).discard()
        self.on_clip(name, error)
