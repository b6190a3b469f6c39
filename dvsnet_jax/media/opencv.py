"""OpenCV, which motion by DIS and the making of training data need."""

from __future__ import annotations

from typing import Any

from dvsnet_jax.errors import InputError


def opencv(wanted_for: str) -> Any:
    """The module cv2. Raises InputError, with what it is `wanted_for`, where it is not installed."""
    try:
        import cv2
    except ImportError as error:
        raise InputError(f"{wanted_for} needs OpenCV, which is not here: pip install opencv-python-headless") from error
    cv2.setNumThreads(1)  # loaders have threads of their own, and XLA wants the cores
    return cv2
