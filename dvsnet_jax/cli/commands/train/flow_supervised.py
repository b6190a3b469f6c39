"""`dvsnet train flow-supervised`."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

import tyro

from dvsnet_jax.cli.option_types import Amount, Count, OptionalPositive, Pixels, Positive, Range, Specs, option
from dvsnet_jax.cli.run_options import GOES_ON, Precision, RunOptions, chosen_precision, join_processes, need
from dvsnet_jax.cli.screen import print_validation, step_progress
from dvsnet_jax.flownet_config import FlowNetwork


@dataclass(frozen=True, kw_only=True)
class TrainFlow:
    """Stage 2a: train the flow network, on pairs with true flow.

    The network reads the pictures at their own size, so what DVSNet's is to learn from looks like its half-size
    regions. Writes SAVE_DIR/metrics.jsonl and SAVE_DIR/weights; killed at any moment, the same command goes on and ends
    the same.
    """

    interrupted: ClassVar[str] = GOES_ON

    data: Specs = ()
    """Pairs: pairs:FOLDER (FlyingChairs' names), street:COUNT:SEED[:HxW] or flying:COUNT:SEED:HxW:CLIPS (pieces of the
    pictures of CLIPS, named as for flow-joint, that fly over others), or a whole set as for 'dvsnet flow --truth'. May
    be given again."""
    validate: Specs = ()
    """The same, to validate on; without, the last parameters are kept."""
    save_dir: Annotated[Path, tyro.conf.arg(metavar="DIR")]
    """Folder of the run."""
    restore_from: Annotated[str | None, option("PATH")] = None
    """A checkpoint of DVSNet, or of --network."""
    preset: Literal["cityscapes", "deeplab-v2", "street", "street-lite2"] = "street"
    """The networks, where there is no checkpoint."""
    network: Annotated[FlowNetwork | None, option("NAME")] = None
    """FlowNetC or another of FlowNet2's family: it alone is trained, in the place of DVSNet's, and saved for
    'dvsnet flow'."""
    width: Positive = 1.0
    """With --network: of its channels, over the published ones."""
    steps: Count = 600_000
    """Of the whole run."""
    batch_size: Count = 8
    """Over all devices."""
    crop: Pixels = (320, 448)
    """Of the pairs trained on."""
    zoom: Range = (0.9, 1.8)
    """They are resized by a factor between these first."""
    jitter: Amount = 1.0
    """Times what the second picture is moved on its own."""
    schedule: Literal["S_short", "S_long", "S_fine"] = "S_short"
    """FlowNet 2.0's learning rates, their halvings scaled to --steps."""
    learning_rate: OptionalPositive = None
    """In the place of the schedule's first."""
    weight_decay: Amount = 4e-4
    """Of convolution kernels."""
    exponent: OptionalPositive = None
    """Of a pixel's error; 0.4 for CSS-ft-sd."""
    whole_stack: bool = False
    """The networks below the last one learn too."""
    precision: Precision = "float32"
    """Of activations; bfloat16 is for accelerators, but not for depthwise convolutions on a GPU."""
    in_memory: bool = False
    """Read (or draw) the data once and keep it."""
    seed: int = 0
    """Of all that is drawn."""
    run_options: Annotated[RunOptions, tyro.conf.arg(name="")] = field(default_factory=RunOptions)

    def run(self) -> int:
        need("--data", self.data, "street:2000:1")
        join_processes(self.run_options.distributed)

        from dvsnet_jax import checkpoints
        from dvsnet_jax.datasets.augment.flow import FlowAugmentation
        from dvsnet_jax.datasets.flow.sets import flow_sets
        from dvsnet_jax.training.flow.supervised import FlowTraining
        from dvsnet_jax.training.flow.supervised_run import train_flow
        from dvsnet_jax.training.parallel import by_first, is_first

        self._check()
        training = FlowTraining(
            steps=self.steps, batch_size=self.batch_size, schedule=self.schedule, learning_rate=self.learning_rate,
            weight_decay=self.weight_decay, exponent=self.exponent, whole_stack=self.whole_stack, seed=self.seed,
            precision=chosen_precision(self.precision),
        )  # fmt: skip
        params, config, everything, whole = self._begin()
        with step_progress("steps", self.steps) as show:
            kept = train_flow(
                params, config, flow_sets(self.data, in_memory=self.in_memory), self.save_dir, training,
                self.run_options.schedule(self.steps),
                held_out=flow_sets(self.validate, in_memory=True) if self.validate else None,
                augmentation=FlowAugmentation(crop=self.crop, zoom=self.zoom).jittered(self.jitter),
                described={"data": self.data, "validated on": self.validate or None},
                on_step=lambda done, at: show(done, f"loss {at['loss']:.3f} (no flow: {at['zero']:.3f})"),
                on_validation=print_validation,
            )  # fmt: skip
        place = self.save_dir / "weights"
        made = kept if whole is None else {**everything, "flow": kept}
        by_first(lambda: checkpoints.save(place, made, whole or config))
        if is_first():
            print(f"{place}: {'the flow network' if whole is None else 'DVSNet with this flow network'}")
        return 0

    def _check(self) -> None:
        from dvsnet_jax.errors import InputError

        if self.zoom[0] > self.zoom[1]:
            raise InputError(f"--zoom {self.zoom[0]} {self.zoom[1]}: expected LEAST first, then MOST; turn them round")
        if min(self.crop) < 128 or (self.network and any(side % 64 for side in self.crop)):
            raise InputError(
                f"--crop {self.crop[0]} {self.crop[1]}: expected 128 or more (the coarsest flow then has 2 pixels), "
                "and with --network multiples of 64"
            )

    def _begin(self) -> tuple[Any, Any, Any, Any]:
        """The flow network's parameters and configuration, and those of the DVSNet it is in, if it is in one."""
        import jax

        from dvsnet_jax import checkpoints
        from dvsnet_jax.errors import InputError
        from dvsnet_jax.flow import init_flow_params
        from dvsnet_jax.flownet_config import FlowNet2Config
        from dvsnet_jax.protocols import FlowFunction
        from dvsnet_jax.training.warm_start import begin_any

        if self.network:
            if self.restore_from:
                return *checkpoints.load_flow(self.restore_from, network=self.network), None, None
            config = FlowNet2Config(network=self.network, width=self.width)
            return init_flow_params(jax.random.key(self.seed), config), config, None, None
        everything, whole = begin_any(self.restore_from, self.preset, self.seed)
        if isinstance(whole.flow, FlowFunction):
            raise InputError("the flow network is a function of your own: train it your own way, or use flow-joint")
        return everything["flow"], whole.flow, everything, whole
