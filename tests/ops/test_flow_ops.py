"""FlowNet2's warp, downsampling and resizes: against slow references, the originals' kernels and finite differences."""

from __future__ import annotations

import itertools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.test_util import check_grads

from dvsnet_jax.ops import downsample as downsample_module
from dvsnet_jax.ops import flow_warp as flow_warp_module
from dvsnet_jax.ops import resize

# Compiled as a whole, as they are used: operation by operation these tests take several times as long.
downsample = jax.jit(downsample_module.downsample, static_argnames="size")
flow_warp = jax.jit(flow_warp_module.flow_warp, static_argnames="outside")
resize_align_corners = jax.jit(resize.resize_align_corners, static_argnames="size")
resize_half_pixel = jax.jit(resize.resize_half_pixel, static_argnames="size")
RNG = np.random.default_rng


def nhwc(array: np.ndarray) -> np.ndarray:
    return array.transpose(0, 2, 3, 1)


def warp_reference(image, flow, outside):
    n, h, w, _ = image.shape
    image = image.astype(np.float64)
    out = np.zeros_like(image)
    for i, y, x in itertools.product(range(n), range(h), range(w)):
        sx, sy = x + float(flow[i, y, x, 0]), y + float(flow[i, y, x, 1])
        if outside == "zero" and not (0 <= sx < w and 0 <= sy < h):
            continue
        left, top = math.floor(sx), math.floor(sy)
        for dy, dx in itertools.product((0, 1), (0, 1)):
            weight = (1 - abs(sy - top - dy)) * (1 - abs(sx - left - dx))
            out[i, y, x] += weight * image[i, min(max(top + dy, 0), h - 1), min(max(left + dx, 0), w - 1)]
    return out


@pytest.mark.parametrize("outside", ["zero", "border"])
@pytest.mark.parametrize("shape", [(1, 5, 7, 3), (2, 8, 3, 1), (1, 1, 1, 2)], ids=str)
@pytest.mark.parametrize("kind", ["small", "large", "whole pixels"])
def test_warp_equals_its_reference(shape, outside, kind):
    rng = RNG(0)
    image = rng.standard_normal(shape).astype(np.float32)
    flow = rng.standard_normal((*shape[:3], 2)).astype(np.float32) * {"small": 1, "large": 20, "whole pixels": 3}[kind]
    flow = np.round(flow) if kind == "whole pixels" else flow
    np.testing.assert_allclose(flow_warp(image, flow, outside=outside), warp_reference(image, flow, outside), atol=2e-5)


@pytest.mark.parametrize("case", ["a", "b"])
def test_warp_equals_flownet2_tf(goldens, case):
    arrays = goldens.arrays("flownet2_ops")
    out = flow_warp(arrays[f"warp_{case}_image"], arrays[f"warp_{case}_flow"])
    np.testing.assert_allclose(out, arrays[f"warp_{case}_out"], atol=1e-6)


@pytest.mark.parametrize("case", ["a", "b", "edge"])
def test_warp_equals_nvidia(goldens, case):
    arrays = goldens.arrays("flownet2_nvidia/ops")
    image, flow, expected = (nhwc(arrays[f"warp_{case}_{what}"]) for what in ("image", "flow", "out"))
    np.testing.assert_allclose(flow_warp(image, flow, outside="border"), expected, atol=1e-6)


@pytest.mark.parametrize("outside", ["zero", "border"])
def test_warp_derivatives_against_finite_differences(outside):
    rng = RNG(1)
    image = rng.standard_normal((1, 5, 6, 2)).astype(np.float32)
    # Away from whole coordinates by more than the step, where the warp has kinks.
    flow = rng.integers(-4, 4, (1, 5, 6, 2)) + rng.uniform(0.2, 0.8, (1, 5, 6, 2))
    function = lambda image, flow: flow_warp(image, flow, outside=outside)  # noqa: E731
    args = (image, flow.astype(np.float32))
    check_grads(function, args, order=1, modes=("fwd", "rev"), eps=0.02, atol=2e-3, rtol=2e-3)


