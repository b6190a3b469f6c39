"""Matching named arrays with the parameters of a network, all or nothing.

An importer that skips what it cannot place leaves a network half random, and nobody notices. So this one refuses: an
unknown name, a name mapped twice, a parameter left unset, a wrong shape or type, a value that is not finite; all of
them at once, in one message.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax.traverse_util import flatten_dict, unflatten_dict

from dvsnet_jax.config import DVSNetConfig
from dvsnet_jax.errors import InputError

_LONGEST = 40
"""Lines of one kind in a message: a file of quite another network would fill the terminal with hundreds."""


flatten = partial(flatten_dict, sep="/")
"""Nested dicts as one, {"flow": {"conv1": {"weights": x}}} → {"flow/conv1/weights": x}."""
unflatten = partial(unflatten_dict, sep="/")
"""What `flatten` was given."""


def with_flow(params: dict[str, Any], config: DVSNetConfig) -> dict[str, Any]:
    """The parameters with the empty entry that carried motion without a scale field has for them, as
    `networks.init_params` makes it: arrays alone are stored."""
    return {"flow": {}, **params} if config.carries_motion else params


def match(
    variables: Mapping[str, Any],
    target: Mapping[str, Any],
    *,
    rename: Callable[[str], str] = lambda name: name,
    ignore: Callable[[str], bool] = lambda name: False,
    source: str = "the given variables",
) -> dict[str, Any]:
    """Every array of `variables` at its place in `target`.

    Args:
      variables: {name: array of floating point numbers}, of any width; the results have the target's.
      target: nested dict of shapes, as `networks.abstract_params` gives it.
      rename: source name → target name, its scopes joined by '/'. A name that the target lacks is an unknown one.
      ignore: which source names are not parameters, such as an optimizer's.
      source: what the message calls the variables: the file.

    Returns:
      A nested dict like `target`, of JAX arrays that own their memory.

    Raises:
      InputError: something does not match; the lists say all of it, `-` for what was wanted and `+` for what came.
    """
    wanted = flatten(target)
    placed: dict[str, list[str]] = {}
    for name in variables:
        if not ignore(name):
            placed.setdefault(rename(name), []).append(name)

    missing = [f"- {_line(name, wanted[name])}" for name in wanted if name not in placed]
    unknown, twice, misshapen, infinite = [], [], [], []
    flat = {}
    for name, sources in placed.items():
        arrays = [np.asarray(variables[each]) for each in sources]
        came = [f"+ {_line(each, array)}" for each, array in zip(sources, arrays, strict=True)]
        if name not in wanted:
            unknown += came
        elif len(sources) > 1:
            twice += [f"- {_line(name, wanted[name])}", *came]
        elif arrays[0].shape != wanted[name].shape or not jnp.issubdtype(arrays[0].dtype, jnp.floating):
            misshapen += [f"- {_line(name, wanted[name])}", *came]
        else:
            with np.errstate(over="ignore"):  # a float64 beyond float32 becomes inf, which is reported below
                array = arrays[0].astype(wanted[name].dtype)
            if bad := array.size - int(np.isfinite(array).sum()):
                infinite.append(f"{came[0]}: {bad} of {array.size}")
            flat[name] = array

    refuse(
        source,
        {
            "missing": missing,
            "unknown": unknown,
            "mapped twice": twice,
            "of another shape or type": misshapen,
            "with values that are not finite": infinite,
        },
    )
    return unflatten(jax.device_put(flat))


def check_shapes(came: Mapping[str, Any], target: Mapping[str, Any], *, source: str) -> None:
    """Raise InputError, with lists as `match` has them, unless names, shapes and types are the target's.

    `came` is flat, {"flow/conv1/weights": anything with shape and dtype}.
    """
    wanted = flatten(target)
    other = [
        name for name in wanted.keys() & came.keys()
        if (came[name].shape, came[name].dtype) != (wanted[name].shape, wanted[name].dtype)
    ]  # fmt: skip
    refuse(
        source,
        {
            "missing": [f"- {_line(name, wanted[name])}" for name in wanted if name not in came],
            "unknown": [f"+ {_line(name, came[name])}" for name in came if name not in wanted],
            "of another shape or type": [
                f"{sign} {_line(name, side[name])}"
                for name in sorted(other)
                for sign, side in (("-", wanted), ("+", came))
            ],
        },
    )


def refuse(source: str, problems: Mapping[str, Iterable[str]]) -> None:
    """Raise InputError with the lines of all the problems, {what is wrong: its lines}; nothing where there are none."""
    found = {what: list(lines) for what, lines in problems.items() if lines}
    if not found:
        return
    message = [f"{source} does not hold the weights of this configuration. -: wanted, +: what came."]
    for what, lines in found.items():
        message.append(f"  {what}:")
        message += [f"    {line}" for line in lines[:_LONGEST]]
        if len(lines) > _LONGEST:
            message.append(f"    … and {len(lines) - _LONGEST} more such lines")
    raise InputError("\n".join(message))


def _line(name: str, array: Any) -> str:
    kind = "" if array.dtype == np.float32 else f" {array.dtype}"
    return f"{name} {list(array.shape)}{kind}"
