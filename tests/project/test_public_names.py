"""What `dvsnet_jax` itself offers: all of it named, found by tools, in its table of contents, and light to import."""

from __future__ import annotations

import ast
import importlib
import re
import sys
from pathlib import Path

import pytest

import dvsnet_jax

PACKAGE = Path(dvsnet_jax.__file__).parent


def imported(path: Path) -> set[str]:
    """What a module imports as soon as it is imported itself, absolute names; not in functions, not for types alone."""
    found: set[str] = set()
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def test_every_public_name_is_in_all_and_there():
    for_types = next(node for node in ast.parse((PACKAGE / "__init__.py").read_text()).body if isinstance(node, ast.If))
    lazy = {alias.name for node in for_types.body if isinstance(node, ast.ImportFrom) for alias in node.names}
    at_once = {name.split(".")[-1] for name in imported(PACKAGE / "__init__.py") if name.startswith("dvsnet_jax.")}
    assert set(dvsnet_jax.__all__) == lazy | at_once and len(dvsnet_jax.__all__) == len(lazy) + len(at_once)
    assert lazy == set(dvsnet_jax._MODULE_OF)  # or type checkers see others than are there
    assert (
        {"segment_source", "Policy", "Evidence", "DeepLabLiteConfig"} <= set(dvsnet_jax.__all__) <= set(dir(dvsnet_jax))
    )
    for name, module in dvsnet_jax._MODULE_OF.items():
        assert getattr(dvsnet_jax, name) is getattr(importlib.import_module(f"dvsnet_jax.{module}"), name)


def test_a_star_brings_all_of_them_and_nothing_else():
    namespace: dict = {}
    exec("from dvsnet_jax import *", namespace)
    assert set(namespace) - {"__builtins__"} == set(dvsnet_jax.__all__)


def test_the_docstring_is_the_table_of_contents():
    told = re.findall(r"`(\w+)`", dvsnet_jax.__doc__)
    assert set(dvsnet_jax.__all__) <= set(told)
    for name in told:
        assert name in dvsnet_jax.__all__ or name == "Segmenter", f"{name} is in the docstring alone"
    for path in re.findall(r"`(dvsnet_jax\.[\w.]+)`", dvsnet_jax.__doc__):
        importlib.import_module(path)


@pytest.mark.parametrize(("module", "libraries"), [("dvsnet_jax", set()), ("dvsnet_jax.cli", {"rich", "tyro"})])
def test_the_import_is_light(module, libraries):
    """jax alone takes a second, which nobody wants to wait for before `dvsnet --help` or a misspelt option."""
    seen: set[str] = set()
    left, found = {module}, set()
    while left:
        name = left.pop()
        seen.add(name)
        path = PACKAGE.parent / name.replace(".", "/")
        names = imported(path / "__init__.py" if path.is_dir() else path.with_suffix(".py"))
        found |= {name.split(".")[0] for name in names if not name.startswith("dvsnet_jax")}
        for name in names:
            place = PACKAGE.parent / name.replace(".", "/")
            inside = name if place.is_dir() or place.with_suffix(".py").exists() else name.rpartition(".")[0]
            if inside.startswith("dvsnet_jax") and inside not in seen:
                left.add(inside)
    assert found - sys.stdlib_module_names == libraries
    assert {name.split(".")[1] for name in seen if "." in name} <= {"cli", "errors", "flownet_config"}
