"""Any network inside the frame step: each of the FlowNet2 family, DeepLab-v2, and functions of the user's own."""

from __future__ import annotations

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tiny import TINY, video

from dvsnet_jax import (
    DVSNetConfig,
    FixedInterval,
    FlowFunction,
    FlowOutput,
    SegmentationFunction,
    estimate_flow,
    init_state,
    networks,
    segment_frame,
)
from dvsnet_jax.config import DeepLabV2Config
from dvsnet_jax.flownet_config import NVIDIA, FlowNet2Config
from dvsnet_jax.ops.resize import resize_legacy

STEP = TINY.replace(policy=FixedInterval(2))
flow_and_feature = jax.jit(networks.flow_and_feature, static_argnums=3)


def run(clip, params, config):
    """Labels of every frame, [time, height, width], and which frames were segmented."""
    state, labels, segmented = init_state(params, clip[0], config=config), [], []
    for frames in clip:
        state, result = segment_frame(params, state, frames, config=config)
        labels.append(np.asarray(result.labels[0]))
        segmented.append(bool(result.segmented.all()))
    return np.stack(labels), segmented


def colours(params, images):
    """A toy segmentation network: the class whose colour is nearest. On a ¼ grid."""
    small = images[:, ::4, ::4]
    return -jnp.square(small[..., None, :] - params["colours"]).sum(-1) / 1e4


