"""Annotations of arrays, checked in all calls of the package while its tests run.

What is annotated `Float[Array, "regions h w"]` must come as such: a type and a number of axes, and names that mean one
size throughout a call, arguments and result. Annotations without arrays are left to mypy, which sees them all.
"""

from __future__ import annotations

import functools
import importlib.util
import inspect
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import is_dataclass
from types import FunctionType, UnionType
from typing import Any, Union, get_args, get_origin

import jax
import jaxtyping
import numpy as np
from jaxtyping import AbstractArray, TypeCheckError, config, install_import_hook

WANTED = os.environ.get("DVSNET_CHECK_ANNOTATIONS") != "0"
FOUND = importlib.util.find_spec("beartype") is not None
if FOUND:
    from beartype import BeartypeConf
    from beartype.door import is_bearable

    _AS_GIVEN = BeartypeConf(is_pep484_tower=True)  # an int is a float
_JAXTYPED = jaxtyping.jaxtyped
_PLANS: dict[tuple[Any, ...], Plan] = {}


def install() -> None:
    """Has the package's functions checked; before anything of it is imported."""
    if WANTED and FOUND:
        jaxtyping.jaxtyped = jaxtyped  # what the hook puts above every function and class
        install_import_hook("dvsnet_jax", "beartype.beartype")


def jaxtyped(**options: Any) -> Callable[[Any], Any]:
    """jaxtyping's own for functions whose shapes are of arguments' values, `{features}`. Others have one that looks at
    each combination of shapes once; those that do not speak of arrays, which are most, none."""

    def decorate(function: Any) -> Any:
        if isinstance(function, type):
            if is_dataclass(function) and "__init__" in vars(function):
                setattr(function, "__init__", decorate(function.__init__))  # noqa: B010 (mypy lets none be assigned)
            return function
        spoken = hints(function)
        if "{" in repr([*spoken.values()]):
            function.__annotations__ = spoken
            return _JAXTYPED(**options)(function)
        return checked(function) if spoken else function

    return decorate


def hints(function: FunctionType) -> dict[str, Any]:
    """Those of a function's annotations that speak of arrays, as they are taken; not those that cannot be looked up
    (yet), which jaxtyping passes over too."""
    found = {}
    for name, hint in function.__annotations__.items():
        with suppress(Exception):
            found[name] = meaning(hint, function.__globals__["__name__"])
    return {name: hint for name, hint in found.items() if hint is not None}


@functools.cache
def meaning(hint: Any, module: str) -> Any:
    """Of an annotation, which may stand as text: as it is taken, or None where it does not speak of arrays."""
    hint = eval(hint, vars(sys.modules[module])) if isinstance(hint, str) else hint
    return as_taken(hint) if speaks_of_arrays(hint) else None


class Plan:
    """What of a function is to be looked at, and what of it was right before."""

    def __init__(self, function: FunctionType):
        code = function.__code__
        by_name = code.co_argcount + code.co_kwonlyargcount
        self.name = f"{function.__module__}.{function.__qualname__}"
        self.hints, self.right = hints(function), set[Any]()
        self.arguments = [
            (place if place < code.co_argcount else sys.maxsize, name)  # the rest are never given by place
            for place, name in enumerate(code.co_varnames[:by_name])
            if name in self.hints
        ]
        has_rest = code.co_flags & inspect.CO_VARARGS and code.co_varnames[by_name] in self.hints
        self.rest = (code.co_argcount, code.co_varnames[by_name]) if has_rest else None

    def given(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> list[tuple[str, Any]]:
        """Names and values of what a call brings."""
        found = [
            (name, args[place] if place < len(args) else kwargs[name])
            for place, name in self.arguments
            if place < len(args) or name in kwargs
        ]
        if self.rest is not None:
            found += [(self.rest[1], value) for value in args[self.rest[0] :]]
        return found

    def require(self, given: list[tuple[str, Any]]) -> None:
        """That all is as annotated, in sizes that go together; looked at once for each combination of them."""
        kinds = tuple([(name, kind(value)) for name, value in given])
        if kinds in self.right:
            return
        with _JAXTYPED("context"):  # names are of one size within
            for name, value in given:
                if not is_bearable(value, self.hints[name], conf=_AS_GIVEN):
                    what = "return value" if name == "return" else f"argument {name}"
                    beside = ", ".join(f"{name} {described(value)}" for name, value in given)
                    raise TypeCheckError(
                        f"checking the {what} of {self.name}: expected {self.hints[name]}, came with {beside}"
                    )
        self.right.add(kinds)


def kind(value: Any) -> Any:
    """All of a value that annotations speak of."""
    if isinstance(value, list | tuple):
        return type(value), *map(kind, value)
    if isinstance(value, dict):
        return dict, *((name, kind(each)) for name, each in value.items())
    shape = getattr(value, "shape", None)
    if not isinstance(shape, tuple):
        return type(value)
    return type(value), value.dtype, shape if type(sum(shape)) is int else str(shape)  # symbols compare by their scope


def checked(function: FunctionType) -> Callable[..., Any]:
    """`function` with those of its annotations checked that speak of arrays.

    What is to be checked is found when it is first called: many never are. For a function within another, made anew in
    every call, name, arguments and annotations are the same each time: one plan serves.
    """
    code, annotations = function.__code__, tuple(function.__annotations__.items())
    which = (function.__globals__["__name__"], function.__qualname__, code.co_varnames, annotations)

    @functools.wraps(function)
    def check(*args: Any, **kwargs: Any) -> Any:
        __tracebackhide__ = True
        if config.jaxtyping_disable:
            return function(*args, **kwargs)
        plan = _PLANS.get(which) or _PLANS.setdefault(which, Plan(function))
        given = plan.given(args, kwargs)
        plan.require(given)
        result = function(*args, **kwargs)
        if "return" in plan.hints:
            plan.require([*given, ("return", result)])
        return result

    return check


def described(value: Any) -> str:
    return str(jax.tree.map(lambda leaf: f"{leaf.dtype}{list(leaf.shape)}" if hasattr(leaf, "dtype") else leaf, value))


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
