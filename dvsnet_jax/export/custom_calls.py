"""What a lowered program is made of, and which of its custom calls a platform can run.

A custom call is a function by name that XLA does not know and a platform's runtime must bring along: LAPACK on a CPU,
cuSOLVER on a GPU, a Pallas kernel, a callback into this process' Python.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping

ANYWHERE = ("Sharding", "SPMDFullToShardShape", "SPMDShardToFullShape", "annotate_device_placement",
            "shape_assertion", "stablehlo.")  # fmt: skip
"""Beginnings of the names that XLA itself takes out before anything runs."""
RUNS_ON: Mapping[str, tuple[str, ...]] = {
    "cpu": ("lapack_",),
    "cuda": ("cusolver_", "cusparse_", "cu_", "mosaic_gpu"),
    "rocm": ("hipsolver_", "hipsparse_", "hip_"),
    "tpu": ("tpu_custom_call", "Eigh", "Qr", "ProductOfElementaryHouseholderReflectors", "LuDecomposition",
            "ApproxTopK"),
}  # fmt: skip
"""Beginnings of the names that each platform's jaxlib brings along and promises to keep."""

_OPERATION = re.compile(r"= \"?((?:stablehlo|chlo|mhlo|sdy)\.[a-z_0-9]+)")
_CUSTOM_CALL = re.compile(r"stablehlo\.custom_call\"?\s*(?:@([\w$.]+)|\(.*call_target_name = \"([^\"]+)\")")


def operations(text: str) -> Counter[str]:
    """How often each kind of operation stands in a module's text (`Lowered.as_text()`), custom calls apart."""
    found = Counter(match[1].split(".", 1)[1] for match in _OPERATION.finditer(text))
    found.pop("custom_call", None)
    return found


def custom_calls(text: str) -> Counter[str]:
    """How often each custom call stands in a module's text, by the name it is called."""
    return Counter(match[1] or match[2] for match in _CUSTOM_CALL.finditer(text))


def cannot_run(text: str, platform: str) -> list[str]:
    """The names of a module's custom calls that `platform` is not known to run, sorted."""
    runs = (*ANYWHERE, *RUNS_ON[platform])
    return sorted(name for name in custom_calls(text) if not name.startswith(runs))
