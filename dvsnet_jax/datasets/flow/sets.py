"""Flow data named on a command line, several sets one after another.

pairs:FOLDER                       00001_img1.ppm, 00001_img2.ppm, 00001_flow.flo (FlyingChairs' names)
street:COUNT:SEED[:HEIGHTxWIDTH]   pairs of procedural street scenes 0 to 9 frames apart, 192x384
sintel, things, kitti, hd1k, spring, viper, tartanair:ROOT…   whole sets (datasets/flow/layouts.py)
flying:COUNT:SEED:HEIGHTxWIDTH:CLIPS   pieces of the frames of clips (datasets/clips.py) that fly over others
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from dvsnet_jax.datasets.clips import clip_sets
from dvsnet_jax.datasets.combined import Concatenated, Remembered
from dvsnet_jax.datasets.flow import layouts
from dvsnet_jax.datasets.flow.flying import FlyingPairs
from dvsnet_jax.datasets.folders import FlowFiles, FlowPair, list_flow_pairs
from dvsnet_jax.datasets.street.sources import StreetFlowPairs, StreetPairs
from dvsnet_jax.errors import InputError

FORMS = f"pairs:FOLDER, {layouts.FORMS}, street:COUNT:SEED[:HxW] or flying:COUNT:SEED:HxW:CLIPS"


def flow_set(spec: str) -> Sequence[FlowPair]:
    """The flow pairs that a spec names. Raises InputError for a spec of another form, and as the readers do."""
    kind, *words = spec.split(":")
    if kind == "pairs" and words:
        return FlowFiles(list_flow_pairs(":".join(words)))
    if kind in layouts.KINDS and words:
        return FlowFiles(layouts.list_layout(spec))
    if kind == "street" and len(words) in (2, 3):
        count, seed, size = _numbers(spec, *words)
        return StreetFlowPairs(StreetPairs(count, *size, seed=seed))
    if kind == "flying" and len(words) > 3:
        count, seed, size = _numbers(spec, *words[:3])
        return FlyingPairs(count, *size, seed=seed, pictures=clip_sets([":".join(words[3:])], one_size=False))
    raise InputError(f"{spec!r} names no flow pairs; expected {FORMS}")


def _numbers(spec: str, count: str, seed: str, size: str = "192x384") -> tuple[int, int, tuple[int, int]]:
    try:
        height, width = map(int, size.split("x"))
        numbers = int(count), int(seed), (height, width)
        if min(numbers[:2]) < 0:
            raise ValueError(spec)
    except ValueError as error:
        kind = spec.split(":")[0]
        raise InputError(f"{spec!r}: is not {kind}:COUNT:SEED:HEIGHTxWIDTH in whole numbers from 0 up") from error
    return numbers


def flow_sets(specs: Iterable[str], *, in_memory: bool = False) -> Sequence[FlowPair]:
    """Several as one; kept in memory on request."""
    sources = [flow_set(spec) for spec in specs]
    together = sources[0] if len(sources) == 1 else Concatenated(tuple(sources))
    return Remembered(together) if in_memory else together
