"""One budget or frame rate over several streams: who gets how much, together as much as was asked, equal for equal."""

from __future__ import annotations

from collections import defaultdict
from functools import partial

import jax
import numpy as np
import pytest
from tiny import SIMPLE, simple_params

from dvsnet_jax import Budget, FrameRate, init_state, segment_frame
from dvsnet_jax.inference.sharing import Dealer, Part, dealt
from dvsnet_jax.policies import Evidence, Policy, SharedBudget, SharedFrameRate, over_streams
from dvsnet_jax.policies.base import join, split

FRAMES, REGIONS = 250, 4


def play(policy, score, dealer=None, *, light=0.01, heavy=0.08):
    """Which regions are segmented, bool [1 + frames, streams, regions], where streams step together, each first frame
    whole; scores [frames, streams, regions] come whatever is done. A step takes `light` and, for each region, `heavy`.
    """
    streams, regions = score.shape[1:]
    dealer = dealer or Dealer(policy, together=True)
    for stream in range(streams):
        dealer.join(stream)
    state, decide = policy.init(streams * regions), _decide(policy)
    routes = []
    for now in [np.full((streams, regions), np.nan), *score]:
        state = dealt(state, dealer.deal(range(streams)))
        segment = np.ones((streams, regions), bool)
        if routes:
            segment, state = decide(state, now.reshape(-1))
            segment = np.asarray(segment).reshape(streams, regions)
        routes.append(segment)
        seconds = streams * light + heavy * segment.sum() / regions
        dealer.saw({stream: (now[stream], segment[stream]) for stream in range(streams)}, seconds)
    return np.array(routes)


def _decide(policy):
    numbers, kind = split(policy)
    return lambda state, score: _decided(numbers, state, np.asarray(score, np.float32), kind)


@partial(jax.jit, static_argnums=3)
def _decided(numbers, state, score, kind):
    return join(numbers, kind).decide(state, Evidence(score, score, score))


def moving_and_still(busy=1, still=1, seed=0):
    rng = np.random.default_rng(seed)
    one = [np.full((FRAMES, REGIONS), 99.99) for _ in range(still)]
    return np.stack([*one, *(rng.normal(85, 5, (FRAMES, REGIONS)) for _ in range(busy))], 1)


@pytest.mark.parametrize("share", [0.02, 0.1, 0.2, 0.4])
def test_a_quiet_stream_leaves_its_share_to_a_busy_one(share):
    routes = play(SharedBudget(share), moving_and_still())
    still, busy = routes[50:].mean((0, 2))
    assert still < 0.1 * share and busy > 1.8 * share
    ahead = np.cumsum(routes.sum((1, 2)) - 2 * REGIONS * share)[int(1 / share) :]
    for length in (50, 51, 100, 200):
        leeway = max(1, 0.1 * length * 2 * REGIONS * share)
        assert abs(ahead[length:] - ahead[:-length]).max() <= leeway + 1e-3


