"""The frame step: equal to the original end to end, and what it promises beyond it."""

from __future__ import annotations

from dataclasses import dataclass, field

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tiny import TINY, tiny_params, video

import dvsnet_jax
from dvsnet_jax import (
    DVSNetConfig,
    DynamicTarget,
    ExpectedConfidence,
    FixedInterval,
    init_state,
    prepare,
    segment_clip,
    segment_frame,
)
from dvsnet_jax.checkpoints import seeded_params
from dvsnet_jax.visualize import label_palette


@dataclass(frozen=True)
class Routes:
    """A policy that follows a given list: frame by frame, the regions (of all streams) to segment."""

    frames: tuple[tuple[bool, ...], ...] = field()

    def init(self, regions):
        return jnp.zeros(regions, jnp.int32)

    def decide(self, state, evidence):
        return jnp.asarray(self.frames)[state[0], jnp.arange(len(state))], state + 1

    def targets(self, state):
        return jnp.zeros(len(state), jnp.float32)


def run(clip, config, params=None, restart=None):
    """Frame by frame, as numpy results stacked over time."""
    params = tiny_params() if params is None else params
    state, results = init_state(params, clip[0], config=config), []
    for index, frames in enumerate(clip):
        state, result = segment_frame(params, state, frames, None if restart is None else restart[index], config=config)
        results.append(jax.device_get(result))
    return dvsnet_jax.FrameResult(*(np.stack(values) for values in zip(*results, strict=True)))


def assert_same(a, b, score_tolerance=1e-3):  # tiny_params multiply rounding by 40 too
    np.testing.assert_array_equal(a.segmented, b.segmented)
    np.testing.assert_array_equal(a.labels, b.labels)
    np.testing.assert_allclose(a.scores, b.scores, atol=score_tolerance)
    np.testing.assert_allclose(a.targets, b.targets, atol=1e-5)


# --- equal to the original ------------------------------------------------------------------------------------------

END_TO_END = {
    "e2e_ov32": dict(overlap=32),
    "e2e_ov32_dyn": dict(overlap=32, policy=DynamicTarget(85.0)),
    "e2e_ov64": dict(policy=ExpectedConfidence(92.0)),
    "e2e_ov64_dyn": dict(policy=DynamicTarget(96.0)),
    "e2e_full1024x2048": dict(policy=ExpectedConfidence(84.0), input_size=(1024, 2048)),
}


@pytest.fixture(scope="module")
def full_params():
    return jax.device_put(seeded_params(DVSNetConfig.cityscapes()))


@pytest.mark.slow
@pytest.mark.optimized
@pytest.mark.parametrize("form", ["prepared", "as trained"])
@pytest.mark.parametrize("run_name", END_TO_END)
def test_equals_the_original_end_to_end(goldens, full_params, run_name, form):
    """Every route and target, scores within 2e-3, at most 1 label in 20,000 different: the script `inference.py`."""
    config = DVSNetConfig.cityscapes(**END_TO_END[run_name])
    if form == "prepared":
        full_params = prepare(full_params, config)
    steps = goldens.json(f"{run_name}/steps")
    state = None
    for index, (frame, step) in enumerate(zip(steps["frames"], steps["steps"], strict=False)):
        mask = goldens.roots[0] / f"{run_name}/mask{index}.png"
        if not mask.exists():
            mask = goldens.roots[1] / f"{run_name}/mask{index}.png"
            if not mask.exists():
                break
        frames = goldens.image(f"e2e/{frame.removesuffix('.png')}")[None]
        if state is None:
            state = init_state(full_params, frames, config=config)
        state, result = segment_frame(full_params, state, frames, config=config)
        result = jax.device_get(result)
        assert result.segmented[0].tolist() == [route == "seg" for route in step["routes"]], f"frame {index}"
        if index:
            np.testing.assert_allclose(result.scores[0], step["pred_scores"], atol=2e-3)
            np.testing.assert_allclose(result.targets[0], step["targets_before"], atol=1e-5)
            np.testing.assert_allclose(config.policy.targets(state.policy), step["targets_after"], atol=1e-5)
        else:
            assert np.isnan(result.scores).all()
        from PIL import Image

        expected = np.asarray(Image.open(mask).convert("RGB"))
        different = (label_palette(19, "original")[result.labels[0]] != expected).any(-1).mean()
        assert different <= 1 / 20_000, f"frame {index}: {different * 20_000:.1f} labels in 20,000 differ"
    assert index >= 2


