"""OpenCV, which finds motion between real frames and draws pairs to train on; imported when it is asked for."""

from __future__ import annotations

from typing import Any

from dvsnet_jax.errors import InputError


def opencv(wanted_for: str) -> Any:
    """The module cv2. Raises InputError, with what it is `wanted_for`, where it is missing or cannot be loaded."""
    try:
        import cv2
    except ImportError as error:
        raise InputError(
            f"{wanted_for} needs OpenCV, which comes with dvsnet-jax but cannot be loaded here ({error}); "
            "pip install --force-reinstall --no-deps opencv-python-headless"
        ) from error
    cv2.setNumThreads(1)  # loaders have threads of their own, and XLA wants the cores
    return cv2
