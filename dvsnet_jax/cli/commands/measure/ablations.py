"""`dvsnet measure ablations`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any, Literal

import tyro

from dvsnet_jax.cli.classes import Classes
from dvsnet_jax.cli.commands.policies import PolicyName
from dvsnet_jax.cli.failures import UsageError
from dvsnet_jax.cli.option_types import Count, Names, OptionalPath, Part, Parts, Positive, Wholes, option
from dvsnet_jax.cli.screen import tell
from dvsnet_jax.cli.weights import OwnSegmentation, load_weights

if TYPE_CHECKING:
    from dvsnet_jax.config import DVSNetConfig
    from dvsnet_jax.evaluation.clips.labelled import LabelledClip
    from dvsnet_jax.evaluation.policies.measurement import Measured
    from dvsnet_jax.evaluation.policies.sweep import Sweep
    from dvsnet_jax.networks import Params

_GRIDS = ((1, 1), (1, 2), (2, 2), (4, 4))


@dataclass(frozen=True, kw_only=True)
class Ablations:
    """Ablate as the paper does: a frame step with one thing changed.

    overlap: regions reach so many pixels over their border. regions: a frame cut into 1×1, 1×2, 2×2, 4×4. warping: the
    key frame's scores with and without the scale field, or its labels. Weights stay as they are; each variant is swept
    over --policy's range to the --shares. Prints a markdown table for each.
    """

    what: tyro.conf.Positional[tuple[Literal["overlap", "regions", "warping"], ...]]
    """What is changed; one or more."""
    data: Annotated[str, tyro.conf.arg(metavar="DATA")]
    """Labelled video, as for 'dvsnet policies'."""
    weights: Annotated[str | None, option("PATH", "--restore-from")] = None
    """A checkpoint's folder; the bundled weights if not given."""
    segmentation: OwnSegmentation = None
    classes: Classes = None
    only: Names = ()
    """Beginnings of frames' names that are taken."""
    protocol: Literal["every", "all", "snippets"] = "every"
    """Which frames count, as for 'dvsnet policies'."""
    scale: Positive = 1.0
    """Resizes the frames first."""
    policy: PolicyName = "loss"
    """By which regions are chosen."""
    shares: Parts = (0.1, 0.2, 0.3)
    """Of regions, between 0 and 1."""
    overlaps: Wholes = (0, 32, 64, 128)
    """Pixels."""
    tolerance: Part = 0.01
    """Between share and run."""
    runs: Count = 6
    """At most, for each share."""
    no_time: bool = False
    """Leave out timing the frame step."""
    json: OptionalPath = None
    """Write all measurements here, one JSON object a line."""

    def run(self) -> int:
        if not self.what:
            raise UsageError("nothing to ablate; name overlap, regions or warping, or several of them")

        from dvsnet_jax import networks
        from dvsnet_jax.evaluation.clips.labelled import labelled_clips, snippets
        from dvsnet_jax.evaluation.clips.sources import check_classes
        from dvsnet_jax.evaluation.policies.ablations import ablation_table, check_sizes, grids, overlaps
        from dvsnet_jax.evaluation.policies.sweep import TITLES
        from dvsnet_jax.markdown import markdown_table
        from dvsnet_jax.media.json_lines import JsonLinesWriter

        params, config = load_weights(self.weights, None, segmentation=self.segmentation, classes=self.classes)
        check_classes([self.data], config)
        params = networks.prepare(params, config)
        if self.protocol == "snippets":
            clips = snippets(self.data, only=self.only, scale=self.scale)
        else:
            clips = labelled_clips(self.data, num_classes=config.num_classes, only=self.only, scale=self.scale)
        variants = {"overlap": overlaps(config, self.overlaps), "regions": grids(config, _GRIDS)}
        for what in self.what:
            check_sizes(variants.get(what, {}), clips)
        with JsonLinesWriter(self.json) if self.json else nullcontext() as lines:
            write = lines.write if lines else lambda record: None
            for what in self.what:
                found = self._found(what, params, config, variants.get(what, {}), clips, write)
                print(f"{self.data}, {TITLES[self.policy]}\n\n{markdown_table(ablation_table(what, found))}\n")
        return 0

    def _found(
        self, what: str, params: Params, config: DVSNetConfig, variants: dict[str, DVSNetConfig],
        clips: Sequence[LabelledClip], write: Callable[[Any], None],
    ) -> dict[str, Sweep]:  # fmt: skip
        from dvsnet_jax.evaluation.policies.ablations import sweep_variant, sweep_warpings
        from dvsnet_jax.evaluation.policies.measurement import segment_clips

        def on_run(name: str, run: Measured) -> None:
            write({"what": what, "variant": name, "is": "run", **run.as_json()})
            tell(f"{what} {name}, {run.policy}: {run.share:.1%} of regions, mIoU {run.mean_iou:.2%}")

        settings: dict[str, Any] = {
            "policy": self.policy, "shares": self.shares, "tolerance": self.tolerance, "most_runs": self.runs,
            "classes": "camvid" if self.data.startswith("camvid:") else "own",
            "first_counts": self.protocol != "snippets",
        }  # fmt: skip
        if what == "warping":
            video = segment_clips(params, clips, config=config, progress=tell)
            found = sweep_warpings(params, video, config=config, on_run=on_run, **settings)
        else:
            found = {
                name: sweep_variant(params, clips, config=variant, timed=not self.no_time,
                                    on_run=partial(on_run, name), progress=tell, **settings)
                for name, variant in variants.items()
            }  # fmt: skip
        for name, result in found.items():
            time = result.time.as_json() if result.time else None
            for at in result.policies[self.policy]:
                write({"what": what, "variant": name, "is": "at share", **at.as_json(), "time": time,
                       "multiply_adds": result.multiply_adds})  # fmt: skip
        return found
