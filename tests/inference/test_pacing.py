"""A frame rate kept by segmenting less: the model of a step's time, the policy, and both on a clip with cuts.

No clock is read: the time of a frame is what these tests say that it is.
"""

from __future__ import annotations

import re
from collections import deque

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tiny import TINY, tiny_params, video
from tiny_files import clip, compile_once, write_images  # noqa: F401

from dvsnet_jax import Budget, FrameRate, checkpoints, init_state, segment_frame
from dvsnet_jax.cli import main
from dvsnet_jax.cli.screen import tell_pace
from dvsnet_jax.inference.pacing import Pace, Pacer, StepTimes
from dvsnet_jax.inference.segment_source import Segmenter, Summary, segment_source
from dvsnet_jax.media.output_folder import OutputFolder
from dvsnet_jax.media.sources import open_source
from dvsnet_jax.policies import Evidence, Policy
from dvsnet_jax.visualize import label_palette

LIGHT, HEAVY = 0.010, 0.080  # seconds of the machine that the clips are run on


def evidence(score) -> Evidence:
    score = jnp.asarray(score, jnp.float32)
    return Evidence(score, jnp.zeros_like(score), jnp.zeros_like(score))


def learned(light, heavy, shares, *, noise=0.0, seed=0, times=None) -> StepTimes:
    rng, times = np.random.default_rng(seed), times or StepTimes()
    for share in shares:
        times = times.after(share, (light + heavy * share) * (1 + noise * rng.standard_normal()))
    return times


@pytest.mark.parametrize("seed", range(5))
def test_two_shares_tell_the_line_and_noise_is_averaged(seed):
    rng = np.random.default_rng(seed)
    light, heavy = rng.uniform(0.001, 0.5, 2)
    exact = learned(light, heavy, [0, 0.25, *rng.choice([0, 0.25, 0.5], 40)])
    np.testing.assert_allclose([exact.light, exact.heavy], [light, heavy], rtol=0.01)
    noisy = learned(light, heavy, [0, 0.25, *rng.choice([0, 0.25, 0.5, 1], 200)], noise=0.05, seed=seed)
    np.testing.assert_allclose([noisy.light, noisy.light + noisy.heavy], [light, light + heavy], rtol=0.05)


def test_the_share_is_what_time_is_left_for():
    times = StepTimes(light=0.01, heavy=0.08)
    assert times.share(0.03) == pytest.approx(0.25)
    assert times.share(0.01) == times.share(0.005) == 0
    assert times.share(0.09) == times.share(9.0) == 1
    assert StepTimes(light=0.01).share(0.02) == 1  # segmenting costs nothing


def test_one_stall_does_not_move_the_line_and_a_slower_machine_is_followed():
    usual = learned(LIGHT, HEAVY, [0, 0.25] * 20, noise=0.02)
    stalled = usual.after(0.25, 100 * (LIGHT + HEAVY))
    assert stalled.share(0.03) == pytest.approx(usual.share(0.03), abs=0.03)
    slower = learned(3 * LIGHT, 3 * HEAVY, [0, 0.25] * 40, times=usual)
    assert slower.share(0.09) == pytest.approx(0.25, abs=0.02)
    faster = learned(LIGHT / 3, HEAVY / 3, [0, 0.25] * 60, times=usual)
    assert faster.share(0.01) == pytest.approx(0.25, abs=0.03)


def test_the_same_share_over_and_over_forgets_nothing():
    """Then the two numbers cannot be told apart; what was known of them stays."""
    times = learned(LIGHT, HEAVY, [0, 0.25] * 20)
    for share in (0.0, 0.5):
        after = learned(LIGHT, HEAVY, [share] * 1000, times=times)
        np.testing.assert_allclose([after.light, after.heavy], [LIGHT, HEAVY], rtol=0.02)


@pytest.mark.parametrize("share,seconds", [(-0.1, 1.0), (1.1, 1.0), (0.5, 0.0), (0.5, float("nan"))])
def test_times_that_are_none(share, seconds):
    with pytest.raises(ValueError, match="expected 0 to 1, and a time above 0"):
        StepTimes().after(share, seconds)


@pytest.mark.parametrize("share", [0.02, 0.1, 1 / 3, 0.4, 0.625, 1.0])
def test_no_stretch_of_frames_costs_more_than_its_share(share):
    """Calm, busy and cut at random; and where there is always enough to do, all of it is used."""
    policy, rng = FrameRate(25), np.random.default_rng(0)
    assert isinstance(policy, Policy)
    step = jax.jit(policy.decide)
    state = policy.init(8)._replace(share=jnp.full(8, share))
    routes = []
    for frame in range(400):
        score = rng.normal(100 if frame % 100 < 20 else 85, 1, 8)
        score[:4] = np.where(frame % 37 == 0, 10, score[:4])
        segment, state = step(state, evidence(score))
        routes.append(np.asarray(segment).reshape(2, 4).sum(1))
    total = np.cumsum([[0, 0], *routes], axis=0)
    for length in range(1, 401):
        assert (total[length:] - total[:-length]).max() <= length * share * 4 + 1 + 1e-6
    busy = sum(sum(routes[frame]) for frame in range(400) if frame % 100 >= 30)
    assert busy / (280 * 8) == pytest.approx(share, abs=0.01)


