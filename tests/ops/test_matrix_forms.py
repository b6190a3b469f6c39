"""Convolutions, upsampling and arg max in the forms that matrix units or a GPU like, against the plain ones."""

from __future__ import annotations

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from dvsnet_jax.benchmarks.multiply_adds import multiply_adds
from dvsnet_jax.networks import carried_scale
from dvsnet_jax.networks.layers import Convolution
from dvsnet_jax.ops import tap_sums, upsample_argmax, warp
from dvsnet_jax.ops.convolution import convolution
from dvsnet_jax.ops.resize import resize_half_pixel, resize_legacy, resize_smoothed
from dvsnet_jax.ops.space_to_depth import space_to_depth_convolution
from dvsnet_jax.ops.tap_sums import narrow_convolution, transposed_convolution
from dvsnet_jax.ops.warp import LARGEST, finite_everywhere, warp_scores

NHWC = ("NHWC", "HWIO", "NHWC")


def normal(*shape):
    return jnp.asarray(np.random.default_rng(shape).normal(size=shape), jnp.float32)


def _lowered(function, *arguments):
    """The program's text by platform."""
    traced = jax.jit(function).trace(*arguments)
    return {platform: traced.lower(lowering_platforms=(platform,)).as_text() for platform in ("tpu", "cuda", "cpu")}


@pytest.mark.parametrize(("kernel", "height", "width"), [(3, 7, 10), (5, 6, 9), (3, 1, 2)])
def test_narrow_convolution(kernel, height, width):
    x, weights = normal(2, height, width, 8), normal(kernel, kernel, 8, 2)
    plain = lax.conv_general_dilated(x, weights, (1, 1), "SAME", dimension_numbers=NHWC)
    np.testing.assert_allclose(narrow_convolution(x, weights), plain, atol=2e-5)


@pytest.mark.parametrize(("features", "on_a_tpu"), [(2, False), (8, False), (9, True), (19, True)])
def test_a_narrow_convolution_is_plain_on_a_tpu_unless_it_is_very_narrow(features, on_a_tpu):
    layer = Convolution(features, 3, use_bias=False)
    params = {"params": {"weights": normal(3, 3, 74, features)}}
    lowered = _lowered(layer.apply, params, normal(1, 4, 6, 74))
    for platform, plain in (("tpu", on_a_tpu), ("cuda", False), ("cpu", False)):
        assert ("stablehlo.convolution" in lowered[platform]) == plain


@pytest.mark.parametrize("size", [(3, 5), (1, 1), (4, 2)])
def test_transposed_convolution(size):
    x, weights = normal(2, *size, 6), normal(4, 4, 3, 6)
    plain = lax.conv_transpose(
        x, weights, (2, 2), [(2, 2), (2, 2)], dimension_numbers=NHWC, transpose_kernel=True
    )  # fmt: skip
    np.testing.assert_allclose(transposed_convolution(x, weights), plain, atol=2e-5)
    np.testing.assert_allclose(tap_sums._plainly_transposed(x, weights), plain, atol=2e-5)


@pytest.mark.parametrize(
    ("size", "channels", "plain"), [((32, 32), 6, True), ((32, 33), 6, False), ((32, 33), 4, True)]
)
def test_little_is_transposed_plainly_on_a_tpu(size, channels, plain):
    """Where its compiler's estimate is lower."""
    lowered = _lowered(transposed_convolution, normal(1, *size, channels), normal(4, 4, 3, channels))
    for platform, expected in (("tpu", plain), ("cuda", False), ("cpu", False)):
        assert ("stablehlo.convolution" in lowered[platform]) == expected
        assert ("precision HIGH" in lowered[platform]) == (expected and channels == 4)


def test_a_narrow_transposed_convolution_is_added_up_by_what_reads_it_on_a_gpu():
    x, weights = normal(2, 3, 5, 2), normal(4, 4, 2, 2)
    np.testing.assert_allclose(tap_sums._channel_by_channel(x, weights), tap_sums._columns(x, weights), atol=1e-6)
    assert "dot_general" not in _lowered(transposed_convolution, x, weights)["cuda"]
    assert "dot_general" in _lowered(transposed_convolution, normal(2, 3, 5, 6), normal(4, 4, 3, 6))["cuda"]


@pytest.mark.parametrize("size", [(4, 5), (14, 10), (7, 30)])
def test_smoothed_resizing_is_jaxs(size):
    x = normal(2, 7, 10, 3)
    expected = jax.image.resize(x, (2, *size, 3), "linear", antialias=True)
    np.testing.assert_allclose(resize_smoothed(x, size), expected, atol=1e-5)


