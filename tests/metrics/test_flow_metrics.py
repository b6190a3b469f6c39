"""Flow measures on cases small enough to count by hand."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dvsnet_jax.errors import InputError
from dvsnet_jax.metrics.flow import FlowErrors, endpoint_error, flow_errors, outlier_share, pool_errors

# One row: off by 5 (3, 4), exact, off by 3 (no outlier: not more than 3), off by 4 of a length of 100 (below 5 %),
# off by 6 of 100 (above 5 %).
TRUTH = jnp.array([[[0.0, 0.0], [7.0, -2.0], [10.0, 0.0], [100.0, 0.0], [0.0, -100.0]]])
FLOW = TRUTH + jnp.array([[[3.0, 4.0], [0.0, 0.0], [0.0, -3.0], [4.0, 0.0], [0.0, 6.0]]])
NAN = float("nan")


def test_by_hand():
    assert float(endpoint_error(FLOW, TRUTH)) == pytest.approx((5 + 0 + 3 + 4 + 6) / 5)
    assert float(outlier_share(FLOW, TRUTH)) == pytest.approx(2 / 5)
    errors = flow_errors(FLOW, TRUTH)
    assert (float(errors.error), int(errors.outliers), int(errors.pixels)) == (18, 2, 5)


@pytest.mark.parametrize(
    ("off", "length", "outlier"),
    [(3, 0, False), (3.01, 0, True), (3.01, 60, True), (3.01, 61, False), (5, 100, False), (5.01, 100, True)],
)
def test_outliers_need_both_conditions(off, length, outlier):
    truth = jnp.array([[[float(length), 0.0]]])
    assert float(outlier_share(truth + jnp.array([0.0, off]), truth)) == outlier


def test_valid_leaves_pixels_out():
    valid = jnp.array([[True, True, False, False, False]])
    assert float(endpoint_error(FLOW, TRUTH, valid)) == pytest.approx(5 / 2)
    assert float(outlier_share(FLOW, TRUTH, valid)) == pytest.approx(1 / 2)
    assert float(endpoint_error(FLOW, TRUTH, valid.astype(jnp.uint8))) == pytest.approx(5 / 2)


@pytest.mark.parametrize("mark", [NAN, float("inf"), -float("inf"), 1e10])
@pytest.mark.parametrize("component", [0, 1])
def test_unknown_truth_never_counts(mark, component):
    truth = TRUTH.at[0, 0, component].set(mark)
    everywhere = jnp.ones((1, 5), bool)
    for valid in (None, everywhere):
        assert float(endpoint_error(FLOW, truth, valid)) == pytest.approx(13 / 4)
        assert float(outlier_share(FLOW, truth, valid)) == pytest.approx(1 / 4)


def test_a_broken_estimate_is_no_good_one():
    flow = FLOW.at[0, 1].set(NAN)
    assert math.isnan(endpoint_error(flow, TRUTH))
    assert float(outlier_share(flow, TRUTH)) == pytest.approx(3 / 5)
    flow = FLOW.at[0, 1].set(jnp.inf)
    assert math.isinf(endpoint_error(flow, TRUTH))
    assert float(outlier_share(flow, TRUTH)) == pytest.approx(3 / 5)


def test_what_does_not_count_does_not_leak():
    valid = jnp.array([[True, False, True, True, True]])
    assert float(endpoint_error(FLOW.at[0, 1].set(NAN), TRUTH, valid)) == pytest.approx(18 / 4)


def test_nothing_valid_is_nan_and_silent():
    nothing = jnp.zeros((1, 5), bool)
    assert math.isnan(endpoint_error(FLOW, TRUTH, nothing))
    assert math.isnan(outlier_share(FLOW, TRUTH, nothing))
    scores = pool_errors([flow_errors(FLOW, TRUTH, nothing)])
    assert math.isnan(scores.endpoint_error) and math.isnan(scores.outlier_share) and scores.pixels == 0
    assert pool_errors([]).pixels == 0


def test_each_picture_has_its_own_sums():
    flow, truth = jnp.stack([FLOW, TRUTH])[:, None], jnp.stack([TRUTH, TRUTH])[:, None]
    errors = flow_errors(flow, truth)
    assert errors.error.shape == errors.outliers.shape == errors.pixels.shape == (2, 1)
    assert errors.error.tolist() == [[18], [0]] and errors.outliers.tolist() == [[2], [0]]
    assert errors.pixels.tolist() == [[5], [5]]
    assert float(endpoint_error(flow, truth)) == pytest.approx(1.8)
    assert float(outlier_share(flow, truth)) == pytest.approx(0.2)


def test_pooling_weighs_every_pixel_the_same():
    wide = flow_errors(FLOW, TRUTH)
    narrow = flow_errors(TRUTH[:, :1] + 1, TRUTH[:, :1])
    scores = pool_errors([wide, narrow])
    assert scores.endpoint_error == pytest.approx((18 + math.sqrt(2)) / 6)
    assert scores.outlier_share == pytest.approx(2 / 6)
    assert scores.pixels == 6
    both = jax.tree.map(jnp.add, wide, narrow)  # sums may be added on the device, too
    assert pool_errors([both]) == pytest.approx(scores)


def test_pooling_outgrows_the_devices_integers():
    part = FlowErrors(error=jnp.float32(2**31), outliers=jnp.int32(2**29), pixels=jnp.int32(2**30))
    scores = pool_errors([part] * 8)
    assert scores == (2, 0.5, 2**33)


def test_runs_jitted_and_vmapped():
    flow, truth = jnp.stack([FLOW, TRUTH]), jnp.stack([TRUTH, TRUTH])
    plain, jitted = flow_errors(flow, truth), jax.jit(flow_errors)(flow, truth)
    mapped = jax.vmap(flow_errors)(flow, truth)
    for name in plain._fields:
        np.testing.assert_allclose(getattr(plain, name), getattr(jitted, name), rtol=1e-6)
        np.testing.assert_allclose(getattr(plain, name), getattr(mapped, name), rtol=1e-6)
    assert float(jax.jit(endpoint_error)(flow, truth)) == pytest.approx(1.8)
    assert float(jax.jit(outlier_share)(flow, truth)) == pytest.approx(0.2)


def test_takes_numpy_and_half_precision():
    assert float(endpoint_error(np.asarray(FLOW), np.asarray(TRUTH))) == pytest.approx(3.6)
    flow, truth = (x.astype(jnp.bfloat16) for x in (FLOW, TRUTH))
    errors = flow_errors(flow, truth)
    assert errors.error.dtype == jnp.float32 and errors.pixels.dtype == jnp.int32
    assert float(errors.error) == pytest.approx(18)


def test_sums_of_a_large_picture_stay_exact():
    truth = np.random.default_rng(0).normal(0, 20, (1024, 1024, 2)).astype(np.float32)
    flow = truth + np.random.default_rng(1).normal(0, 3, truth.shape).astype(np.float32)
    error = np.linalg.norm((flow - truth).astype(np.float64), axis=-1)
    length = np.linalg.norm(truth.astype(np.float64), axis=-1)
    assert float(endpoint_error(flow, truth)) == pytest.approx(error.mean(), rel=1e-5)
    expected = ((error > 3) & (error > 0.05 * length)).mean()
    assert float(outlier_share(flow, truth)) == pytest.approx(expected, abs=2e-6)


@pytest.mark.parametrize("shape", [(1, 4, 2), (5, 2), (1, 1, 5, 2)])
def test_other_shapes_are_refused_not_broadcast(shape):
    with pytest.raises(InputError, match=r"expected \[\.\.\., h, w, 2\] for both"):
        flow_errors(FLOW, jnp.zeros(shape))


def test_other_channels_and_masks_are_refused():
    with pytest.raises(InputError, match="for both"):
        flow_errors(jnp.zeros((4, 5, 3)), jnp.zeros((4, 5, 3)))
    for shape in ((5,), (1, 5, 1), (1, 1)):
        with pytest.raises(InputError, match=r"valid is .* expected \[1, 5\]"):
            flow_errors(FLOW, TRUTH, jnp.ones(shape, bool))
