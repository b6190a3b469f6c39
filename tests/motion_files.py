"""A picture that moves by a known amount, as frames and as files of any codec."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from PIL import Image

STEP = np.array([5.0, -3.0])
"""(x, y) in pixels, from a frame to the one before it."""


def picture(height: int, width: int, seed: int = 0) -> np.ndarray:
    """uint8 [h, w, 3]: blotches of 4 to 64 pixels, the larger the stronger, as streets have them."""
    rng = np.random.default_rng(seed)
    grey = np.zeros((height, width), np.float32)
    for size in (4, 8, 16, 32, 64):
        coarse = rng.normal(0, size**0.5, (height // size + 2, width // size + 2)).astype(np.float32)
        bigger = (coarse.shape[1] * size, coarse.shape[0] * size)
        grey += np.asarray(Image.fromarray(coarse).resize(bigger, Image.Resampling.BICUBIC))[:height, :width]
    grey = 128 + 40 * grey / np.std(grey)
    return np.repeat(np.clip(grey, 0, 255).astype(np.uint8)[..., None], 3, 2)


def moving(frames: int, height: int = 144, width: int = 240, seed: int = 0) -> np.ndarray:
    """uint8 [frames, h, w, 3] in which the flow from each frame to the one before is STEP everywhere."""
    x, y = (np.arange(frames)[:, None] * STEP).astype(int).T
    big = picture(height + int(np.ptp(y)), width + int(np.ptp(x)), seed)
    return np.stack([big[j : j + height, i : i + width] for i, j in zip(x - x.min(), y - y.min(), strict=True)])


def with_a_cut(before: int = 4, after: int = 4, height: int = 144, width: int = 240) -> np.ndarray:
    """So many frames of one scene, then of another."""
    return np.concatenate([moving(before, height, width), moving(after, height, width, seed=5)])


def write(path: Path, frames: np.ndarray, codec: str = "libx264", **options: object) -> str:
    """Encodes at 25 frames a second; `options` are the encoder's, with _ for -."""
    settings = {name.replace("_", "-"): str(value) for name, value in options.items()}
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=Fraction(25), options=settings)
        stream.height, stream.width = frames.shape[1:3]
        stream.pix_fmt = "yuv420p"
        for frame in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(stream.encode())
    return str(path)


def inner_error(motion) -> float:
    """Pixels by which the flow is off STEP, in the mean over cells that were in sight before."""
    return 8 * float(np.abs(motion.flow[2:-2, 2:-2] - STEP / 8).mean())