def test_the_worst_come_first_and_nothing_is_segmented_for_nothing():
    policy = FrameRate(25)
    state = policy.init(4)._replace(share=jnp.full(4, 0.25))
    order = []
    for _ in range(4):
        segment, state = policy.decide(state, evidence([90.0, 60.0, 80.0, 70.0]))
        order.append(np.flatnonzero(segment).tolist())
    assert order == [[1], [3], [1], [2]]
    for _ in range(10):
        segment, state = policy.decide(
            policy.init(4)._replace(share=jnp.ones(4)), evidence([100.0, 99.5, 120.0, 100.0])
        )
        assert not segment.any()
    np.testing.assert_allclose(policy.targets(policy.init(4)), 2.0)


@pytest.mark.parametrize(
    "make",
    [lambda: FrameRate(0), lambda: FrameRate(float("nan")), lambda: FrameRate(25, least=2), lambda: FrameRate(25, 0)],
)
def test_rates_that_are_none(make):
    with pytest.raises(ValueError, match="FrameRate"):
        make()
    with pytest.raises(ValueError, match="for frames of 4 regions, but there are 6"):
        FrameRate(25).init(6)


def test_the_first_times_are_not_believed_too_far():
    """A region seems to cost nothing, as the frame before it was held up: then two are tried, not all."""
    pacer = Pacer(FrameRate(5))
    for share, seconds in ((1.0, 9.0), (0.0, 0.09), (0.25, 0.05)):
        pacer.saw(share, seconds)
    assert pacer.share == 0.5
    pacer.saw(0.5, 0.05)
    assert pacer.share == 0.75


def changing() -> np.ndarray:
    """A drift, a still picture, another drift after a cut, and a cut with every frame."""
    drift, other = video(30)[:, 0], video(50, seed=1)[:, 0]
    flashes = np.stack([video(1, seed=seed)[0, 0] for seed in range(2, 12)])
    return np.concatenate([drift, np.repeat(drift[-1:], 20, 0), other, flashes, video(30, seed=20)[:, 0]])


def run(policy, seconds_of, frames, *, late=4):
    """The tiny network over the clip, each frame's time known `late` frames later; shares asked for, and segmented."""
    config = TINY.replace(policy=policy)
    state, pacer = init_state(tiny_params(), frames[:1], config=config), Pacer(policy)
    asked, segmented, on_their_way = [], [], deque()
    for index, frame in enumerate(frames):
        state = pacer.steer(state)
        asked.append(pacer.share)
        state, result = segment_frame(tiny_params(), state, frame[None], config=config)
        segmented.append(float(np.asarray(result.segmented).mean()))
        on_their_way.append((segmented[-1], seconds_of(index, segmented[-1])))
        if len(on_their_way) > late:
            pacer.saw(*on_their_way.popleft())
    while on_their_way:
        pacer.saw(*on_their_way.popleft())
    return np.array(asked), np.array(segmented), pacer.pace()


def test_a_rate_is_kept_on_a_clip_with_changing_content():
    rng = np.random.default_rng(0)

    def seconds(index, share):
        compiling = 30.0 if index == 0 else 0.0
        stall = 0.2 if index == 60 else 0.0
        return (LIGHT + HEAVY * share) * (1 + 0.03 * rng.standard_normal()) + compiling + stall

    frames = changing()
    before = segment_frame._cache_size()
    asked, segmented, pace = run(FrameRate(25), seconds, frames)  # 40 ms: a share of 0.375
    assert segment_frame._cache_size() - before <= 1  # whatever the share
    assert pace.within_reach and pace.reached == pytest.approx(25, rel=0.08) and pace.asked == 25
    assert segmented[0] == 1 and pace.share == pytest.approx(segmented[1:].mean())
    # The share settles at once; content and cuts do not move it, as only time does.
    np.testing.assert_allclose(asked[15:60], 0.375, atol=0.05)
    np.testing.assert_allclose(asked[110:], 0.375, atol=0.05)
    assert asked[60:].min() > 0.2
    # At a cut, and where every frame is one, there is no more than two of four regions a frame.
    assert segmented[15:].max() <= 0.5 and segmented[100:110].mean() == pytest.approx(0.375, abs=0.1)


