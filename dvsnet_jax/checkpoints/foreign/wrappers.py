"""What frameworks put around weights of torch: dicts in dicts, and something before every name.

{"state_dict": …}, {"model": …, "optimizer": …}, {"model_state_dict": …, "epoch": 3}: trainings; Lightning, mmseg, timm
{"params": …, "params_ema": …}              BasicSR; the weights, and their moving average
"module.conv1.weight"                       DataParallel, DistributedDataParallel; with "n_averaged" AveragedModel
"_orig_mod.conv1.weight"                    torch.compile
"model.conv1.weight"                        Lightning: what the training calls its network
"""

from __future__ import annotations

import warnings
from collections.abc import Collection, Mapping
from typing import Any, TypeVar

from dvsnet_jax.errors import InputNotice

Array = TypeVar("Array")

_BY_NAME = ("state_dict", "model_state_dict", "model", "model_state", "net", "network", "module", "weights", "params")
"""Under which weights are looked for, in this order; others count where they alone hold any."""
_NO_WEIGHTS = ("optim", "scheduler", "scaler")
_DEEPEST = 3
_BEFORE = ("module", "_orig_mod", "model", "net", "network")
"""First parts of names that no network of ours begins with."""
_COUNTER = "n_averaged"


def state_dict_in(content: Mapping[str, Any], *, source: str) -> Mapping[str, Any]:
    """The weights in what a file of torch holds: of the dicts in it the one with tensors, `content` itself where there
    is none. Where there are several, one of them is taken and that is told."""
    for _ in range(_DEEPEST):
        inside = {name: each for name, each in content.items() if _may_be_weights(str(name), each)}
        if not inside:
            break
        taken = next((name for name in _BY_NAME if name in inside), next(iter(inside)))
        if others := [str(name) for name in inside if name != taken]:
            warnings.warn(
                f"{source}: holds several sets of weights; {taken} is taken, not {', '.join(others)}",
                InputNotice,
                stacklevel=2,
            )
        content = inside[taken]
    return content


def without_wrappers(arrays: Mapping[str, Array], wanted: Collection[str] = ()) -> dict[str, Array]:
    """Weights by the names that their network has for them, without what all names begin with because of a wrapper
    around it; where `wanted` are the network's names, whatever that is."""
    firsts = {_first(name) for name in wanted}
    found = {name: array for name, array in arrays.items() if name != _COUNTER}
    if not _wrapped(found, firsts):
        return dict(arrays)
    while _wrapped(found, firsts):
        found = {name.partition(".")[2]: array for name, array in found.items()}
    return found


def _wrapped(names: Collection[str], firsts: Collection[str]) -> bool:
    """Whether all names begin with the same part, which is none of `firsts`, or where there are none, a wrapper's."""
    parts = {_first(name) if "." in name else "" for name in names}
    part = next(iter(parts), "")
    return len(parts) == 1 and part != "" and (part not in firsts if firsts else part in _BEFORE)


def _first(name: str) -> str:
    return name.partition(".")[0]


def _may_be_weights(name: str, each: Any, deepest: int = _DEEPEST) -> bool:
    if not deepest or not isinstance(each, Mapping) or any(part in name.lower() for part in _NO_WEIGHTS):
        return False  # a dict may also hold itself
    return any(
        isinstance(key, str) and (_is_tensor(value) or _may_be_weights(key, value, deepest - 1))
        for key, value in each.items()
    )


def _is_tensor(value: Any) -> bool:
    import torch

    return isinstance(value, torch.Tensor)
