"""Annotations of arrays, checked in every call of the package while its tests run.

What is annotated `Float[Array, "regions h w"]` must come as such: a type and a number of axes, and names that mean one
size throughout a call, arguments and result. Annotations without arrays are left to mypy, which sees them all.
"""

from __future__ import annotations

import importlib.util
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from functools import cache
from types import FunctionType, UnionType
from typing import Any, Union, get_args, get_origin

import jax
import jaxtyping
import numpy as np
from jaxtyping import AbstractArray, TypeCheckError, config, install_import_hook

WANTED = os.environ.get("DVSNET_CHECK_ANNOTATIONS") != "0"
FOUND = importlib.util.find_spec("beartype") is not None
_CHECKED: dict[tuple[Any, ...], Callable[..., Any]] = {}


def install() -> None:
    """Has the package's functions checked; before anything of it is imported."""
    if WANTED and FOUND:
        jaxtyping.jaxtyped = where_arrays_are_spoken_of(jaxtyping.jaxtyped)  # what the hook puts above every function
        install_import_hook("dvsnet_jax", f"{__name__}.checked")


def where_arrays_are_spoken_of(jaxtyped: Callable[..., Any]) -> Callable[..., Any]:
    """`jaxtyped` that leaves functions alone in which it would check nothing: most, and dear to wrap within others."""

    def jaxtyped_or_not(**options: Any) -> Callable[[Any], Any]:
        def decorate(function: Any) -> Any:
            if isinstance(function, FunctionType) and not any(map(speaks_of_arrays, hints(function))):
                return function
            return jaxtyped(**options)(function)

        return decorate

    return jaxtyped_or_not


def hints(function: FunctionType) -> Iterator[Any]:
    """A function's annotations; not those that cannot be looked up (yet), which jaxtyping passes over too."""
    for hint in function.__annotations__.values():
        if not isinstance(hint, str):
            yield hint
            continue
        with suppress(Exception):
            yield meaning(hint, function.__module__)


@cache
def meaning(hint: str, module: str) -> Any:
    """Of an annotation that stands as text."""
    return eval(hint, vars(sys.modules[module]))


def checked(function: FunctionType) -> Callable[..., Any]:
    """`function` with those of its annotations checked that speak of arrays.

    It comes from jaxtyping and does nothing else, and the check is made when it is first called: many never are. For
    a function within another, made anew in every call, name, arguments and annotations are the same each time: one
    serves.
    """
    annotations = tuple(function.__annotations__.items())
    kind = (function.__module__, function.__qualname__, function.__code__.co_varnames, annotations)

    def check(*args: Any, **kwargs: Any) -> Any:
        if kind not in _CHECKED:
            from beartype import BeartypeConf, beartype

            # Where a result is looked at, its arguments were before the call, and their sizes are known.
            after = speaks_of_arrays(function.__annotations__.get("return"))
            function.__annotations__ = {
                name: as_taken(hint) if speaks_of_arrays(hint) and (name == "return" or not after) else Any
                for name, hint in annotations
            }
            _CHECKED[kind] = beartype(function, conf=BeartypeConf(is_pep484_tower=True))
        return _CHECKED[kind](*args, **kwargs)

    return check


def as_taken(hint: Any) -> Any:
    """Where JAX's arrays are taken numpy's are too, as everywhere in JAX; and they may be given back as they came."""
    if hint is jax.Array:
        return jax.Array | np.ndarray
    if isinstance(hint, type) and issubclass(hint, AbstractArray):
        return Union[hint, hint.dtype[np.ndarray, hint.dim_str]] if hint.array_type is jax.Array else hint  # noqa: UP007
    origin, arguments = get_origin(hint), tuple(map(as_taken, get_args(hint)))
    if origin in (Union, UnionType):
        return Union[arguments]  # noqa: UP007
    return origin[arguments] if origin in (tuple, list, dict, Sequence, Iterable, Mapping) else hint


def speaks_of_arrays(hint: Any) -> bool:
    if isinstance(hint, list):  # the arguments of a Callable
        return any(map(speaks_of_arrays, hint))
    if isinstance(hint, type) and issubclass(hint, AbstractArray | jax.Array | np.ndarray):
        return True
    return any(map(speaks_of_arrays, get_args(hint)))


def unchecked_within(raises: Callable[..., Any]) -> Callable[..., Any]:
    """`pytest.raises` with annotations unchecked in its block: a test that sees something refused gives what they
    forbid, and wants the function's own error. Unless it is `TypeCheckError` that is expected.
    """

    @contextmanager
    def block(expected: AbstractContextManager[Any]) -> Iterator[Any]:
        was = config.jaxtyping_disable
        with expected as raised:
            config.update("jaxtyping_disable", True)
            try:
                yield raised
            finally:
                config.update("jaxtyping_disable", was)

    def unchecked(exception: Any, *args: Any, **options: Any) -> Any:
        if args or exception is TypeCheckError:
            return raises(exception, *args, **options)
        return block(raises(exception, **options))

    return unchecked