# --- routing --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("chunk", [None, 3, 4])
def test_compact_equals_dense_for_every_mask(chunk):
    masks = tuple(tuple(bool(number >> bit & 1) for bit in range(4)) for number in range(16))
    config = TINY.replace(policy=Routes(masks), chunk=chunk)
    clip = video(17)
    compact, dense = run(clip, config), run(clip, config.replace(routing="dense", chunk=None))
    assert_same(compact, dense)
    np.testing.assert_array_equal(compact.segmented[1:, 0], np.asarray(masks))
    assert len(np.unique(compact.labels)) > 2  # else equal labels would say nothing


def test_compact_equals_dense_with_streams_of_all_kinds():
    """One stream segments everything, one nothing, one at random, in the same step."""
    rng = np.random.default_rng(0)
    routes = tuple((True,) * 4 + (False,) * 4 + tuple(rng.integers(0, 2, 4).astype(bool).tolist()) for _ in range(5))
    clip = video(6, streams=3)
    compact = run(clip, TINY.replace(policy=Routes(routes)))
    assert_same(compact, run(clip, TINY.replace(policy=Routes(routes), routing="dense")))
    assert compact.segmented[1:, 0].all() and not compact.segmented[1:, 1].any()


def test_streams_do_not_touch_each_other():
    config = TINY.replace(policy=DynamicTarget(50.0, fall=3.0, rise=1.0))
    clip = video(5, streams=3)
    together = run(clip, config)
    assert 0 < together.segmented[1:].mean() < 1
    for stream in range(3):
        alone = run(clip[:, stream : stream + 1], config)
        assert_same(alone, dvsnet_jax.FrameResult(*(field[:, stream : stream + 1] for field in together)))


def test_compact_routing_skips_the_network():
    """The loop runs ⌈segmented / chunk⌉ times, the last pass with what it needs: the host sees it."""
    from dvsnet_jax.routing import segment_where

    calls = []

    def network(images):
        jax.debug.callback(lambda: calls.append(images.shape[0]))
        return images[:, :1, :1].astype(jnp.float32)

    images, scores = jnp.ones((4, 2, 2, 3)), jnp.zeros((4, 1, 1, 3))
    passes = {
        1: ([], [1], [1, 1], [1, 1, 1], [1, 1, 1, 1]),
        3: ([], [1], [3], [3], [3, 1]),
        4: ([], [1], [2], [4], [4]),
    }
    for chunk, segmented in ((chunk, segmented) for chunk in passes for segmented in range(5)):
        step = jax.jit(lambda mask, chunk=chunk: segment_where(
            mask, network, images, scores, routing="compact", chunk=chunk))  # fmt: skip
        calls.clear()
        out = step(jnp.arange(4) >= 4 - segmented)
        jax.effects_barrier()
        assert calls == passes[chunk][segmented]
        assert np.asarray(out)[:, 0, 0, 0].tolist() == [0.0] * (4 - segmented) + [1.0] * segmented


def test_dense_routing_has_gradients():
    config = TINY.replace(routing="dense", policy=Routes(((True, False, True, False),)))
    from dvsnet_jax import networks
    from dvsnet_jax.routing import segment_where

    images = jnp.asarray(np.random.default_rng(0).uniform(0, 255, (4, 48, 64, 3)), jnp.float32)

    def loss(params):
        def network(x):
            return networks.segmentation_scores(params, x, config)

        mask = jnp.array([True, False, True, False])
        return segment_where(mask, network, images, jnp.zeros((4, 3, 4, 5)), routing="dense", chunk=None).sum()

    gradient = jax.jit(jax.grad(loss))(tiny_params())
    assert np.abs(np.asarray(gradient["segmentation"]["fc_out"]["weights"])).max() > 0