@pytest.mark.parametrize("size", [(14, 20), (7, 30), (21, 10)])
def test_flow_and_scale_are_brought_to_finer_scores_by_products_on_a_tpu(size):
    x = normal(2, 7, 10, 3)
    np.testing.assert_allclose(warp._finer_by_products(x, size), resize_legacy(x, size), atol=5e-6)
    lowered = _lowered(warp_scores, normal(2, *size, 4), normal(2, 7, 10, 2), x[..., :1])
    # What is left are the corners between which the scores are sampled.
    assert {platform: text.count('"stablehlo.gather"') for platform, text in lowered.items()}["tpu"] == 4
    assert all('"stablehlo.gather"' in text and "dot_general" not in text for text in (lowered["cuda"], lowered["cpu"]))
    assert lowered["tpu"].count("precision = [HIGH, HIGH]") == 4


def test_a_scale_field_is_told_to_be_finite_by_its_sum_on_a_tpu():
    scale = np.ones((6, 2, 3, 4), np.float32)
    scale[1, 0, 1, 2], scale[2, 1, 2, 3], scale[3, 0, 0, 0], scale[4] = np.nan, np.inf, -np.inf, 1e30
    scale[5, 0, 0, :2] = np.inf, -np.inf
    for form in (finite_everywhere, warp._finite_by_sum):
        assert form(jnp.asarray(scale)).tolist() == [True, False, False, False, True, False]
    lowered = _lowered(finite_everywhere, jnp.asarray(scale))
    asked = {
        platform: "stablehlo.is_finite" in text and "tensor<6x2x3x4xi1>" in text for platform, text in lowered.items()
    }
    assert asked == {"tpu": False, "cuda": True, "cpu": True}


@pytest.mark.parametrize("size", [(3, 4), (1, 5), (2, 1)])
def test_a_scale_field_is_made_twice_as_large_by_products_on_a_tpu(size):
    x, twice = normal(2, *size, 3), (2 * size[0], 2 * size[1])
    expected = resize_half_pixel(x, twice)
    np.testing.assert_allclose(carried_scale._by_shifts(x), expected, atol=1e-6)
    np.testing.assert_allclose(carried_scale._by_products(x), expected, atol=1e-6)
    lowered = _lowered(carried_scale._twice, x)
    assert lowered["tpu"].count("precision = [HIGH, HIGH]") == 2
    assert not any("dot_general" in lowered[platform] for platform in ("cuda", "cpu"))


@pytest.mark.parametrize("kernel", [1, 2, 3, 5])
@pytest.mark.parametrize(("stride", "dilation", "padding"), [(1, 1, "SAME"), (2, 1, "SAME"), (1, 3, "SAME"), (2, 2, 1)])
def test_the_gradient_of_a_convolution_is_the_plain_ones(kernel, stride, dilation, padding):
    sides = padding if padding == "SAME" else ((padding * 3, padding * 2),) * 2

    def plain(x, weights):
        return lax.conv_general_dilated(
            x, weights, (stride, stride), sides, rhs_dilation=(dilation, dilation), dimension_numbers=NHWC
        )

    x, weights = normal(2, 9, 12, 5), normal(kernel, kernel, 5, 4)
    expected, back = jax.vjp(plain, x, weights)
    actual, ours = jax.vjp(lambda x, weights: convolution(x, weights, stride, dilation, sides), x, weights)
    np.testing.assert_array_equal(actual, expected)
    dy = normal(*expected.shape)
    for found, right in zip(ours(dy), back(dy), strict=True):
        np.testing.assert_allclose(found, right, atol=1e-4)


def test_the_gradient_by_a_small_kernel_is_a_product_for_each_tap():
    x, weights = normal(1, 6, 7, 4), normal(3, 3, 4, 8)

    def loss(weights):
        return convolution(x, weights, 1, 1, "SAME").sum()

    lowered = _lowered(jax.grad(loss), weights)
    assert lowered["cpu"].count("stablehlo.dot_general") == 9
    assert "dot_general" not in lowered["cuda"]


@pytest.mark.parametrize(("kernel", "padding"), [(7, "SAME"), (7, 3), (5, "SAME"), (5, 2), (3, "SAME"), (3, 1)])
def test_first_convolution(kernel, padding):
    x, weights = normal(2, 12, 18, 3), normal(kernel, kernel, 3, 4)
    sides = padding if padding == "SAME" else [(padding, padding)] * 2
    before = kernel // 2 - 1 if padding == "SAME" else padding
    plain = lax.conv_general_dilated(x, weights, (2, 2), sides, dimension_numbers=NHWC)
    np.testing.assert_allclose(space_to_depth_convolution(x, weights, before), plain, atol=2e-5)
    # A GPU takes this form, a CPU and a TPU the plain one; what is counted is what the plain one needs.
    layer = Convolution(4, kernel, 2, padding=padding, use_bias=False)
    params = {"params": {"weights": weights}}
    lowered = _lowered(layer.apply, params, x)
    for platform, plainly in (("cuda", False), ("cpu", True), ("tpu", True)):
        assert ("stride = [2, 2]" in lowered[platform]) == plainly and "convolution" in lowered[platform]
    assert multiply_adds(layer.apply, params, x) == 2 * 6 * 9 * kernel**2 * 3 * 4


