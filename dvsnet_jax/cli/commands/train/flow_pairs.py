"""`dvsnet train flow-pairs`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, ClassVar

import tyro

from dvsnet_jax.cli.failures import UsageError
from dvsnet_jax.cli.option_types import Chance, Count, Names, Specs, Wholes
from dvsnet_jax.cli.run_options import GOES_ON, need
from dvsnet_jax.cli.screen import step_progress


@dataclass(frozen=True, kw_only=True)
class FlowPairs:
    """Before stage 2a: make flow pairs from video.

    Each frame is paired with those --gaps before it, current frame first. The flow is found by a classical method (DIS)
    and counts where the way there and the way back agree. Writes FlyingChairs' names, the flow as KITTI's 16-bit PNG;
    of a pair that is left out its share, as NUMBER_left_out.txt. Nothing is computed twice: the same command goes on.
    """

    interrupted: ClassVar[str] = GOES_ON

    data: Specs = ()
    """Clips, as for flow-joint. May be given again."""
    hold_out: Names = ()
    """Beginnings of clips' names that are left out."""
    only: Names = ()
    """Beginnings of clips' names that are taken."""
    gaps: Wholes = (1, 2, 4, 7)
    """Frames between the two; 0 gives pairs of one picture, which the training moves."""
    every: Count = 1
    """Take every so many frames as current."""
    share: Chance = 0.5
    """Of pixels whose flow is to be sure, 0 to 1; pairs with less are left out. Those that are there stay, whatever is
    asked for now."""
    save_dir: Annotated[Path, tyro.conf.arg(metavar="DIR")]
    """Folder for the pairs."""

    def run(self) -> int:
        need("--data", self.data, "video:drive.mp4")
        if min(self.gaps) < 0:
            raise UsageError(f"--gaps {' '.join(map(str, self.gaps))}: expected gaps of 0 or more")

        from dvsnet_jax.datasets.clips import clip_sets
        from dvsnet_jax.datasets.flow.video_pairs import make_flow_pairs, wanted_pairs
        from dvsnet_jax.training.run_folder import claim_alone, fingerprint_lines

        pictures = {*self.gaps} == {0}  # each a pair by itself, whatever the others' size
        clips = clip_sets(self.data, hold_out=self.hold_out, only=self.only, one_size=not pictures)
        wanted = wanted_pairs(clips, gaps=self.gaps, every=self.every)
        settings = {
            "data": self.data, "hold_out": self.hold_out, "only": self.only, "gaps": sorted({*self.gaps}),
            "every": self.every, "frames": fingerprint_lines([str(pair) for pair in wanted]),
        }  # fmt: skip
        if wanted:  # pairs are told by their numbers; with a smaller --share those left out are looked at again
            claim_alone(self.save_dir, settings)
        with step_progress("pairs", len(wanted)) as show:
            kept = make_flow_pairs(
                clips, wanted, self.save_dir, share=self.share, on_pair=lambda done, kept: show(done, f"{kept} kept")
            )
        print(f"{self.save_dir}: {kept} of {len(wanted)} pairs")
        return 0
