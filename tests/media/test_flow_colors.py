"""Colours of flow: hue is direction, saturation is length, and the numbers are Middlebury's."""

import colorsys
import math

import jax.numpy as jnp
import numpy as np
import pytest

from dvsnet_jax.errors import InputError
from dvsnet_jax.flow_colors import flow_to_rgb, wheel_legend


def color(x: float, y: float, max_length: float = 1) -> tuple[int, ...]:
    return tuple(flow_to_rgb(np.array([[[x, y]]], np.float32), max_length)[0, 0].tolist())


def original(x: float, y: float) -> tuple[int, ...]:
    """`makecolorwheel` and `computeColor` as the description of `colorcode.cpp` gives them, one pixel at a time."""
    wheel = [(255, 255 * i // 15, 0) for i in range(15)]
    wheel += [(255 - 255 * i // 6, 255, 0) for i in range(6)]
    wheel += [(0, 255, 255 * i // 4) for i in range(4)]
    wheel += [(0, 255 - 255 * i // 11, 255) for i in range(11)]
    wheel += [(255 * i // 13, 0, 255) for i in range(13)]
    wheel += [(255, 0, 255 - 255 * i // 6) for i in range(6)]
    radius = math.hypot(x, y)
    place = (math.atan2(-y, -x) / math.pi + 1) / 2 * 54
    low = int(place)
    pixel = []
    for first, second in zip(wheel[low], wheel[(low + 1) % 55], strict=True):
        value = ((1 - (place - low)) * first + (place - low) * second) / 255
        pixel.append(int(255 * (1 - radius * (1 - value) if radius <= 1 else value * 0.75)))
    return tuple(pixel)


def test_numbers_are_middleburys():
    vectors = np.random.default_rng(0).uniform(-1.2, 1.2, (40, 50, 2)).astype(np.float32)
    expected = np.array([[original(*map(float, vector)) for vector in row] for row in vectors])
    difference = np.abs(flow_to_rgb(vectors, 1).astype(int) - expected)
    assert difference.max() <= 1 and (difference > 0).mean() < 0.01  # the original cuts to whole numbers in float32


def test_hue_follows_direction():
    assert color(1, 0) == (255, 0, 0)  # right: red
    assert color(-1, 0) == (0, 209, 255)  # left: cyan
    down, up = color(0, 1), color(0, -1)
    assert down[0] == 255 and down[1] > 200 and down[2] == 0  # yellow
    assert up[2] == 255 and up[0] > 60 and up[1] == 0  # violet
    hues = []
    for angle in np.linspace(0.01, 2 * math.pi - 0.2, 60):
        red, green, blue = color(math.cos(angle), math.sin(angle))
        hues.append(colorsys.rgb_to_hsv(red, green, blue)[0])
    assert (np.diff(hues) > 0).all()  # once around, never back


def test_saturation_follows_length():
    assert color(0, 0) == (255, 255, 255)
    shades = [color(length, 0)[1] for length in np.linspace(0, 1, 11)]
    assert shades[0] == 255 and shades[-1] == 0 and (np.diff(shades) < 0).all()
    assert color(1.01, 0) == (191, 0, 0)  # beyond max_length: darkened
    assert color(5, 0, max_length=10) == color(0.5, 0)


def test_zero_is_white_and_unknown_is_black():
    flow = np.array([[[0, 0], [-0.0, -0.0], [np.nan, 0], [0, np.nan], [1e10, 1e10], [0, -np.inf]]])
    picture = flow_to_rgb(flow)
    assert picture.dtype == np.uint8
    assert (picture[0, :2] == 255).all() and (picture[0, 2:] == 0).all()


def test_the_longest_vector_is_never_darkened():
    for seed in range(50):
        flow = np.random.default_rng(seed).normal(0, 10, (1, 1, 2)).astype(np.float32)
        assert flow_to_rgb(flow).max() == 255


def test_unknown_pixels_do_not_set_the_length():
    flow = np.array([[[3.0, 0], [1e10, 1e10], [np.nan, np.inf]]])
    assert flow_to_rgb(flow)[0, 0].tolist() == [255, 0, 0]


def test_minus_zero_is_zero():
    assert color(1, -0.0) == color(1, 0.0)
    assert color(-0.0, 1) == color(0.0, 1)


def test_each_picture_has_its_own_length():
    flow = np.zeros((2, 3, 4, 5, 2), np.float32)
    flow[..., 0] = np.arange(1, 7).reshape(2, 3, 1, 1)
    pictures = flow_to_rgb(flow)
    assert pictures.shape == (2, 3, 4, 5, 3)
    assert (pictures == [255, 0, 0]).all()
    shared = flow_to_rgb(flow, max_length=6)
    assert len(np.unique(shared[..., 1])) == 6
    np.testing.assert_array_equal(shared[1, 2], flow_to_rgb(flow[1, 2], 6))


def test_takes_arrays_of_any_real_kind():
    flow = np.random.default_rng(0).integers(-20, 20, (4, 5, 2))
    expected = flow_to_rgb(flow.astype(np.float32))
    for same in (flow, flow.tolist(), flow.astype(np.float64), jnp.asarray(flow, jnp.bfloat16)):
        np.testing.assert_array_equal(flow_to_rgb(same), expected)
    assert flow_to_rgb(np.zeros((0, 3, 4, 2))).shape == (0, 3, 4, 3)
    assert flow_to_rgb(np.zeros((0, 4, 2))).shape == (0, 4, 3)


@pytest.mark.parametrize("shape", [(4, 2), (2, 4, 5), (4, 5, 3), (2,)])
def test_other_shapes_are_refused(shape):
    with pytest.raises(InputError, match=r"expected real numbers \[\.\.\., height, width, 2\]"):
        flow_to_rgb(np.zeros(shape))


@pytest.mark.parametrize("max_length", [0, -1, float("nan"), float("inf")])
def test_other_lengths_are_refused(max_length):
    with pytest.raises(InputError, match="expected a positive number"):
        flow_to_rgb(np.zeros((4, 5, 2)), max_length)


@pytest.mark.parametrize("size", [1, 2, 63, 64])
def test_legend_is_a_white_cornered_wheel(size):
    legend = wheel_legend(size)
    assert legend.shape == (size, size, 3) and legend.dtype == np.uint8
    if size < 60:
        return
    assert (legend[[0, 0, -1, -1], [0, -1, 0, -1]] == 255).all()
    middle = size // 2
    assert legend[middle, middle].min() > 240
    assert legend[middle, -1, 0] == 255 and legend[middle, -1, 1:].max() < 20  # right: red
    assert legend[middle, 0, 0] < 20 and legend[middle, 0, 2] == 255  # left: cyan
    assert legend[-1, middle, 2] < 20 and legend[-1, middle, 0] == 255  # down: yellow
    assert legend[0, middle, 1] < 20 and legend[0, middle, 2] == 255  # up: violet


def test_legend_refuses_no_size():
    with pytest.raises(InputError, match="expected 1 pixel or more"):
        wheel_legend(0)