# --- state ----------------------------------------------------------------------------------------------------------


def test_first_frame_segments_everything_whatever_the_policy():
    for policy in (ExpectedConfidence(-1e9), FixedInterval(5), DynamicTarget(-1e9)):
        result = run(video(2), TINY.replace(policy=policy))
        assert result.segmented[0].all() and np.isnan(result.scores[0]).all()
        assert not result.segmented[1].any() and np.isfinite(result.scores[1]).all()


def test_key_frame_changes_only_where_segmented():
    config = TINY.replace(policy=Routes(((True, False, False, False),)))
    params, clip = tiny_params(), video(2)
    before, _ = segment_frame(params, init_state(params, clip[0], config=config), clip[0], config=config)
    old = jax.device_get(before)
    after = jax.device_get(segment_frame(params, before, clip[1], config=config)[0])
    for name in ("key_images", "key_scores", "key_features"):
        changed = [not np.array_equal(a, b) for a, b in zip(getattr(old, name), getattr(after, name), strict=True)]
        assert changed == [True, False, False, False], name


@pytest.mark.parametrize("routing", ["compact", "dense"])
def test_what_is_kept_of_the_key_image_is_that_key_images(routing):
    """With regions becoming key regions at different times, in two streams of which one begins anew."""
    from dvsnet_jax import networks

    some, others, none = ((True, False, False, True), (False, True, False, False), (False,) * 4)
    routes = Routes(((*some, *none), (*others, *some), (*none, *others)))
    config, params, clip = TINY.replace(policy=routes, routing=routing), tiny_params(), video(4, streams=2)
    state = init_state(params, clip[0], config=config)
    for index, frames in enumerate(clip):
        state, result = segment_frame(params, state, frames, jnp.array([False, index == 2]), config=config)
        expected = networks.key_features(params, state.key_images, state.key_scores, config)
        np.testing.assert_allclose(state.key_features, expected, atol=1e-5)
        assert index == 0 or 0 < result.segmented.sum() < 8


def test_an_unchanged_frame_segmented_or_not_depends_on_flow_alone():
    """Segmenting the very same frame again gives the same labels, bit for bit."""
    clip = np.repeat(video(1), 3, axis=0)
    result = run(clip, TINY.replace(policy=FixedInterval(1)))
    np.testing.assert_array_equal(result.labels[0], result.labels[2])


def test_restart_begins_a_stream_anew():
    config = TINY.replace(policy=DynamicTarget(50.0, fall=3.0, rise=1.0))
    first, second = video(3, streams=2, seed=1), video(4, streams=2, seed=2)
    clip = np.concatenate([first, second])
    clip[3:, 0] = first[[0, 1, 2, 0], 0]  # stream 0 goes on with something, stream 1 is replaced by another video
    restart = np.zeros((7, 2), bool)
    restart[3, 1] = True
    whole = run(clip, config, restart=restart)
    alone = run(second[:, 1:], config)
    assert_same(alone, dvsnet_jax.FrameResult(*(field[3:, 1:] for field in whole)))
    unbroken = run(clip[:, :1], config)
    assert_same(unbroken, dvsnet_jax.FrameResult(*(field[:, :1] for field in whole)))


def test_clip_equals_frame_by_frame():
    config = TINY.replace(policy=DynamicTarget(50.0, fall=3.0, rise=1.0))
    clip, params = video(5, streams=2), tiny_params()
    restart = np.zeros((5, 2), bool)
    restart[2, 0] = True
    _, result = segment_clip(params, init_state(params, clip[0], config=config), clip, restart, config=config)
    assert_same(jax.device_get(result), run(clip, config, restart=restart))


def test_one_compilation_for_each_shape():
    config = TINY.replace(policy=ExpectedConfidence(49.0))
    run(video(4), config)
    before = segment_frame._cache_size()
    run(video(3, seed=5), config.replace(policy=ExpectedConfidence(51.0)))
    assert segment_frame._cache_size() == before
    run(video(2, height=88), config)  # a size that no other test has
    assert segment_frame._cache_size() == before + 1