@pytest.mark.parametrize("outside", ["zero", "border"])
@pytest.mark.parametrize("bad", [np.inf, -np.inf, 1e30, -1e30, 0.0])
def test_warp_gradient_is_finite_whatever_the_flow(outside, bad):
    image = RNG(2).standard_normal((1, 4, 5, 3)).astype(np.float32)
    flow = np.full((1, 4, 5, 2), bad, np.float32)
    out, pullback = jax.vjp(lambda image, flow: flow_warp(image, flow, outside=outside), image, flow)
    assert all(np.isfinite(x).all() for x in (out, *pullback(jnp.ones_like(out))))


def test_warp_zeroes_a_nan_and_passes_nothing_back():
    image = RNG(3).standard_normal((1, 4, 5, 3)).astype(np.float32)
    flow = np.zeros((1, 4, 5, 2), np.float32)
    flow[0, 1, 2, 0] = np.nan
    out, pullback = jax.vjp(flow_warp, image, flow)
    assert (np.asarray(out)[0, 1, 2] == 0).all()
    assert all(np.isfinite(x).all() for x in pullback(jnp.ones_like(out)))


def test_warp_refuses():
    image, flow = np.zeros((1, 4, 5, 3), np.float32), np.zeros((1, 4, 5, 2), np.float32)
    with pytest.raises(ValueError, match="needed"):
        flow_warp(image, flow[:, :3])
    with pytest.raises(ValueError, match="needed"):
        flow_warp(image, image)
    with pytest.raises(ValueError, match="'zero' or 'border'"):
        flow_warp(image, flow, outside="clamp")  # type: ignore[arg-type]


def downsample_reference(x, size):
    n, h, w, c = x.shape
    ratio_y, ratio_x = (h - 1) / (size[0] - 1), (w - 1) / (size[1] - 1)
    out, tie = np.zeros((n, *size, c)), np.zeros((n, *size, c), bool)
    for i, py, px, channel in itertools.product(range(n), range(size[0]), range(size[1]), range(c)):
        value = weight = missing = 0.0
        for y, xx in itertools.product(range(h), range(w)):
            tent = max(0, 1 - abs(y - py * ratio_y) / ratio_y) * max(0, 1 - abs(xx - px * ratio_x) / ratio_x)
            if np.isnan(x[i, y, xx, channel]):
                missing += tent
            else:
                value, weight = value + tent * float(x[i, y, xx, channel]), weight + tent
        out[i, py, px, channel] = value / weight if weight > 0 and missing / weight <= 0.5 else np.nan
        tie[i, py, px, channel] = abs(missing - 0.5 * weight) < 1e-5
    return out, tie


@pytest.mark.parametrize("holes", [0.0, 0.2, 0.5, 1.0])
@pytest.mark.parametrize(("shape", "size"), [((1, 9, 13, 2), (3, 4)), ((2, 12, 8, 1), (5, 6)), ((1, 8, 8, 2), (2, 2))])
def test_downsample_equals_its_reference(shape, size, holes):
    rng = RNG(4)
    x = rng.standard_normal(shape).astype(np.float32)
    x[rng.uniform(size=shape) < holes] = np.nan
    expected, tie = downsample_reference(x, size)
    assert tie.mean() < 0.05  # exactly half as much missing as known: the last bit decides
    np.testing.assert_allclose(np.asarray(downsample(x, size))[~tie], expected[~tie], atol=2e-6)


@pytest.mark.parametrize("case", ["a", "b", "c"])
def test_downsample_equals_flownet2_tf(goldens, case):
    arrays = goldens.arrays("flownet2_ops")
    expected = arrays[f"down_{case}_out"]
    np.testing.assert_allclose(downsample(arrays[f"down_{case}_in"], expected.shape[1:3]), expected, atol=1e-6)


