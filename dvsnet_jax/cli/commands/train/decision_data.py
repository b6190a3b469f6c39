"""`dvsnet train decision-data`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, ClassVar

import tyro

from dvsnet_jax.cli.failures import UsageError
from dvsnet_jax.cli.option_types import OptionalCount, OptionalPath, Percent
from dvsnet_jax.cli.run_options import GOES_ON
from dvsnet_jax.cli.screen import step_progress


@dataclass(frozen=True, kw_only=True)
class DecisionData:
    """Stage 3, first half: make the decision network's data.

    From pairs of frames, as the original's gentestcase.py; each costs two segmentations of a frame. Writes X.npy,
    Y.npy, flow_magnitude.npy and samples.jsonl. Killed at any moment, the same command goes on where it was.
    """

    interrupted: ClassVar[str] = GOES_ON

    data_dir: Annotated[Path, tyro.conf.arg(metavar="DIR")]
    """The folder that the list's paths are below."""
    data_list: Annotated[Path, tyro.conf.arg(metavar="FILE")]
    """Lines of key frame, current frame and labels; the labels are not read, - will do."""
    restore_from: Annotated[Path, tyro.conf.arg(metavar="PATH")]
    """A checkpoint of DVSNet, ours or the original's in TensorFlow's files."""
    decision_from: OptionalPath = None
    """TensorFlow checkpoint of the decision network; not needed here."""
    save_dir: Annotated[Path, tyro.conf.arg(metavar="DIR")]
    """Folder for the set."""
    num_steps: OptionalCount = None
    """Pairs to take from the list's beginning; all if not given."""
    clip: Percent = 0.0
    """Drop samples of this agreement or less, in percent."""
    overlap: OptionalCount = None
    """Pixels that a region reaches over its border; the weights' own if not given, 0 as the original."""

    def run(self) -> int:
        if self.num_steps is not None and self.num_steps < 1:
            raise UsageError(f"--num-steps {self.num_steps}: expected 1 or more pairs")
        if self.overlap is not None and self.overlap < 0:
            raise UsageError(f"--overlap {self.overlap}: expected pixels, 0 or more")

        from dvsnet_jax.datasets.pair_lists import read_pairs
        from dvsnet_jax.training.decision.example_files import make_set
        from dvsnet_jax.training.restoring import restore

        pairs = read_pairs(self.data_list, self.data_dir, check=True)[: self.num_steps]
        params, config = restore(self.restore_from, decision_from=self.decision_from)
        if self.overlap is not None:
            config = config.replace(overlap=self.overlap)
        with step_progress("pairs", len(pairs)) as show:
            made = make_set(
                params, pairs, self.save_dir, config=config, clip=self.clip, on_progress=lambda done: show(done, "")
            )
        print(f"{self.save_dir}: {made.samples} samples of {made.pairs} pairs, mean agreement {made.mean:.2f} %")
        return 0
