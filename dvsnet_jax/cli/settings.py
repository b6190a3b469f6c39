"""Options that override the configuration stored with the weights."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any, Literal

from dvsnet_jax.cli.failures import UsageError
from dvsnet_jax.cli.option_types import (
    OptionalChance,
    OptionalCount,
    OptionalGrid,
    OptionalNumber,
    OptionalSize,
    option,
    pair,
)

if TYPE_CHECKING:
    from dvsnet_jax.config import DVSNetConfig
    from dvsnet_jax.policies import Policy

# The option that carries each policy's number.
_NUMBER_OF = {
    "confidence": "target",
    "dynamic": "target",
    "loss": "limit",
    "budget": "budget",
    "fps": "fps",
    "interval": "interval",
    "difference": "threshold",
    "flow": "threshold",
}


_POLICIES = (
    "When a region is segmented anew. confidence: its expected confidence score is below --target. dynamic: the same "
    "with a target that moves, which makes it a budget for each region. loss: what it is expected to lose, summed up "
    "since its key frame, is above --limit. budget: the same with a limit steered to segment --budget of all regions, "
    "over any 50 frames to within a tenth of it or a region. "
    "fps: as many regions as leave the frame step --fps frames a second on this machine. "
    "interval: every --interval frames. difference: it differs from its key frame by more than --threshold grey "
    "levels. flow: it moved by more than --threshold pixels."
)
_Policy = Annotated[
    Literal["confidence", "dynamic", "loss", "budget", "fps", "interval", "difference", "flow"] | None,
    option("NAME", help=_POLICIES),
]


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What may differ from the configuration stored with the weights, and is as stored there if not given."""

    policy: _Policy = None
    target: OptionalNumber = None
    """Percent, such as 85, for the policies confidence and dynamic; alone it implies --policy confidence."""
    limit: OptionalNumber = None
    """Points of percent, summed over frames; implies --policy loss."""
    budget: OptionalNumber = None
    """Share of all regions to segment, such as 0.2; implies --policy budget."""
    fps: OptionalNumber = None
    """Frames per second to keep on this machine, by segmenting fewer regions; implies --policy fps."""
    dynamic: bool = False
    """Short for --policy dynamic."""
    interval: OptionalCount = None
    """Frames; implies --policy interval."""
    threshold: OptionalNumber = None
    """Grey levels of 255 or pixels, for the policies difference and flow."""
    fuse: OptionalChance = None
    """How much say carried scores keep where a region is segmented anew, 0 to 1, such as 0.5: steadier labels. For
    carried motion."""
    overlap: OptionalCount = None
    """Pixels that a region reaches over its border with the next one."""
    regions: OptionalGrid = None
    """How a frame is cut into regions, such as 2x2."""
    input_size: OptionalSize = None
    """Resize frames to this first, as the original does with 1024x2048; labels come out at that size."""

    @property
    def chooses_policy(self) -> bool:
        """Whether one of these options is about the policy."""
        return self.dynamic or any(getattr(self, name) is not None for name in ("policy", *_NUMBER_OF.values()))

    @property
    def makes_other_labels(self) -> bool:
        """Whether one of these options changes what a region's labels are, whenever it is segmented."""
        return any(given is not None for given in (self.overlap, self.regions, self.input_size, self.fuse))

    def apply(self, config: DVSNetConfig) -> DVSNetConfig:
        """The configuration with these options in it; `UsageError` where they contradict each other or it."""
        given = {
            "fuse": self.fuse,
            "overlap": self.overlap,
            "regions": pair("--regions", self.regions),
            "input_size": pair("--input-size", self.input_size),
        }
        if self.fuse and not config.carries_motion:
            raise UsageError(
                f"--fuse {self.fuse:g} is for carried motion, which says how sure and how old carried scores are, and "
                "here a flow network finds the motion; leave out --fuse, or take weights that carry motion, without "
                "--motion paper"
            )
        try:
            config = config.replace(**{name: value for name, value in given.items() if value is not None})
            return config.replace(policy=self._policy(config.policy, config.num_regions))
        except UsageError:
            raise
        except ValueError as error:
            raise UsageError(f"wrong option: {error}") from error

    def _policy(self, stored: Policy, num_regions: int) -> Policy:
        from dvsnet_jax import policies

        kind = self._kind(stored)
        if kind is None:
            if isinstance(stored, policies.Budget | policies.FrameRate):
                return dataclasses.replace(stored, regions=num_regions)
            return stored
        option = _NUMBER_OF[kind]
        number = getattr(self, option)
        for other in {*_NUMBER_OF.values()} - {option}:
            if getattr(self, other) is not None:
                raise UsageError(f"--{other} does not go with --policy {kind}, whose number is --{option}")
        if number is None and option not in ("target", "limit"):
            raise UsageError(f"--policy {kind} needs a number; add --{option}")
        if self.target is not None and math.isfinite(self.target) and not 1 <= self.target <= 100:
            raise UsageError(f"--target is {self.target:g}, but it is percent: 1 to 100, such as 85")
        if number is None:
            number = getattr(stored, option, {"target": 90.0, "limit": policies.AccumulatedLoss.limit}[option])
        if kind == "dynamic" and isinstance(stored, policies.DynamicTarget):
            return dataclasses.replace(stored, target=number)  # its own fall and rise
        make: dict[str, Any] = {
            "confidence": policies.ExpectedConfidence,
            "dynamic": policies.DynamicTarget,
            "loss": policies.AccumulatedLoss,
            "budget": partial(policies.Budget, regions=num_regions),
            "fps": partial(policies.FrameRate, regions=num_regions),
            "interval": policies.FixedInterval,
            "difference": policies.FrameDifference,
            "flow": policies.FlowMagnitude,
        }
        return make[kind](number)

    def _kind(self, stored: Policy) -> str | None:
        """Which policy the options ask for; None if none of them is about it."""
        from dvsnet_jax import policies

        given = {"dynamic": self.dynamic, "interval": self.interval is not None, "loss": self.limit is not None,
                 "budget": self.budget is not None, "fps": self.fps is not None}  # fmt: skip
        options = {kind: {"loss": "--limit"}.get(kind, f"--{kind}") for kind, said in given.items() if said}
        if len(options) > 1:
            raise UsageError(f"{' and '.join(options.values())} ask for different policies; leave all but one out")
        implied = next(iter(options), None)
        if self.policy and implied and self.policy != implied:
            raise UsageError(f"{options[implied]} and --policy {self.policy} contradict each other; leave one out")
        kind = self.policy or implied
        if kind is None and self.threshold is not None:
            if isinstance(stored, policies.FrameDifference):
                kind = "difference"
            elif isinstance(stored, policies.FlowMagnitude):
                kind = "flow"
            else:
                raise UsageError("--threshold alone does not say what it is for; add --policy difference or flow")
        if kind is None and self.target is not None:
            return "dynamic" if isinstance(stored, policies.DynamicTarget) else "confidence"
        return kind


def check_size(config: DVSNetConfig, size: tuple[int, int]) -> None:
    """Raises `UsageError` for a `--size`, height and width, that the configuration cannot cut into its regions."""
    from dvsnet_jax.video import region_grid

    try:
        region_grid(config, *size)
    except ValueError as error:
        raise UsageError(f"--size {size[0]}x{size[1]}: {error}") from error