# --- sizes ----------------------------------------------------------------------------------------------------------


SIZES = [(64, 64), (65, 113), (90, 64), (127, 127)]
CUTS = [((2, 2), 16), ((1, 2), 8), ((1, 1), 0)]
EACH_ONCE = [(SIZES[0], CUTS[2]), (SIZES[1], CUTS[0]), (SIZES[2], CUTS[1]), (SIZES[3], CUTS[0])]


@pytest.mark.parametrize(
    "size,regions,overlap",
    [
        pytest.param(size, *cut, marks=[] if (size, cut) in EACH_ONCE else pytest.mark.slow)
        for cut in CUTS
        for size in SIZES
    ],
)
def test_any_size(size, regions, overlap):
    config = TINY.replace(regions=regions, overlap=overlap, policy=FixedInterval(2))
    result = run(video(2, height=size[0], width=size[1]), config)
    assert result.labels.shape == (2, 1, *size) and result.labels.dtype == np.uint8
    assert result.segmented.shape == (2, 1, regions[0] * regions[1])
    assert result.labels.max() < 5


def test_padding_is_of_the_edge_and_cropped():
    """A frame that does not fit gives what its edge-padded copy gives."""
    config = TINY.replace(policy=FixedInterval(2))
    clip = video(3, height=70, width=100)
    from dvsnet_jax.video import region_grid

    grid = region_grid(config, 70, 100)
    padding = ((0, 0), (0, 0), (0, grid.padded_height - 70), (0, grid.padded_width - 100), (0, 0))
    padded = run(np.pad(clip, padding, mode="edge"), config)
    np.testing.assert_array_equal(run(clip, config).labels, padded.labels[:, :, :70, :100])


def test_input_size_gives_labels_of_that_size():
    result = run(video(2, height=70, width=100), TINY.replace(input_size=(128, 160)))
    assert result.labels.shape == (2, 1, 128, 160)


# --- wrong calls ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "frames,message",
    [
        (
            np.zeros((64, 96, 3), np.uint8),
            r"uint8\[64, 96, 3\], expected uint8\[streams, height, width, 3\].*frame\[None\]",
        ),
        (np.zeros((1, 64, 96, 3), np.float32), r"float32\[1, 64, 96, 3\].*0\.\.255 .*astype\(np\.uint8\)"),
        (np.zeros((1, 64, 96, 4), np.uint8), r"uint8\[1, 64, 96, 4\].*leave out alpha"),
        (np.zeros((1, 64, 96), np.uint8), r"uint8\[1, 64, 96\].*repeat grey three times"),
        (np.zeros((1, 63, 96, 3), np.uint8), "smallest that can be segmented are 64×64"),
    ],
)
def test_frames_that_are_none(frames, message):
    with pytest.raises(ValueError, match=message):
        init_state(tiny_params(), frames, config=TINY)


def test_state_of_another_size_is_refused():
    params = tiny_params()
    state = init_state(params, video(1)[0], config=TINY)
    with pytest.raises(ValueError, match="call init_state again"):
        segment_frame(params, state, video(1, height=128)[0], config=TINY)
    with pytest.raises(ValueError, match="1 streams"):
        segment_frame(params, state, video(1, streams=2)[0], config=TINY)


def test_overlap_too_large_names_what_fits():
    with pytest.raises(ValueError, match=r"overlap 64 is too large for 64×96 frames in 2×2 regions.*at most"):
        init_state(tiny_params(), video(1)[0], config=TINY.replace(overlap=64))


@pytest.mark.parametrize(
    "settings,message",
    [
        (dict(overlap=-1), "overlap is -1"),
        (dict(regions=(0, 2)), "regions is"),
        (dict(routing="both"), "'compact' or 'dense'"),
        (dict(chunk=0), "chunk is 0"),
        (dict(input_size=(32, 64)), "64×64"),
        (dict(input_size=(999_999_999, 64)), "at most 32768 pixels"),
    ],
)
def test_settings_that_make_no_sense(settings, message):
    with pytest.raises(ValueError, match=message):
        DVSNetConfig(**settings)
