"""The picture of a calibration: what was predicted against what was true."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import UInt8
from PIL import Image, ImageDraw

_BLUE, _LIGHT, _GRAY, _BLACK, _WHITE = (31, 119, 180), (225, 225, 225), (150, 150, 150), (0, 0, 0), (255, 255, 255)


def calibration_plot(
    predicted: Sequence[float], true: Sequence[float], side: int = 480
) -> UInt8[np.ndarray, "side side 3"]:
    """A line through the points (predicted, true), percent, each a dot; RGB.

    On the grey diagonal predictions are right. Both axes cover the same range, which holds every point.
    """
    values = [*predicted, *true]
    low, high = min(values), max(values)
    step = next(step for step in (1, 2, 5, 10, 20, 50, 100, 1 << 30) if (high - low) / step <= 6)
    low, high = step * np.floor(low / step), step * max(np.ceil(high / step), np.floor(low / step) + 1)
    near, far, font = side // 8, side - side // 20, side // 32  # ends of the axes; size of letters, pixels

    def place(x: float, y: float) -> tuple[float, float]:
        across, up = (near + (value - low) / (high - low) * (far - near) for value in (x, y))
        return across, side - up

    image = Image.new("RGB", (side, side), _WHITE)
    draw = ImageDraw.Draw(image)
    for tick in np.arange(low, high + step / 2, step):
        draw.line([place(tick, low), place(tick, high)], _LIGHT)
        draw.line([place(low, tick), place(high, tick)], _LIGHT)
        x, y = place(tick, tick)
        draw.text((x, side - near + font), f"{tick:.0f}", _BLACK, anchor="mm", font_size=font)
        draw.text((near - font / 2, y), f"{tick:.0f}", _BLACK, anchor="rm", font_size=font)
    draw.line([place(low, low), place(high, high)], _GRAY)
    draw.line([place(low, high), place(low, low), place(high, low)], _BLACK)
    middle = (near + far) / 2
    draw.text((middle, side - near + 2.6 * font), "predicted, %", _BLACK, anchor="mm", font_size=font)
    draw.text((near, side - far - font), "true, %", _BLACK, anchor="mm", font_size=font)
    points = [place(*point) for point in zip(predicted, true, strict=True)]
    draw.line(points, _BLUE)
    for point in points:
        draw.circle(point, side / 110, _BLUE)
    return np.asarray(image)
