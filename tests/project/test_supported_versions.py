"""The oldest libraries that are tested are the oldest that pyproject.toml admits."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import dvsnet_jax

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
NOT_PINNED = {"mypy", "ruff", "nbclient", "nbformat", "torch"}
"""mypy and ruff look at the code and are no part of it, nbclient and nbformat run the notebooks; torch's oldest release
has no CPU build on PyPI."""


def _numbers(version: str) -> tuple[int, ...]:
    """Without zeros at the end: 0.6 is 0.6.0."""
    return tuple(int(part) for part in re.sub(r"(\.0)+$", "", version).split("."))


def _pins(name: str) -> dict[str, str]:
    lines = (ROOT / "constraints" / name).read_text().splitlines()
    return dict(line.split("==") for line in lines if line and not line.startswith("#"))


def test_the_oldest_tested_are_the_oldest_admitted():
    extras = PROJECT["optional-dependencies"]
    wanted = [
        *PROJECT["dependencies"],
        *(one for extra in ("train", "spring", "import", "docs", "dev") for one in extras[extra]),
    ]
    admitted = dict(re.fullmatch(r"([\w-]+)>=([\d.]+)", one).groups() for one in wanted if "[" not in one)
    pinned = {name: _numbers(version) for name, version in _pins("oldest.in").items()}
    assert {name: _numbers(low) for name, low in admitted.items() if name not in NOT_PINNED} == pinned
    assert _pins("oldest.in").items() <= _pins("oldest.txt").items(), "make oldest.txt again; oldest.in says how"


def test_accelerators_want_the_same_jax():
    (jax,) = (one for one in PROJECT["dependencies"] if one.startswith("jax>"))
    for extra in ("cuda", "tpu"):
        (wanted,) = PROJECT["optional-dependencies"][extra]
        assert re.sub(r"\[\w+\]", "", wanted) == jax


def test_the_version_is_said_once_more_in_the_package_and_the_citation():
    assert PROJECT["version"] == dvsnet_jax.__version__
    assert f"\nversion: {PROJECT['version']}\n" in (ROOT / "CITATION.cff").read_text()


def test_each_python_that_is_claimed_is_tested():
    claimed = re.findall(r"Python :: (3\.\d+)", "\n".join(PROJECT["classifiers"]))
    workflow = (ROOT / ".github" / "workflows" / "tests.yml").read_text()
    tested = re.search(r"python: \[(.*?)\]", workflow).group(1)
    assert re.findall(r"3\.\d+", tested) == claimed
    assert PROJECT["requires-python"] == f">={claimed[0]}"