def test_downsample_gradient_leaves_holes_alone():
    x = RNG(5).standard_normal((1, 9, 9, 1)).astype(np.float32)
    x[0, :4, :4] = np.nan
    gradient = np.asarray(jax.grad(lambda x: jnp.nansum(downsample(x, (3, 3))))(x))
    assert np.isfinite(gradient).all()
    assert (gradient[np.isnan(x)] == 0).all() and gradient.sum() > 1


@pytest.mark.parametrize("size", [(1, 4), (4, 1), (10, 4), (4, 14), (0, 4)])
def test_downsample_refuses(size):
    with pytest.raises(ValueError, match="downsample from 9×13"):
        downsample(np.zeros((1, 9, 13, 1), np.float32), size)


def resize_reference(x, size, corners):
    """Bilinear, position by position, in float64."""
    h, w = x.shape[1:3]

    def place(i, length, out):
        source = i * (length - 1) / max(out - 1, 1) if corners else (i + 0.5) * length / out - 0.5
        source = min(max(source, 0), length - 1)
        return min(int(source), max(length - 2, 0)), source - min(int(source), max(length - 2, 0))

    out = np.zeros((x.shape[0], *size, x.shape[3]))
    for py, px in itertools.product(range(size[0]), range(size[1])):
        (y, fy), (xx, fx) = place(py, h, size[0]), place(px, w, size[1])
        y2, x2 = min(y + 1, h - 1), min(xx + 1, w - 1)
        upper, lower = x[:, y, xx] * (1 - fx) + x[:, y, x2] * fx, x[:, y2, xx] * (1 - fx) + x[:, y2, x2] * fx
        out[:, py, px] = upper * (1 - fy) + lower * fy
    return out


SIZES = [((5, 7), (20, 28)), ((3, 1), (5, 4)), ((9, 13), (4, 6)), ((4, 4), (4, 4)), ((6, 5), (1, 7)), ((2, 2), (1, 1))]


@pytest.mark.parametrize(("size", "out"), SIZES)
@pytest.mark.parametrize("corners", [True, False])
def test_resizes_equal_their_reference(size, out, corners):
    x = RNG(6).standard_normal((2, *size, 3)).astype(np.float32)
    resized = (resize_align_corners if corners else resize_half_pixel)(jnp.asarray(x), out)
    np.testing.assert_allclose(resized, resize_reference(x, out, corners), atol=3e-6)


def test_align_corners_equals_tensorflow(goldens):
    arrays = goldens.arrays("resize_bilinear")
    cases = [name.removeprefix("aligncorners_") for name in arrays if name.startswith("aligncorners_")]
    assert len(cases) > 3
    for case in cases:
        size = tuple(int(n) for n in case.split("_to_")[1].split("x"))
        out = np.asarray(resize_align_corners(jnp.asarray(arrays[f"in_{case}"]), size))
        out = out[:, ::2, ::2] if case == "12x20_to_192x320" else out
        np.testing.assert_allclose(out, arrays[f"aligncorners_{case}"], atol=1e-5, err_msg=case)


def test_enlarging_equals_torch(goldens):
    arrays = goldens.arrays("flownet2_nvidia/ops")
    x = jnp.asarray(nhwc(arrays["up_in"]))
    size = (4 * x.shape[1], 4 * x.shape[2])
    np.testing.assert_allclose(resize_half_pixel(x, size), nhwc(arrays["up_bilinear_acF"]), atol=1e-6)
    np.testing.assert_allclose(resize_align_corners(x, size), nhwc(arrays["up_bilinear_acT"]), atol=1e-6)
    np.testing.assert_array_equal(resize.upsample_nearest(x, 4), nhwc(arrays["up_nearest"]))


@pytest.mark.parametrize("function", [resize_align_corners, resize_half_pixel])
def test_resize_gradients(function):
    x = RNG(7).standard_normal((1, 3, 4, 2)).astype(np.float32)
    check_grads(lambda x: function(x, (7, 9)), (jnp.asarray(x),), order=1, modes=("fwd", "rev"), eps=0.5, atol=1e-4)
