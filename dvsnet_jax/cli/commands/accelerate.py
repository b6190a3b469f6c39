"""`dvsnet accelerate`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

import tyro

from dvsnet_jax.cli.classes import Classes, with_classes
from dvsnet_jax.cli.failures import UsageError
from dvsnet_jax.cli.keeping import keeping
from dvsnet_jax.cli.motion import Motion, carried
from dvsnet_jax.cli.option_types import (
    Count,
    CountOrNone,
    Distances,
    Names,
    OptionalShare,
    Pixels,
    Positive,
    Range,
    Specs,
    option,
)
from dvsnet_jax.cli.run_options import GOES_ON, RunOptions, clips_named, join_processes, need
from dvsnet_jax.cli.screen import print_record, step_progress, tell
from dvsnet_jax.cli.weights import NewSegmentation, load_by_name, tell_resized

if TYPE_CHECKING:
    from dvsnet_jax.checkpoints import OwnNetwork
    from dvsnet_jax.config import DVSNetConfig
    from dvsnet_jax.datasets.clips import Clip
    from dvsnet_jax.evaluation.policies.promise import KeepTable
    from dvsnet_jax.networks import Params
    from dvsnet_jax.training.accelerate import Acceleration


@dataclass(frozen=True, kw_only=True)
class Accelerate:
    """Fit DVSNet around your network, from video alone.

    Fine-tunes the scale field, with --motion paper the flow network too, so that warped scores give the segmentation
    network's own labels, then trains the decision network to predict how well they will. Begins from the bundled
    weights, or --restore-from's. Writes SAVE_DIR/weights. Killed at any moment, the same command goes on.
    """

    interrupted: ClassVar[str] = GOES_ON

    data: Specs = ()
    """Clips: video:FILE, frames:FOLDER, cityscapes:ROOT:SPLIT, camvid:ROOT:SPLIT or street:COUNT:SEED; may be given
    again. Labels are not looked at, unless --supervision says so. @0.5 after it makes frames half as high and wide,
    @bt601 reads a video that names no matrix by that, as --matrix of 'dvsnet segment'."""
    validate: Specs = ()
    """Other clips, to validate on; without, a fifth of every clip is held out, two frames at least."""
    save_dir: Annotated[Path, tyro.conf.arg(metavar="DIR", aliases=("--out",))]
    """Folder of the run."""
    restore_from: Annotated[str | None, option("PATH", "--weights")] = None
    """A checkpoint of DVSNet, or street, the package's own, which is taken if not given."""
    segmentation: NewSegmentation = None
    classes: Classes = None
    motion: Motion = "auto"
    hold_out: Names = ()
    """Beginnings of clips' names that are not trained on."""
    only: Names = ()
    """Beginnings of clips' names that are validated on."""
    steps: CountOrNone = 2000
    """Of the fine-tune. 0 leaves flow and scale field as they are and trains the decision network alone."""
    supervision: Literal["own", "labels"] = "own"
    """Of the fine-tune: the segmentation network's own labels, or the data's, to compare."""
    batch_size: Count = 4
    """Over all devices."""
    learning_rate: Positive = 2e-4
    """Of the fine-tune."""
    crop: Pixels = (288, 368)
    """Of the frames trained on."""
    scale: Range = (0.6, 1.4)
    """They are resized by a factor between these first."""
    pairs: Count = 2000
    """Of frames, for the decision network."""
    distances: Distances = (1, 12)
    """Frames between the two."""
    epochs: Count = 100
    """Of the decision network."""
    decision: Annotated[Literal["local", "paper"] | None, option("{local,paper}")] = None
    """Kind of decision network, trained from nothing; the checkpoint's if not given."""
    decision_rate: Positive = 2e-3
    """The decision network's learning rate."""
    dropout: OptionalShare = None
    """The decision network's; 0.5 for the paper's and none for a local one if not given."""
    keep: OptionalShare = None
    """Of the pixels those that are to be what the network itself would have said, such as 0.98: the policy's limit is
    chosen for that on the clips held out, and what each limit keeps is written beside the weights, for 'dvsnet segment
    --keep'."""
    in_memory: bool = False
    """Read each frame once and keep it (a video's are kept in any case, up to 1 GB)."""
    seed: int = 0
    """Of all that is drawn."""
    run_options: Annotated[RunOptions, tyro.conf.arg(name="")] = field(default_factory=RunOptions)

    def run(self) -> int:
        need("--data", self.data, "video:drive.mp4")
        if self.motion == "codec":
            raise UsageError(
                "--motion codec: frames are drawn at random here, and a file's vectors come only in its order; dis or "
                "encoder finds motion that is as good, and the weights serve --motion codec too"
            )
        if self.only and not self.validate:
            raise UsageError("--only chooses among the clips of --validate; add that, or leave it out")
        join_processes(self.run_options.distributed)

        from dvsnet_jax import DecisionConfig, LocalDecisionConfig, SegmentationFunction, checkpoints
        from dvsnet_jax.config import OwnSegmentationConfig
        from dvsnet_jax.datasets.clips import longest_run
        from dvsnet_jax.errors import InputError
        from dvsnet_jax.evaluation.policies.promise import write_table
        from dvsnet_jax.training.accelerate import accelerate
        from dvsnet_jax.training.decision.report import table
        from dvsnet_jax.training.own_network import in_place_of
        from dvsnet_jax.training.parallel import by_first, is_first

        params, config = self._begin()
        config = carried(self.motion, config)
        network = checkpoints.open_network(self.segmentation) if self.segmentation else None
        if self.classes is not None:
            if network is None:
                raise UsageError("--classes is of a network of your own; name it with --segmentation")
            network = with_classes(network, self.classes)
        if network is None and isinstance(config.segmentation, SegmentationFunction | OwnSegmentationConfig):
            named = getattr(config.segmentation, "source", None) or "NETWORK"
            raise UsageError(
                f"{self.restore_from} is around a network of your own; name it too: --segmentation {named}"
            )
        if network:
            params, config = in_place_of(network.function, network.params, params, config)
            self._try(params, config)
            tell_resized(config)
        carries = config.carries_motion
        if self.decision == "paper" and carries:
            raise UsageError("--decision paper reads a flow network's features; add --motion paper")
        if self.decision:
            config = config.replace(decision=DecisionConfig() if self.decision == "paper" else LocalDecisionConfig())
        clips, held = self._clips(config.num_classes)
        longest = max((len(longest_run(clip)) for clip in held), default=0)
        if self.keep is not None and longest < 2:
            raise InputError(
                f"--keep looks at two frames in a row of a clip held out, but the longest of {len(held)} has "
                f"{longest} that can be read; give longer video, or name some with --validate"
            )
        with step_progress("flow steps", self.steps) as show:
            made = accelerate(
                params, config, clips, held, self.save_dir, self._settings(),
                schedule=self.run_options.schedule(self.steps), described=clips_named(self) | _split(held),
                on_stage=lambda stage: print(f"stage: {stage}", flush=True) if is_first() else None,
                on_step=lambda done, at: show(done, f"right {at['right']:.3f}, copied {at['copied']:.3f}"),
                on_epoch=print_record,
            )  # fmt: skip
        place = self.save_dir / "weights"
        kept = None
        if self.keep is not None:
            kept = by_first(lambda: self._keep_table(made.params, config, held))
            if kept is not None:
                config = self._keeping(config, kept)
        save = partial(checkpoints.save_accelerator, network=network) if network else checkpoints.save
        beside = partial(write_table, table=kept) if kept else lambda folder: None
        by_first(lambda: save(place, made.params, config, beside=beside))
        if is_first():
            print(table(made.rows))
            print(f"{place}: DVSNet around this segmentation network{self._how(network)}")
        return 0

    def _keep_table(self, params: Params, config: DVSNetConfig, held: list[Clip]) -> KeepTable:
        """What limits keep on the clips held out."""
        from dvsnet_jax.evaluation.policies.promise import keep_table
        from dvsnet_jax.networks import prepare

        print("stage: what is kept", flush=True)
        with step_progress("frames", sum(map(len, held))) as show:
            return keep_table(
                prepare(params, config), config, held, motion="encoder" if self.motion == "encoder" else "dis",
                progress=lambda done: show(done, ""),
            )  # fmt: skip

    def _keeping(self, config: DVSNetConfig, table: KeepTable) -> DVSNetConfig:
        """With the limit that --keep asks for; where none keeps as much, that is told and the weights are written."""
        from dvsnet_jax.errors import InputError

        assert self.keep is not None
        try:
            return keeping(config, table, self.keep, weights=str(self.save_dir / "weights"))
        except InputError as error:
            tell(f"dvsnet: {error}; the policy stays {config.policy}")
            return config

    def _how(self, network: OwnNetwork | None) -> str:
        """How the weights are used, where a network was named."""
        if network is None:
            return ""
        if network.stored.source == self.segmentation and self.segmentation and ".py:" in self.segmentation:
            return f"; use them with --segmentation {self.segmentation}"
        return ", which they hold; dvsnet segment --weights takes them as they are"

    def _try(self, params: Params, config: DVSNetConfig) -> None:
        """InputError where the network of the user's own does not give what it should, before anything is trained."""
        import jax
        import jax.numpy as jnp

        from dvsnet_jax import networks
        from dvsnet_jax.errors import InputError, first_line

        images = jax.ShapeDtypeStruct((1, *self.crop, 3), jnp.float32)
        try:
            jax.eval_shape(partial(networks.segmentation_scores, config=config), params, images)
        except InputError:
            raise
        except Exception as error:
            raise InputError(f"--segmentation {self.segmentation}: {first_line(error)}") from error

    def _begin(self) -> tuple[Params, DVSNetConfig]:
        """The weights to begin from, of the kind that --motion asks for."""
        from dvsnet_jax import checkpoints
        from dvsnet_jax.training.restoring import restore
        from dvsnet_jax.training.warm_start import carrying, restore_with_flow

        name = checkpoints.bundled_name(self.restore_from)
        if self.restore_from is None or name is not None:
            return load_by_name(name or "street", self.motion)
        if self.motion == "paper":
            return restore_with_flow(self.restore_from)
        params, config = restore(self.restore_from)
        if self.motion == "auto" or config.carries_motion:
            return params, config
        return carrying(params, config)

    def _clips(self, num_classes: int) -> tuple[list[Clip], list[Clip]]:
        """To train on, and to validate on; labels, where they are looked at, in so many classes."""
        from dvsnet_jax.datasets.clips import Part, clip_sets, unreadable

        clips = self._kept(clip_sets(self.data, hold_out=self.hold_out, num_classes=num_classes))
        if self.validate:
            return clips, self._kept(clip_sets(self.validate, only=self.only, num_classes=num_classes))
        readable = [sorted({*range(len(clip))} - {*unreadable(clip)}) for clip in clips]
        ends = [(clip, places[_first_held(len(places))]) for clip, places in zip(clips, readable, strict=True)]
        return [Part(clip, 0, end) for clip, end in ends], [Part(clip, end, len(clip)) for clip, end in ends]

    def _kept(self, clips: list[Clip]) -> list[Clip]:
        from dvsnet_jax.datasets.combined import Remembered
        from dvsnet_jax.datasets.unlabelled import UnlabelledClip

        if not self.in_memory:
            return clips
        return [clip if isinstance(clip, UnlabelledClip) else Remembered(clip) for clip in clips]

    def _settings(self) -> Acceleration:
        from dvsnet_jax.datasets.augment.labelled import LabelledAugmentation
        from dvsnet_jax.training.accelerate import Acceleration
        from dvsnet_jax.training.decision.network import DecisionTraining
        from dvsnet_jax.training.flow.joint import JointTraining

        return Acceleration(
            joint=JointTraining(
                steps=self.steps, batch_size=self.batch_size, learning_rate=self.learning_rate,
                supervision=self.supervision, seed=self.seed,
            ),
            decision=DecisionTraining(
                epochs=self.epochs, learning_rate=self.decision_rate, dropout=self.dropout, seed=self.seed
            ),
            pairs=self.pairs,
            distances=self.distances,
            crops=LabelledAugmentation(crop=self.crop, scale=self.scale),
            motion="encoder" if self.motion == "encoder" else "dis",
        )  # fmt: skip


def _first_held(frames: int) -> int:
    """Where the fifth of a clip that is held out begins: two frames at least, to make a pair of, where two are left to
    train on."""
    return min(frames * 4 // 5, frames - 2) if frames >= 4 else frames * 4 // 5


def _split(held: Sequence[Clip]) -> dict[str, Any]:
    """Where what is held out begins, of clips with frames that cannot be read, for the settings: which these are may
    come out otherwise another time, or in another version. Of other clips their names tell it."""
    from dvsnet_jax.datasets.clips import Part, unreadable

    begins = {
        f"clip {number}": f"frame {part.first} of {len(part.clip)}, {len(unreadable(part.clip))} not readable"
        for number, part in enumerate(held)
        if isinstance(part, Part) and unreadable(part.clip)
    }
    return {"held out from": begins} if begins else {}
