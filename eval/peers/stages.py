"""Stages of a recipe that are commands of dvsnet, each left out where what it makes is there."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from dvsnet_jax.cli import main as dvsnet

_WITHOUT_TORCH = """
import sys
from dvsnet_jax.cli import main
status = main(sys.argv[1:])
sys.exit("torch was imported" if "torch" in sys.modules else status)
"""


def run(made: Path, *words: object, written: str | None = None) -> None:
    """A command that makes a file or folder, unless it is there; `written` is the option that names it. One that fails
    ends the recipe with its status."""
    if made.exists():
        return
    part = made.with_suffix(".part") if written else None
    print("dvsnet", *words, flush=True)
    if status := dvsnet([str(word) for word in (*words, *([written, part] if part else []))]):
        sys.exit(status)
    if part:
        part.replace(made)


def run_without_torch(*words: object) -> None:
    """A command in a process of its own, which must not import torch. Raises CalledProcessError where it fails."""
    subprocess.run([sys.executable, "-c", _WITHOUT_TORCH, *map(str, words)], check=True)
