"""`dvsnet measure flow`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from dvsnet_jax.cli.failures import UsageError
from dvsnet_jax.cli.option_types import Count, Counts, Names, Specs, option


@dataclass(frozen=True, kw_only=True)
class MeasureFlow:
    """Measure the flow network: end-point error, gain by warping.

    The network reads --pairs at their own size. In --clips a key frame's labels, warped or copied, are held against
    those of segmenting the current frame. Prints markdown tables.
    """

    weights: Annotated[str | None, option("PATH")] = None
    """A checkpoint of DVSNet; the bundled weights if not given."""
    pairs: Specs = ()
    """Pairs with true flow: pairs:FOLDER, street:COUNT:SEED[:HxW], or a whole set as for 'dvsnet flow --truth'; may be
    given again."""
    clips: Specs = ()
    """Clips: camvid:ROOT:SPLIT, cityscapes:ROOT:SPLIT, video:FILE, frames:FOLDER or street:COUNT:SEED; @SCALE after it
    resizes it first. May be given again."""
    only: Names = ()
    """Beginnings of the clips' names that are taken."""
    gaps: Counts = (1, 3, 6, 9)
    """Frames between key frame and current frame."""
    most: Count = 60
    """Pairs of frames a gap."""

    def run(self) -> int:
        if not self.pairs and not self.clips:
            raise UsageError("nothing to measure on; name --pairs, --clips or both")

        from dvsnet_jax import CarriedMotionConfig, checkpoints
        from dvsnet_jax.datasets.clips import clip_set
        from dvsnet_jax.datasets.flow.sets import flow_set
        from dvsnet_jax.errors import InputError
        from dvsnet_jax.protocols import FlowFunction
        from dvsnet_jax.training.flow.validation import agreement_at_gaps, check_pairs, endpoint_errors
        from dvsnet_jax.training.restoring import restore

        params, config = restore(self.weights) if self.weights else checkpoints.load_bundled()
        network = config.flow
        if isinstance(network, CarriedMotionConfig):
            raise InputError(
                f"{self.weights}: has no flow network to measure, motion is given with its frames; 'dvsnet measure "
                "motion' measures where that comes from"
            )
        if self.pairs:
            if isinstance(network, FlowFunction):
                raise InputError(f"{type(network).__name__} is no network of ours, which --pairs measures; use --clips")
            print("| pairs | endpoint error, px | no flow at all, px |\n|---|--:|--:|")
            for spec in self.pairs:
                errors = endpoint_errors(params["flow"], flow_set(spec), network)
                print(f"| {spec} | {errors['epe']:.2f} | {errors['zero']:.2f} |", flush=True)
        if self.clips:
            print("\n| clips | frames apart | warped, % | copied, % | pairs |\n|---|--:|--:|--:|--:|")
            for spec in self.clips:
                clips = clip_set(spec, only=self.only, num_classes=config.num_classes)
                check_pairs(clips, self.gaps)
                table = agreement_at_gaps(params, clips, config, gaps=self.gaps, most=self.most)
                for gap, row in table.items():
                    print(
                        f"| {spec} | {gap} | {row['warped']:.2f} | {row['copied']:.2f} | {row['pairs']} |", flush=True
                    )
        return 0
