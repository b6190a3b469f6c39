"""Flow data named on a command line, several sets one after another.

pairs:FOLDER                       00001_img1.ppm, 00001_img2.ppm, 00001_flow.flo (FlyingChairs' names)
street:COUNT:SEED[:HEIGHTxWIDTH]   pairs of procedural street scenes 0 to 9 frames apart, 192x384
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from dvsnet_jax.datasets.folders import FlowFiles, FlowPair, list_flow_pairs
from dvsnet_jax.datasets.several import Concatenated, Remembered
from dvsnet_jax.datasets.street_sources import StreetFlowPairs, StreetPairs
from dvsnet_jax.errors import InputError

FORMS = "pairs:FOLDER or street:COUNT:SEED[:HxW]"


def flow_set(spec: str) -> Sequence[FlowPair]:
    """The flow pairs that a spec names. Raises InputError for a spec of another form, and as the readers do."""
    kind, *words = spec.split(":")
    if kind == "pairs" and words:
        return FlowFiles(list_flow_pairs(":".join(words)))
    if kind == "street" and len(words) in (2, 3):
        try:
            height, width = map(int, (words[2] if len(words) == 3 else "192x384").split("x"))
            pairs = StreetPairs(int(words[0]), height, width, seed=int(words[1]))
        except ValueError as error:
            raise InputError(f"{spec!r}: is not street:COUNT:SEED:HEIGHTxWIDTH in whole numbers") from error
        return StreetFlowPairs(pairs)
    raise InputError(f"{spec!r} names no flow pairs; expected {FORMS}")


def flow_sets(specs: Iterable[str], *, in_memory: bool = False) -> Sequence[FlowPair]:
    """Several as one; kept in memory on request."""
    sources = [flow_set(spec) for spec in specs]
    together = sources[0] if len(sources) == 1 else Concatenated(tuple(sources))
    return Remembered(together) if in_memory else together