@pytest.mark.parametrize("size", [(2, 3), (1, 1), (3, 5), (4, 4)])
def test_a_picture_no_larger_than_the_kernel_is_made_larger_on_a_gpu(size):
    """Else XLA takes the convolution for a gradient (an H100's compiler, jax 0.10.2: five kernels for two)."""
    x, weights = normal(2, *size, 6), normal(3, 3, 6, 5)
    plain = lax.conv_general_dilated(x, weights, (1, 1), [(1, 1)] * 2, dimension_numbers=NHWC)
    layer = Convolution(5, 3, padding=1, use_bias=False)
    np.testing.assert_allclose(layer._over_more(x, weights), plain, atol=2e-5)
    for platform, lowered in _lowered(layer.apply, {"params": {"weights": weights}}, x).items():
        assert ("stablehlo.pad" in lowered) == (platform == "cuda" and min(size) <= 3)


@pytest.mark.parametrize("size", [(12, 18), (13, 19), (12, 19)])
@pytest.mark.parametrize(("channels", "features"), [(3, 32), (3, 33), (6, 4)])
def test_first_convolution_of_any_size_and_width(size, channels, features):
    x, weights = normal(2, *size, channels), normal(7, 7, channels, features)
    plain = lax.conv_general_dilated(x, weights, (2, 2), [(3, 3)] * 2, dimension_numbers=NHWC)
    layer = Convolution(features, 7, 2, padding=3, use_bias=False)
    np.testing.assert_allclose(layer.apply({"params": {"weights": weights}}, x), plain, atol=2e-5)


@pytest.mark.optimized
@pytest.mark.parametrize("classes", [1, 19])
def test_both_forms_of_upsampling_agree_to_the_bit(classes):
    scores = normal(2, 5, 7, classes).round(1)  # with ties
    as_users = {"static_argnums": 1, "compiler_options": {"xla_cpu_use_fusion_emitters": True}}
    rows = jax.jit(upsample_argmax._row_by_row, **as_users)(scores, (40, 56))
    pixels = jax.jit(upsample_argmax._pixel_by_pixel, **as_users)(scores, (40, 56))
    assert rows[0].dtype == pixels[0].dtype == np.uint8
    np.testing.assert_array_equal(rows[0], pixels[0])
    np.testing.assert_array_equal(rows[1], pixels[1])


@pytest.mark.parametrize("size", [(20, 28), (40, 56), (5, 14), (40, 21)])
def test_upsampling_by_products(size):
    scores = np.array(normal(2, 5, 7, 6))
    scores[..., 2] = -LARGEST  # a class that never is
    scores[0, 2, 3, 1] = np.nan  # one score that nobody knows, and a place of which nothing is known
    scores[1, 1, 4] = np.nan
    labels, maxima = jax.jit(upsample_argmax._pixel_by_pixel, static_argnums=1)(jnp.asarray(scores), size)
    by_products = jax.jit(upsample_argmax._by_products, static_argnums=1)(jnp.asarray(scores), size)
    assert by_products[0].dtype == np.uint8 and by_products[1].dtype == np.float32
    # Next to the score that is not known the class loses either way, but not by a weight of 0.
    rows, columns = size[0] // 5, size[1] // 7
    same = np.ones((2, *size), bool)
    same[0, rows : 3 * rows, 2 * columns : 4 * columns] = False
    np.testing.assert_array_equal(np.asarray(by_products[0])[same], np.asarray(labels)[same])
    known = same & (np.asarray(labels) != upsample_argmax.VOID)
    np.testing.assert_allclose(np.asarray(by_products[1])[known], np.asarray(maxima)[known], atol=2e-6)
    lost = np.asarray(by_products[0])[1] == upsample_argmax.VOID
    assert lost.sum() == 4 * rows * columns and np.isnan(np.asarray(by_products[1])[1][lost]).all()
    lowered = _lowered(partial(upsample_argmax.upsample_argmax, size=size), scores)
    assert "dot_general" in lowered["tpu"]
    assert "dot_general" not in lowered["cuda"]


def test_upsampling_by_products_of_bfloat16():
    scores = normal(1, 5, 7, 6).astype(jnp.bfloat16)
    labels, maxima = upsample_argmax._by_products(scores, (20, 28))
    assert maxima.dtype == jnp.bfloat16
    exact, _ = upsample_argmax._pixel_by_pixel(scores.astype(jnp.float32), (20, 28))
    np.testing.assert_array_equal(labels, exact)
