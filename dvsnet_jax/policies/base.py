"""What the frame step asks of a policy, what a policy may look at, and which of its numbers are not compiled in."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Hashable, Sequence
from functools import partial
from typing import Any, NamedTuple, Protocol, runtime_checkable

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float


class Evidence(NamedTuple):
    """What a policy may look at: one number per region, all of them about the current frame against the key frame.

    What a policy does not read is never computed for it: the compiler drops it. The frame step shows a policy no NaN:
    where a network gave what is no number, or there is no key frame yet, all three are the worst there is (score -inf,
    the others inf), and the region is segmented whatever the policy says.
    """

    score: Float[Array, "regions"]
    """Expected confidence score, percent; the decision network's output, not clipped to 0..100."""
    frame_difference: Float[Array, "regions"]
    """Mean absolute difference to the key frame in grey levels, 0..255, at half resolution."""
    flow_magnitude: Float[Array, "regions"]
    """Mean length of the flow vectors, in pixels of the frame."""


@runtime_checkable
class Policy(Protocol):
    """What the frame step asks of a policy; any frozen (hashable) dataclass with these three methods is one.

    All of a policy of your own is compiled in, so every setting of it is a program of its own. To have numbers of it
    traced instead, name their fields in the class itself: `traced: ClassVar = ("target",)`. The compiled step then
    remakes the policy from its fields, without `__init__` and `__post_init__`, and its methods must not ask for those
    numbers' values in Python (`if self.target > 50`).
    """

    def init(self, regions: int) -> Any:
        """The state before the first frame: a pytree whose leaves have `regions` as their first axis; () where nothing
        moves from frame to frame. A NamedTuple of the policy's own: the frame step tells another policy's by it.
        Settings do not belong in it, they are read from the policy at every frame."""

    def decide(self, state: Any, evidence: Evidence) -> tuple[Bool[Array, "regions"], Any]:
        """`(segment, state)`: True where the region must be segmented anew, and the next state."""

    def targets(self, state: Any) -> Any:
        """What each region's evidence is held against, for the record (`FrameResult.targets`): a number for each, or
        one for all."""


class _Kind(NamedTuple):
    """What of a policy is compiled in."""

    policy: type
    settings: tuple[Hashable, ...]
    """The fields that are not traced, in their order."""


def split(policy: Policy) -> tuple[tuple[Any, ...], Any]:
    """The policy's traced numbers, as float32 (int32 for fields annotated `int`); and what is compiled in."""
    names = traced_names(policy)
    if not names:
        return (), policy
    fields = dataclasses.fields(policy)  # type: ignore[arg-type]
    numbers = tuple(_scalar(getattr(policy, f.name), f.type in (int, "int")) for f in fields if f.name in names)
    return numbers, _Kind(type(policy), tuple(getattr(policy, f.name) for f in fields if f.name not in names))


def join(numbers: Sequence[Any], kind: Any) -> Any:
    """The inverse of `split`. Numbers may be anything that stands for them: tracers, above all."""
    if not isinstance(kind, _Kind):
        return kind
    names, of_numbers, of_settings = traced_names(kind.policy), iter(numbers), iter(kind.settings)
    made: Any = object.__new__(kind.policy)
    for field in dataclasses.fields(kind.policy):  # past __post_init__, whose checks want values
        object.__setattr__(made, field.name, next(of_numbers if field.name in names else of_settings))
    return made


def traced_names(policy: Any) -> tuple[str, ...]:
    """Which fields a policy's own class has traced. A subclass says so anew: what it adds may want values."""
    return tuple(vars(policy if isinstance(policy, type) else type(policy)).get("traced", ()))


def check_traced(policy: Any) -> None:
    """TypeError where a policy has something traced that is no field of it."""
    names = traced_names(policy)
    if not names:
        return
    fields = {field.name for field in dataclasses.fields(policy)} if dataclasses.is_dataclass(policy) else set()
    if wrong := [name for name in names if name not in fields]:
        raise TypeError(
            f"{type(policy).__name__}.traced names {', '.join(wrong)}, but it is for fields of the dataclass "
            f"({', '.join(sorted(fields)) or 'there are none'})"
        )


def _scalar(number: Any, whole: bool) -> Any:
    if isinstance(number, int | float | np.number):
        return np.int32(number) if whole else np.float32(number)
    return number


def have_values(policy: Any) -> bool:
    """Whether the policy's numbers can be looked at; inside a traced function they may stand for any."""
    return not any(isinstance(number, jax.core.Tracer) for number in vars(policy).values())


def worst_where(mask: Bool[Array, "regions"], evidence: Evidence) -> Evidence:
    """The evidence, the worst there is where the mask says so."""
    score, *others = evidence
    return Evidence(jnp.where(mask, -jnp.inf, score), *(jnp.where(mask, jnp.inf, number) for number in others))


def kept_finite(before: Any, after: Any, where: Bool[Array, "regions"]) -> Any:
    """The state `after`, without what is no finite number any more in the regions named: that is as it was `before`."""

    def kept(old: Array, new: Array) -> Array:
        if not jnp.issubdtype(new.dtype, jnp.inexact):
            return new
        return jnp.where(where.reshape(-1, *[1] * (new.ndim - 1)) & ~jnp.isfinite(new), old, new)

    return jax.tree.map(kept, before, after)


def check_finite(policy: Any, **numbers: float) -> None:
    """ValueError for a number that is NaN or infinite."""
    for name, number in numbers.items():
        if not math.isfinite(number):
            raise ValueError(f"{type(policy).__name__}: {name} is {number}, but it must be a finite number")


def no_number(*evidence: Float[Array, "regions"]) -> Bool[Array, "regions"]:
    """Where one of them is NaN or infinite, and so tells nothing: a policy segments there."""
    return ~jnp.isfinite(jnp.stack(evidence)).all(0)


def check_state(state: Any, policy: Policy, regions: int) -> None:
    """Raises ValueError where `state`, a policy's, is none of this policy for so many regions."""
    expected = jax.eval_shape(partial(policy.init, regions))
    if _described(state) != _described(expected):
        raise ValueError(
            f"the state is of another policy: it carries {_told(state)}, and {type(policy).__name__} "
            f"{_told(expected)}. A policy's numbers may change at any frame, its kind not: call init_state again, or "
            f"keep the key frames with state._replace(policy=config.policy.init({regions}))"
        )


def _described(state: Any) -> Any:
    return jax.tree.structure(state), [(leaf.shape, leaf.dtype) for leaf in jax.tree.leaves(state)]


def _told(state: Any) -> str:
    leaves = [
        f"{jax.tree_util.keystr(path, simple=True, separator='.')} {leaf.dtype}{list(leaf.shape)}".strip()
        for path, leaf in jax.tree_util.tree_leaves_with_path(state)
    ]
    return f"{type(state).__name__} of {', '.join(leaves)}" if leaves else "nothing"
