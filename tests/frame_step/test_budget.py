"""What `Budget` keeps to, whatever the scores: the share over any stretch of frames, and what comes first within it."""

from __future__ import annotations

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dvsnet_jax import Budget, FixedInterval
from dvsnet_jax.policies import Evidence, Policy
from dvsnet_jax.policies.base import join, split

FRAMES = 400


def play(policy, score):
    """`(segmented, credit, limit)`, each [frames, regions], for scores [frames, regions] that come whatever is done."""
    numbers, kind = split(policy)
    return (np.asarray(each) for each in _play(numbers, jnp.asarray(score, jnp.float32), kind))


@partial(jax.jit, static_argnums=2)
def _play(numbers, score, kind):
    policy = join(numbers, kind)

    def step(state, score):
        segment, state = policy.decide(state, Evidence(score, score, score))
        return state, (segment, state.credit, state.limit)

    return jax.lax.scan(step, policy.init(score.shape[1]), score)[1]


def per_stream(segmented, regions):
    """[frames, regions in all] -> regions segmented, [frames, streams]."""
    return segmented.reshape(len(segmented), -1, regions).sum(2)


def most(share, regions):
    return max(1, 5 * share * regions)


def contents(regions):
    """Scores of streams side by side, [FRAMES, streams × regions]: in all of them each frame loses a point and more."""
    rng, frame = np.random.default_rng(regions), np.arange(FRAMES)[:, None]
    noise = rng.normal(0, 1, (FRAMES, regions))
    flashing = np.where(rng.integers(0, 4 * regions, (FRAMES, 1)) == np.arange(regions), 20, 96 + 0.5 * noise)
    streams = (
        np.full((FRAMES, regions), 95.0),
        rng.normal(85, 10, (FRAMES, regions)),
        np.where(frame // 35 % 2, 97, 60) + noise,  # bursts
        np.where(frame % 37, 96, 10) + noise,  # cuts
        np.where(frame % 150 < 3, 10, 97) + noise,  # cuts in a row, then long nothing
        np.full((FRAMES, regions), -20.0),  # nothing but cuts
        flashing,
    )
    return np.minimum(np.concatenate(streams, 1), 98.9)


@pytest.mark.parametrize("share", [0.02, 0.05, 0.1, 0.2, 0.5])
@pytest.mark.parametrize("regions", [1, 4, 8])
def test_every_stretch_of_frames_keeps_the_share(share, regions):
    segmented, credit, limit = play(Budget(share, regions), contents(regions))
    asked, leeway = share * regions, most(share, regions)
    ahead = np.cumsum(per_stream(segmented, regions) - asked, 0)  # of what was asked, so far
    paid = ahead[int(1 / share) :]
    assert (paid.max(0) - paid.min(0)).max() <= leeway + 1e-3
    # The first frame counted: it costs all regions and comes out of a full credit.
    whole = np.concatenate([np.zeros((1, ahead.shape[1])), ahead + regions - asked])
    assert whole.max() <= max(leeway, regions - asked) + 1e-3
    counted = whole[int(1 / share) :]
    assert counted.min() >= -1e-3 and counted.max() <= leeway + 1e-3
    for length in (50, 51, 73, 100, 250):
        stretches = (ahead[length:] - ahead[:-length])[int(1 / share) :]
        assert abs(stretches).max() <= max(1, 0.1 * length * asked) + 1e-3
    by_stream = np.stack([credit, limit]).reshape(2, FRAMES, -1, regions)
    assert (by_stream == by_stream[..., :1]).all()  # a stream's regions have one of each, another stream's its own
    assert regions == 1 or len(np.unique(limit[-1])) > 1


def test_a_cut_is_made_good_as_far_as_credit_goes_and_then_one_after_the_other():
    score = np.full((80, 4), 97.0)
    score[60:] = 20
    segmented, _, _ = play(Budget(0.3), score)
    assert segmented[60].sum() >= 3
    segmented, _, _ = play(Budget(0.1), score)
    assert 1 <= segmented[60:62].sum() <= 2 and segmented[60:69].any(0).all()
    segmented, _, _ = play(Budget(0.05), score)
    assert segmented[60:80].sum(0).tolist() == [1, 1, 1, 1]


@pytest.mark.parametrize("share", [0.05, 0.1, 0.5])
def test_none_is_passed_over_that_has_lost_more(share):
    score, regions = contents(4), 4
    segmented, _, _ = play(Budget(share, regions), score)
    loss = np.zeros(score.shape[1])
    for now, frame in zip(score, segmented, strict=True):
        loss += 100 - now
        least = np.where(frame, loss, np.inf).reshape(-1, regions).min(1)
        assert (np.where(frame, 0, loss).reshape(-1, regions).max(1) <= least + 1e-2).all()
        loss[frame] = 0


def test_the_worst_region_has_the_most():
    rng = np.random.default_rng(0)
    score = rng.normal(90, 2, (FRAMES, 4)) - [0, 10, 0, 0]
    for share in (0.05, 0.2, 0.5):
        segmented, _, _ = play(Budget(share), score)
        assert segmented[:, 1].mean() > 1.3 * segmented[:, [0, 2, 3]].mean()


def test_what_loses_nothing_is_left_alone_and_not_saved_for_later():
    share, regions = 0.2, 4
    score = np.full((FRAMES, regions), 100.0)
    score[:300, 1] = 99.998  # half a point
    score[300:] = 50
    segmented, credit, limit = play(Budget(share, regions), score)
    assert not segmented[:300].any() and (credit[299] == most(share, regions)).all() and (limit[299] == 1).all()
    cost = segmented[300:].sum(1).cumsum()
    assert (cost <= (1 + np.arange(100)) * share * regions + most(share, regions) + 1e-3).all()
    assert cost[-1] >= 100 * share * regions


def test_no_number_is_segmented_at_once_and_paid_for():
    share, regions = 0.1, 4
    score = np.full((FRAMES, regions), 80.0)
    spoilt = np.random.default_rng(0).random(score.shape) < 0.02
    spoilt[120] = True
    score[spoilt] = np.random.default_rng(1).choice([np.nan, np.inf, -np.inf], spoilt.sum())
    segmented, credit, _ = play(Budget(share, regions), score)
    assert segmented[spoilt].all() and credit.min() >= -regions
    ahead = np.cumsum(segmented.sum(1) - share * regions)[10:]
    assert ahead.max() - ahead.min() <= most(share, regions) + 4 + 1e-3 and abs(ahead[-1] - ahead[0]) <= 2 + 1e-3
    # Where it never ends, no more is owed than a frame.
    score[:, :2] = np.nan
    score[200:] = 80
    segmented, credit, _ = play(Budget(share, regions), score)
    assert segmented[:200, :2].all() and credit[199, 0] == -regions
    assert segmented[200:].sum() >= 200 * share * regions - regions - most(share, regions)


def kept(policy, speed, cuts):
    """`(share, loss)`: the first frame counted, and what was truly lost, points a region and frame, where the scores
    come of what is done: a region's picture moves by `speed` [frames, regions] a frame, and at `cuts` altogether."""
    numbers, kind = split(policy)
    segmented, lost = _kept(numbers, jnp.asarray(speed, jnp.float32), jnp.asarray(cuts), kind)
    return (float(segmented.sum()) + speed.shape[1]) / (speed.size + speed.shape[1]), float(lost.mean())


@partial(jax.jit, static_argnums=3)
def _kept(numbers, speed, cuts, kind):
    policy = join(numbers, kind)

    def step(carry, each):
        moved, state = carry
        moved = jnp.where(each[1], 1000.0, moved + each[0])
        lost = 60 * (1 - jnp.exp(-moved / 60))
        segment, state = policy.decide(state, Evidence(100 - lost, lost, lost))
        return (jnp.where(segment, 0, moved), state), (segment, jnp.where(segment, 0, lost))

    regions = speed.shape[1]
    return jax.lax.scan(step, (jnp.zeros(regions), policy.init(regions)), (speed, cuts))[1]


@pytest.mark.parametrize("interval", [5, 10])
def test_it_keeps_more_than_a_fixed_interval(interval):
    """And what the limit begins with makes no difference to speak of."""
    rng = np.random.default_rng(0)
    speed = np.exp(rng.normal(0, 0.7, 4) + 0.2 * rng.normal(0, 1, (FRAMES, 4)))
    cuts = np.arange(1, FRAMES + 1) % 73 == 0
    fixed_share, fixed = kept(FixedInterval(interval), speed, cuts)
    budgets = [kept(Budget(1 / interval, limit=limit), speed, cuts) for limit in (1.0, 30.0, 10_000.0)]
    shares, losses = zip(*budgets, strict=True)
    assert max(shares) <= fixed_share * 1.03 and max(losses) < 0.97 * fixed
    assert max(losses) < 1.15 * min(losses)


def test_a_budget_knows_its_regions():
    with pytest.raises(ValueError, match="for frames of 4 regions, but there are 6"):
        Budget(0.2).init(6)
    for make in (lambda: Budget(0.0), lambda: Budget(1.0), lambda: Budget(0.2, regions=0), lambda: Budget(limit=0.5)):
        with pytest.raises(ValueError, match="Budget"):
            make()
    assert isinstance(Budget(), Policy)
