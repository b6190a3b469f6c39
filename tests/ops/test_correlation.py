"""The correlation layer: against the formula, the originals' kernels, its own other form and finite differences."""

from __future__ import annotations

import itertools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.test_util import check_grads

from dvsnet_jax.ops import correlation as module

# Compiled as a whole, as it is used: operation by operation these tests take several times as long.
SETTINGS = ("kernel_size", "max_displacement", "stride_1", "stride_2", "padding")
correlation = jax.jit(module.correlation, static_argnames=(*SETTINGS, "form"))
FORMS = ("shifted", "banded")


def reference(a, b, kernel_size, max_displacement, stride_1, stride_2, padding):
    """The formula, term by term, in float64."""
    n, h, w, c = a.shape
    pads = ((0, 0), (padding, padding), (padding, padding), (0, 0))
    a, b = np.pad(a.astype(np.float64), pads), np.pad(b.astype(np.float64), pads)
    border = max_displacement + (kernel_size - 1) // 2
    out_h, out_w = (math.ceil((size + 2 * padding - 2 * border) / stride_1) for size in (h, w))
    radius = max_displacement // stride_2
    steps = [step * stride_2 for step in range(-radius, radius + 1)]
    out = np.zeros((n, out_h, out_w, len(steps) ** 2))
    for y, x in itertools.product(range(out_h), range(out_w)):
        top, left = y * stride_1 + max_displacement, x * stride_1 + max_displacement
        patch = a[:, top : top + kernel_size, left : left + kernel_size]
        for k, (dy, dx) in enumerate(itertools.product(steps, steps)):
            other = b[:, top + dy : top + dy + kernel_size, left + dx : left + dx + kernel_size]
            out[:, y, x, k] = (patch * other).sum((1, 2, 3)) / (kernel_size**2 * c)
    return out


def maps(shape, seed=0):
    rng = np.random.default_rng(seed)
    return tuple(rng.standard_normal(shape).astype(np.float32) for _ in range(2))


# as SETTINGS
PARAMETERS = [
    (1, 20, 1, 2, 20),  # FlowNetC's
    (1, 4, 1, 1, 4),
    (1, 4, 2, 2, 4),
    (3, 4, 2, 2, 5),
    (3, 2, 1, 1, 3),
    (5, 3, 3, 2, 6),  # a displacement that the stride does not divide
    (1, 2, 1, 3, 2),  # none but the displacement 0
    (1, 0, 1, 1, 0),
    (1, 3, 1, 1, 1),  # padded less than displaced: the border has no output
    (3, 6, 2, 3, 9),  # padded more
]


@pytest.mark.parametrize("shape", [(2, 9, 6, 4), (1, 5, 67, 2)], ids=str)
@pytest.mark.parametrize("parameters", PARAMETERS, ids=str)
def test_equals_the_formula(parameters, shape):
    a, b = maps(shape)
    expected = reference(a, b, *parameters)
    for form in FORMS:
        out = correlation(a, b, **dict(zip(SETTINGS, parameters, strict=True)), form=form)
        assert out.shape == expected.shape
        np.testing.assert_allclose(out, expected, atol=2e-6, err_msg=form)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("case", ["a", "b", "c"])
def test_equals_flownet2_tf(goldens, case, form):
    arrays = goldens.arrays("flownet2_ops")
    sizes = dict(zip(SETTINGS, map(int, arrays[f"corr_{case}_params_ks_md_s1_s2_pad"]), strict=True))
    out = correlation(arrays[f"corr_{case}_a"], arrays[f"corr_{case}_b"], **sizes, form=form)
    np.testing.assert_allclose(out, arrays[f"corr_{case}_out"], atol=1e-6)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("case", ["a", "b", "s2"])
def test_equals_nvidia(goldens, case, form):
    arrays = goldens.arrays("flownet2_nvidia/ops")
    a, b, expected = (arrays[f"corr_{case}_{what}"].transpose(0, 2, 3, 1) for what in ("in0", "in1", "out"))
    sizes = {"padding": 4, "max_displacement": 4, "stride_1": 2, "stride_2": 2} if case == "s2" else {}
    np.testing.assert_allclose(correlation(a, b, **sizes, form=form), expected, atol=1e-6)