@pytest.mark.parametrize("share", [0.05, 0.2])
@pytest.mark.parametrize("streams", [2, 5])
def test_together_they_keep_it_whatever_comes(share, streams):
    """Cuts in all, bursts in one, calm in another."""
    rng, frame = np.random.default_rng(streams), np.arange(FRAMES)[:, None, None]
    score = rng.normal(88, 4, (FRAMES, streams, REGIONS))
    score = np.where(frame % 61 == 0, 10, score)
    score[:, 0] = np.where(frame[:, 0] // 40 % 2, 97, 55)
    routes = play(SharedBudget(share), np.minimum(score, 98))
    ahead = np.cumsum(routes.sum((1, 2)) - streams * REGIONS * share)[int(1 / share) :]
    assert ahead.max() - ahead.min() <= max(1, 5 * streams * REGIONS * share) + 1e-3


def test_a_cut_in_one_stream_is_made_good_out_of_all_credit():
    """Alone it has to wait for its own: a tenth of four regions is one in two frames and a half."""
    score = np.full((100, 4, REGIONS), 98.0)
    score[60:, 2] = 10
    routes = play(SharedBudget(0.1), score)
    assert routes[61:63, 2].any(0).all()


def test_the_worst_regions_are_those_of_all_streams():
    rng = np.random.default_rng(1)
    score = np.stack([rng.normal(mean, 1, (FRAMES, REGIONS)) for mean in (95, 90, 80)], 1)
    shares = play(SharedBudget(0.2), score)[50:].mean((0, 2))
    assert (np.diff(shares) > 0.02).all() and shares.mean() == pytest.approx(0.2, abs=0.005)


def test_equal_input_is_dealt_with_equally():
    score = moving_and_still(2, 1)
    first, second = (play(SharedBudget(0.1), score) for _ in range(2))
    np.testing.assert_array_equal(first, second)
    for rolled in (1, 2):  # the place in the list decides nothing but ties
        np.testing.assert_array_equal(np.roll(play(SharedBudget(0.1), np.roll(score, rolled, 1)), -rolled, 1), first)


def test_no_number_is_segmented_enters_no_state_and_is_paid_for_by_all():
    score = moving_and_still(2)[:, :2].copy()
    score[100:103, 1] = np.nan
    policy = SharedBudget(0.2)
    dealer = Dealer(policy, together=True)
    routes = play(policy, score, dealer)
    assert routes[101:104, 1].all() and np.isfinite(dealer._credit) and np.isfinite(dealer._limit)
    ahead = np.cumsum(routes.sum((1, 2)) - 2 * REGIONS * 0.2)
    assert abs(ahead[160] - ahead[90]) <= 8
    score[150:, 0] = -np.inf  # for ever: no more is owed than a frame of each
    dealer = Dealer(policy, together=True)
    play(policy, score, dealer)
    assert dealer._credit >= -2 * REGIONS and all(np.isfinite(each.loss).all() for each in dealer._streams.values())


def test_streams_that_come_and_go():
    dealer = Dealer(SharedBudget(0.2), together=True)
    play(dealer.policy, moving_and_still(2, 1), dealer)
    for stream in (0, 2, 1):
        dealer.leave(stream)
    assert dealer._credit == 0
    with pytest.raises(ValueError, match="has joined before"):
        [dealer.join("again") for _ in range(2)]


def test_cameras_each_in_its_time_keep_the_budget_together():
    """One at three times the other's rate; a frame of each is on its way while the other's is dealt to. A third stalls
    after ten frames, and keeps nothing back."""
    policy, rng = SharedBudget(0.2, regions=2), np.random.default_rng(0)
    dealer = Dealer(policy, together=False)
    parts = {name: Part(dealer, name) for name in ("fast", "slow", "stalls")}
    config = SIMPLE.replace(policy=policy)
    states = {name: init_state(simple_params(), np.zeros((1, 64, 96, 3), np.uint8), config=config) for name in parts}
    decide, under_way, routes, spent = _decide(policy), {}, defaultdict(list), []
    for turn in range(500):
        name = "stalls" if turn < 40 and turn % 4 == 1 else "slow" if turn % 4 == 0 else "fast"
        if name in under_way:
            parts[name].saw(*under_way.pop(name), 0.1)
        states[name] = parts[name].steer(states[name])
        score = rng.normal(99.5 if name == "slow" else 80, 0.1, 2)
        segment, inner = decide(states[name].policy, score)
        states[name] = states[name]._replace(policy=inner)
        first = not routes[name]
        segment = np.ones(2, bool) if first else np.asarray(segment)
        routes[name].append(segment.mean())
        spent.append(2 * segment.mean())
        under_way[name] = (score, segment)
    assert np.mean(routes["fast"][100:]) > 0.24 > 0.08 > np.mean(routes["slow"][40:])
    ahead = np.cumsum(np.array(spent) - 2 * 0.2)[100:]
    assert ahead.max() - ahead.min() <= 3 * 2 + 3  # three streams' credit, and what is on its way
    for part in parts.values():
        part.close()
        part.close()


@pytest.mark.parametrize("streams", [1, 3])
def test_a_rate_is_kept_by_all_and_what_is_left_goes_to_the_worst(streams):
    """Of 100 ms three streams' light parts take 30; the rest is 7/8 of a frame, in regions of 20 ms."""
    rng = np.random.default_rng(0)
    score = np.stack([rng.normal(mean, 1, (FRAMES, REGIONS)) for mean in (90, 98, 98)[:streams]], 1)
    dealer = Dealer(SharedFrameRate(10.0), together=True)
    routes = play(dealer.policy, score, dealer)
    segmented = routes[50:].mean((0, 2))
    pace = dealer.pace()
    assert pace.reached == pytest.approx(10, rel=0.05) or pace.reached > 10
    assert segmented.sum() == pytest.approx((0.1 - streams * 0.01) / 0.08 if streams > 1 else 1, rel=0.05)
    assert streams == 1 or segmented[0] > 1.5 * segmented[1]
    assert pace.within_reach and pace.light == pytest.approx(streams * 0.01, rel=0.1)


def test_its_numbers_are_no_other_program_and_a_foreign_state_is_refused():
    params, frames = simple_params(), np.zeros((2, 64, 96, 3), np.uint8)
    sizes = []
    for policy in (SharedBudget(0.2, regions=2), SharedBudget(0.3, regions=2), SharedBudget(0.5, 2, limit=7.0)):
        config = SIMPLE.replace(policy=policy)
        dealer = Dealer(policy, together=True)
        dealer.join(0), dealer.join(1)
        state = init_state(params, frames, config=config)
        state = state._replace(policy=dealt(state.policy, dealer.deal([0, 1])))
        segment_frame(params, state, frames, config=config)
        sizes.append(segment_frame._cache_size())
    assert sizes[0] == sizes[1] == sizes[2]
    with pytest.raises(ValueError, match="policy"):
        segment_frame(params, init_state(params, frames, config=config), frames,
                      config=config.replace(policy=Budget(0.2, regions=2)))  # fmt: skip


def test_they_are_policies_made_of_the_usual_ones():
    assert over_streams(Budget(0.3, 8, 5.0)) == SharedBudget(0.3, 8, 5.0)
    assert over_streams(FrameRate(12.0, 8, 0.1)) == SharedFrameRate(12.0, 8, 0.1)
    assert isinstance(SharedBudget(), Policy) and isinstance(SharedFrameRate(3.0), Policy)
    for make in (lambda: SharedBudget(1.5), lambda: SharedFrameRate(0.0), lambda: SharedBudget().init(6)):
        with pytest.raises(ValueError):
            make()