def still(params, current, key):
    """A toy flow network: nothing moves; the feature is what changed."""
    n, height, width, _ = current.shape
    flow = jnp.zeros((n, height // 4, width // 4, 2))
    return FlowOutput(flow, jnp.ones((*flow.shape[:3], 1)), (current - key)[:, ::8, ::8] * params["gain"])


def shifted(params, current, key):
    """A toy flow network that says: everything came from `params` pixels (of the region) to the right."""
    out = still({"gain": 1.0}, current, key)
    return out._replace(flow=out.flow.at[..., 0].set(params / 8))


PALETTE = jnp.array([[0.0, 0, 0], [255, 0, 0], [0, 255, 0], [0, 0, 255], [255, 255, 255]])


@pytest.mark.parametrize(
    "network",
    ["FlowNetC",
     *(pytest.param(name, marks=pytest.mark.slow)
       for name in ("FlowNetS", "FlowNetCS", "FlowNetCSS", "FlowNetSD", "FlowNet2"))],
)  # fmt: skip
def test_every_flow_network_serves_the_frame_step(network):
    config = STEP.replace(flow=FlowNet2Config(network=network, width=1 / 64, convention=NVIDIA))
    params = networks.init_params(jax.random.key(0), config)
    out = flow_and_feature(params, *[jnp.asarray(f[:, :48, :64]) for f in video(2)], config)
    assert out.flow.shape == (1, 12, 16, 2) and out.scale.shape == (1, 12, 16, 5)
    assert out.feature.shape == (1, 1, 1, 16)
    np.testing.assert_array_equal(out.scale, 1.0)
    labels, segmented = run(video(3), params, config)
    assert labels.shape == (3, 64, 96) and segmented == [True, False, True]


def test_the_flow_is_that_of_the_network_on_the_eighth_grid():
    """Every fourth pixel of the half-size flow, in cells of four pixels."""
    flow = FlowNet2Config(network="FlowNetSD", width=1 / 64, convention=NVIDIA)
    config = STEP.replace(flow=flow)
    params = networks.init_params(jax.random.key(0), config)
    current, key = (jnp.asarray(frames[:, :64, :64]) for frames in video(2))
    out = flow_and_feature(params, current, key, config)
    full = estimate_flow({"FlowNetSD": params["flow"]["FlowNetSD"]}, current, key, config=flow)
    assert np.abs(full).max() > 1e-3
    np.testing.assert_allclose(out.flow, np.asarray(full)[:, ::4, ::4] / 4, rtol=1e-3, atol=1e-5)


def test_deeplab_v2_serves_the_frame_step():
    config = STEP.replace(segmentation=DeepLabV2Config(num_classes=5, blocks=(1, 1, 2, 1), width=4))
    params = networks.init_params(jax.random.key(0), config)
    state = init_state(params, video(1)[0], config=config)
    assert state.key_scores.shape == (4, 6, 8, 5)  # regions of 48×64 at output stride 8
    labels, segmented = run(video(3), params, config)
    assert labels.max() < 5 and segmented == [True, False, True]


def own(segmentation=colours, flow=still, num_classes=5) -> DVSNetConfig:
    return STEP.replace(
        segmentation=SegmentationFunction(function=segmentation, num_classes=num_classes),
        flow=FlowFunction(function=flow, feature_channels=3),
    )


def own_params(config, flow_params):
    return networks.init_params(jax.random.key(0), config) | {"segmentation": {"colours": PALETTE}, "flow": flow_params}


def test_functions_of_your_own():
    config = own()
    params = own_params(config, {"gain": jnp.float32(1)})
    clip = video(3)
    labels, segmented = run(clip, params, config)
    assert segmented == [True, False, True]
    for frame in (0, 2):
        # exactly the network's answer, on its own grid, upsampled
        scores = resize_legacy(colours({"colours": PALETTE}, jnp.asarray(clip[frame], jnp.float32)), (64, 96))
        inside = np.s_[:48, :60]  # of the first region, which wins nowhere else
        agree = (np.asarray(scores.argmax(-1))[0][inside] == labels[frame][inside]).mean()
        assert agree > 0.97
    np.testing.assert_array_equal(labels[1], labels[0])  # a still flow repeats the key frame


def test_a_fine_grid_is_warped_on_its_own_grid():
    """Scores at ¼ and a flow of 4 pixels: one cell of theirs, half a cell of the flow's grid; nothing is blurred."""
    config = own(flow=shifted).replace(regions=(1, 1), overlap=0)
    params = own_params(config, jnp.float32(4.0))
    labels, _ = run(video(2), params, config)
    np.testing.assert_array_equal(labels[1][:, :-8], labels[0][:, 4:-4])


def test_a_network_written_with_nnx():
    nnx = pytest.importorskip("flax.nnx")

    class Segmenter(nnx.Module):
        def __init__(self, rngs):
            self.conv = nnx.Conv(3, 8, (3, 3), strides=8, rngs=rngs)
            self.head = nnx.Linear(8, 5, rngs=rngs)

        def __call__(self, images):
            return self.head(nnx.relu(self.conv(images / 255)))

    graph, weights = nnx.split(Segmenter(nnx.Rngs(0)))

    def apply(weights, images):
        return nnx.merge(graph, weights)(images)

    config = own(segmentation=apply)
    params = own_params(config, {"gain": jnp.float32(1)}) | {"segmentation": weights}
    clip = video(2)
    labels, _ = run(clip, params, config)
    direct = resize_legacy(Segmenter(nnx.Rngs(0))(jnp.asarray(clip[0], jnp.float32)), (64, 96)).argmax(-1)
    assert (np.asarray(direct)[0, :40, :48] == labels[0][:40, :48]).mean() > 0.97


def test_own_init_is_asked():
    config = own()
    config = config.replace(
        segmentation=replace(config.segmentation, init=lambda key: {"colours": PALETTE}),
        flow=replace(config.flow, init=lambda key: {"gain": jnp.float32(2)}),
    )
    params = networks.init_params(jax.random.key(0), config)
    assert params["flow"]["gain"] == 2
    run(video(2), params, config)


def test_wrong_shapes_are_named():
    config = own(num_classes=7)
    params = own_params(config, {"gain": jnp.float32(1)})
    with pytest.raises(ValueError, match=r"returned \(4, 12, 16, 5\) .* expected \[4, h, w, 7\]"):
        init_state(params, video(1)[0], config=config)

    def full_size(params, current, key):
        return FlowOutput(jnp.zeros((*current.shape[:3], 2)), jnp.ones((1, 1, 1, 1)), current)

    config = own(flow=full_size)
    state = init_state(params, video(1)[0], config=config)
    with pytest.raises(ValueError, match=r"returned flow \(4, 24, 32, 2\).*expected flow \(4, 6, 8, 2\)"):
        segment_frame(params, state, video(1)[0], config=config)


def test_what_is_no_network():
    with pytest.raises(TypeError, match=r"segmentation is <function colours.*SegmentationFunction"):
        DVSNetConfig(segmentation=colours)
    with pytest.raises(ValueError, match="num_classes is 1"):
        SegmentationFunction(function=colours, num_classes=1)