@pytest.mark.parametrize("form", FORMS)
def test_channel_of_a_known_displacement(form):
    rng = np.random.default_rng(1)
    first = rng.standard_normal((1, 24, 28, 64)).astype(np.float32)
    first /= np.linalg.norm(first, axis=-1, keepdims=True)
    second = np.roll(first, (4, -6), axis=(1, 2))  # 4 down, 6 to the left
    out = np.asarray(correlation(first, second, form=form))[:, 8:16, 8:20]
    assert (out.argmax(-1) == (4 // 2 + 10) * 21 + (-6 // 2 + 10)).all()


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("parameters", [(1, 4, 1, 2, 4), (3, 2, 2, 1, 3)], ids=str)
def test_derivatives_against_finite_differences(parameters, form):
    sizes = dict(zip(SETTINGS, parameters, strict=True))
    a, b = maps((1, 5, 6, 3))
    # Bilinear, so central differences are exact at any step: a large one leaves the least rounding.
    function = lambda a, b: correlation(a, b, **sizes, form=form)  # noqa: E731
    check_grads(function, (a, b), order=1, modes=("fwd", "rev"), eps=0.5, atol=1e-4, rtol=1e-4)


def test_the_forms_have_the_same_gradient():
    a, b = maps((2, 6, 70, 5))
    weights = np.random.default_rng(2).standard_normal((2, 6, 70, 441)).astype(np.float32)

    def gradient(form):
        return jax.grad(lambda a, b: jnp.sum(weights * correlation(a, b, form=form)), argnums=(0, 1))(a, b)

    for one, other in zip(gradient("shifted"), gradient("banded"), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-4)
        assert np.abs(one).max() > 1


@pytest.mark.parametrize("form", [*FORMS, "auto"])
def test_under_vmap_and_in_bfloat16(form):
    a, b = maps((2, 4, 9, 8))
    out = correlation(a, b, form=form)
    mapped = jax.vmap(lambda a, b: correlation(a[None], b[None], form=form)[0])(jnp.asarray(a), jnp.asarray(b))
    np.testing.assert_allclose(mapped, out, atol=1e-6)
    half = correlation(jnp.asarray(a, jnp.bfloat16), jnp.asarray(b, jnp.bfloat16), form=form)
    assert half.dtype == jnp.bfloat16
    np.testing.assert_allclose(half.astype(jnp.float32), out, atol=0.02)


def test_the_banded_form_needs_little_memory():
    shape = jax.ShapeDtypeStruct((1, 48, 64, 256), jnp.float32)

    def megabytes(form):
        function = jax.grad(lambda a, b: correlation(a, b, form=form).sum(), argnums=(0, 1))
        return jax.jit(function).lower(shape, shape).compile().memory_analysis().temp_size_in_bytes / 2**20

    # Without recomputing the products it would be 140 and 1,350.
    assert megabytes("banded") < 100
    assert megabytes("shifted") < 100


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"kernel_size": 2}, "odd"),
        ({"kernel_size": 0}, "odd"),
        ({"stride_1": 0}, "strides"),
        ({"stride_2": 0}, "strides"),
        ({"max_displacement": -1}, "at least 0"),
        ({"padding": -1}, "at least 0"),
        ({"padding": 16}, "leave no output"),
        ({"form": "fft"}, "banded"),
    ],
    ids=str,
)
def test_refuses(change, message):
    with pytest.raises(ValueError, match=message):
        correlation(*maps((1, 8, 8, 2)), **change)


@pytest.mark.parametrize("shape", [(1, 8, 9, 2), (8, 8, 2)], ids=str)
def test_refuses_maps_of_two_shapes(shape):
    with pytest.raises(ValueError, match="one shape"):
        correlation(np.zeros((1, 8, 8, 2), np.float32), np.zeros(shape, np.float32))
