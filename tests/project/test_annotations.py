"""That annotations of arrays are checked in all calls while tests run (shape_checks.py), and all of them."""

from __future__ import annotations

import importlib
import inspect
import json
import pkgutil
import subprocess
import sys
import tokenize
from pathlib import Path
from typing import get_type_hints

import jax.numpy as jnp
import numpy as np
import pytest
import shape_checks
from jaxtyping import Array, Float, TypeCheckError

import dvsnet_jax
from dvsnet_jax.ops.warp import warp

PACKAGE = Path(dvsnet_jax.__file__).parent
checking = pytest.mark.skipif(
    not (shape_checks.WANTED and shape_checks.FOUND), reason="annotations are not checked in this run"
)


@checking
def test_another_number_of_axes_is_refused():
    with pytest.raises(TypeCheckError, match="values"):
        warp(jnp.zeros((4, 4, 3)), jnp.zeros((1, 4, 4, 2)))


@checking
def test_another_type_is_refused():
    with pytest.raises(TypeCheckError, match="flow"):
        warp(jnp.zeros((1, 4, 4, 3)), jnp.zeros((1, 4, 4, 2), jnp.int32))


@checking
def test_one_name_is_one_size_in_a_call():
    with pytest.raises(TypeCheckError, match="flow"):
        warp(jnp.zeros((1, 4, 4, 3)), jnp.zeros((2, 4, 4, 2)))


@checking
def test_numpys_arrays_are_taken_like_jaxs():
    flow = np.zeros((1, 4, 4, 2), np.float32)
    assert warp(np.ones((1, 4, 4, 3), np.float32), flow).shape == (1, 4, 4, 3)
    with pytest.raises(TypeCheckError, match="values"):
        warp(np.ones((4, 4, 3), np.float32), flow)


@checking
def test_a_result_is_of_its_arguments_sizes():
    @shape_checks.checked
    def first(values: Float[Array, "n w"], columns: int) -> Float[Array, "n w//2"]:
        return values[:, :columns]

    assert first(jnp.zeros((2, 6)), 3).shape == (2, 3)
    for columns in (2, 6):
        with pytest.raises(TypeCheckError, match="checking the return value"):
            first(jnp.zeros((2, 6)), columns)
    for values in (jnp.zeros(6), jnp.zeros((2, 6), jnp.int32), None):
        with pytest.raises(TypeCheckError, match="values"):
            first(values, 3)


def functions() -> dict[str, object]:
    """Every function and class of the package by its name, methods too, without what wraps them."""
    found = {}
    for info in pkgutil.walk_packages(dvsnet_jax.__path__, "dvsnet_jax."):
        if info.name.endswith("__main__"):
            continue
        module = importlib.import_module(info.name)
        for name, value in list(vars(module).items()):
            value = inspect.unwrap(value) if callable(value) else value
            if getattr(value, "__module__", None) != module.__name__:
                continue
            members = vars(value) if inspect.isclass(value) else {}
            found[f"{info.name}.{name}"] = value
            for member, inside in members.items():
                inside = getattr(inside, "fget", None) or getattr(inside, "__func__", inside)
                if inspect.isfunction(inside) and inside.__module__ == module.__name__:
                    found[f"{info.name}.{name}.{member}"] = inspect.unwrap(inside)
    return found


def test_every_annotation_of_arrays_has_a_meaning():
    """One that cannot be looked up, its names being imported for mypy alone, would be passed over without a word."""
    wrong, count = {}, 0
    for name, function in functions().items():
        for argument, hint in getattr(function, "__annotations__", {}).items():
            hint = getattr(hint, "__forward_arg__", hint)  # of a NamedTuple's fields
            if not isinstance(hint, str) or not ("Array" in hint or "ndarray" in hint):
                continue
            count += 1
            alone = type(name, (), {"__annotations__": {argument: hint}, "__module__": function.__module__})
            try:
                get_type_hints(alone)
            except Exception as error:
                wrong[f"{name}({argument}: {hint})"] = repr(error)
    assert count > 600 and not wrong


def test_every_name_is_defined():
    """Neither ruff nor mypy is asked, to whom the dimensions in shape strings are names that nobody defines."""
    command = [sys.executable, "-m", "ruff", "check", "--isolated", "--select", "F821", "--output-format", "json"]
    found = subprocess.run([*command, str(PACKAGE)], capture_output=True, text=True).stdout
    undefined = {
        f"{each['filename']}:{each['location']['row']} {each['message']}"
        for each in json.loads(found)
        if not _in_a_string(Path(each["filename"]), each["location"]["row"], each["location"]["column"] - 1)
    }
    assert not undefined


def _in_a_string(path: Path, row: int, column: int) -> bool:
    with path.open("rb") as file:
        return any(
            token.type == tokenize.STRING and token.start < (row, column) < token.end
            for token in tokenize.tokenize(file.readline)
        )