def test_a_rate_out_of_reach_is_told_and_one_too_easy_segments_all():
    frames = changing()[:60]
    asked, segmented, pace = run(FrameRate(200), lambda index, share: LIGHT + HEAVY * share, frames)
    assert not pace.within_reach and pace.light == pytest.approx(LIGHT, rel=0.05) and pace.reached < 100
    np.testing.assert_allclose(asked[12:], 0.02)
    assert 0 < segmented[12:].sum() <= 50 * 0.02 + 0.25
    asked, segmented, pace = run(FrameRate(5), lambda index, share: LIGHT + HEAVY * share, frames)
    assert asked[35:].min() == 1 and segmented[37:].min() == 1 and pace.within_reach and pace.reached > 5


def test_a_machine_that_becomes_slower_is_followed():
    frames = np.concatenate([video(60)[:, 0], video(60, seed=1)[:, 0]])
    _, segmented, _ = run(FrameRate(20), lambda i, share: (LIGHT + HEAVY * share) * (1 if i < 60 else 2), frames)
    assert segmented[20:60].mean() == pytest.approx(0.5, abs=0.04)
    times = [(LIGHT + HEAVY * share) * 2 for share in segmented[80:]]
    assert np.mean(times) == pytest.approx(0.05, rel=0.08)


def test_a_budget_is_kept_on_a_clip_with_changing_content():
    """`Budget` through the frame step: drift, stillness, a cut, flashes; the first frame counts."""
    policy, share = Budget(0.25), 0.25
    config = TINY.replace(policy=policy)
    frames = changing()
    state = init_state(tiny_params(), frames[:1], config=config)
    segmented, credits = [], []
    for frame in frames:
        state, result = segment_frame(tiny_params(), state, frame[None], config=config)
        segmented.append(int(result.segmented.sum()))
        credits.append(float(state.policy.credit[0]))
    assert segmented[0] == 4 and credits[0] == pytest.approx(5 + 1 - 4)  # out of a full credit
    off = np.cumsum(np.array(segmented) - 4 * share)
    assert off.max() - off.min() <= 5 + 1e-3
    np.testing.assert_allclose(off, 5 - np.array(credits), atol=1e-3)


@pytest.fixture
def clocked(monkeypatch):
    """Every frame takes what the other machine takes."""
    saw = Pacer.saw

    def told(self, segmented, seconds):
        assert seconds > 0
        saw(self, segmented, LIGHT + HEAVY * segmented)

    monkeypatch.setattr(Pacer, "saw", told)


def test_segment_source_steers(tmp_path, clocked, compile_once):  # noqa: F811
    write_images(tmp_path / "drive", changing()[:60])
    output = OutputFolder(tmp_path / "out", palette=label_palette(), frame_rate=25, products={"routes"})
    segmenter = Segmenter(tiny_params(), TINY.replace(policy=FrameRate(25)))
    summary = segment_source(open_source(tmp_path / "drive"), segmenter, output)
    assert summary.pace is not None and summary.pace.reached == pytest.approx(25, rel=0.1)
    assert summary.pace.share == pytest.approx((summary.segmented - 4) / (summary.regions - 4))
    again = OutputFolder(tmp_path / "again", palette=label_palette(), frame_rate=25, products={"routes"})
    none = segment_source(open_source(tmp_path / "drive"), Segmenter(tiny_params(), TINY), again, num_frames=2)
    assert none.pace is None


@pytest.mark.parametrize(
    ("rate", "frames", "told"),
    [
        ("25", 40, r"--fps 25 was reached: the frame step kept 2\d\.\d\d frames/s with \d\d\.\d% of regions"),
        (
            "400",
            12,
            r"--fps 400 cannot be reached here: with nothing segmented a frame takes 10\.0 ms, 100\.00 frames/s",
        ),
        ("25", 1, "one frame or none says nothing about a rate"),
    ],
)
def test_the_command_tells_what_became_of_it(tmp_path, clocked, compile_once, capsys, monkeypatch, rate, frames, told):  # noqa: F811
    monkeypatch.setattr(checkpoints, "load_bundled", lambda *_: (tiny_params(), TINY))
    write_images(tmp_path / "drive", clip(frames))
    options = ["--fps", rate, "--no-overlay", "--no-color", "--out", str(tmp_path / "out")]
    assert main(["segment", str(tmp_path / "drive"), *options]) == 0
    assert re.search(told, capsys.readouterr().err)


@pytest.mark.parametrize(("device", "blamed"), [(1.9, False), (1.0, True)])
def test_reading_and_writing_are_blamed_only_for_what_they_take(capsys, device, blamed):
    """Of 30 frames the first, segmented whole, took half a second of the device: that is nobody's writing."""
    pace = Pace(asked=25.0, reached=25.0, share=0.2, light=0.01)
    tell_pace("drive", Summary(frames=30, seconds=1.9, device_seconds=device, pace=pace))
    told = capsys.readouterr().err
    assert "--fps 25 was reached" in told and ("with reading and writing it was 15.79 frames/s" in told) == blamed
