"""A network's classes merged into others: in the frame step, in a checkpoint, and on the command line."""

from __future__ import annotations

import json
from dataclasses import replace
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image
from tiny import CARRIED, video

from dvsnet_jax import (
    CarriedMotionConfig,
    ImageInput,
    SegmentationFunction,
    checkpoints,
    init_state,
    networks,
    segment_frame,
)
from dvsnet_jax.cli import main
from dvsnet_jax.cli.classes import of_classes, with_classes
from dvsnet_jax.config_json import storable, to_json
from dvsnet_jax.datasets.cityscapes import CLASSES
from dvsnet_jax.datasets.samples import LabelledImage
from dvsnet_jax.errors import InputError
from dvsnet_jax.frame_motion import FrameMotion, motion_shape
from dvsnet_jax.networks import merge_classes, merged_classes
from dvsnet_jax.training import loop
from dvsnet_jax.training.decision.example_files import _settings
from dvsnet_jax.training.flow.joint import JointTraining
from dvsnet_jax.training.flow.joint_run import fine_tune

NAMES = ("road", "Lane Marking - General", "ceiling", "sky")
GREYS = (40.0, 100.0, 160.0, 220.0)


def four(params, images):
    grey = images[:, ::8, ::8].mean(-1)
    return -jnp.abs(grey[..., None] - jnp.array(GREYS)) * params["gain"]


NETWORK = SegmentationFunction(function=four, num_classes=4, classes=NAMES)
PARAMS = {"gain": jnp.float32(1)}
MERGED = merge_classes(NETWORK, (0, 0, 255, 10), CLASSES)


def test_a_class_is_the_best_of_its_own_and_void_comes_last():
    images = jnp.asarray(video(1)[0], jnp.float32)
    own, merged = four(PARAMS, images), MERGED.function(PARAMS, images)
    assert merged.shape[-1] == MERGED.num_scores == 20 and MERGED.num_classes == 19 and MERGED.classes == CLASSES
    np.testing.assert_array_equal(merged[..., 0], jnp.maximum(own[..., 0], own[..., 1]))
    np.testing.assert_array_equal(merged[..., 10], own[..., 3])
    np.testing.assert_array_equal(merged[..., 19], own[..., 2])
    assert (merged[..., 13] == -jnp.inf).all()
    # Whatever the scores are, the label is the network's own by another name.
    table = np.array([0, 0, 19, 10])
    np.testing.assert_array_equal(table[own.argmax(-1)], merged.argmax(-1))
    whole = merge_classes(NETWORK, (0, 0, 2, 10), CLASSES)
    assert not whole.has_void and whole.function(PARAMS, images).shape[-1] == 19


@pytest.mark.parametrize(
    "to, said",
    [((0, 1), "2 classes are to be merged"), ((0, 1, 2, 19), "becomes 19, but there are 19"), ((255,) * 4, "void")],
)
def test_what_cannot_be_merged(to, said):
    with pytest.raises(ValueError, match=said):
        merge_classes(NETWORK, to, CLASSES)
    with pytest.raises(ValueError, match="the network has 20"):
        merge_classes(MERGED, (0,) * 19, CLASSES)


def made(network, scale_width=0):
    config = CARRIED.replace(segmentation=network, flow=CarriedMotionConfig(scale_width=scale_width))
    params = {name: tree for name, tree in networks.init_params(jax.random.key(0), config).items() if tree}
    return {**params, "segmentation": PARAMS}, config


def test_the_frame_step_has_void_where_it_wins_warped_too():
    params, config = made(MERGED, scale_width=2)
    assert config.num_classes == 19 and config.num_scores == 20
    clip = np.repeat(video(1), 2, 0)
    cells = motion_shape(*clip.shape[2:4])
    still = FrameMotion(np.zeros((1, *cells, 2), np.float32), np.ones((1, *cells), np.float32))
    state, seen = init_state(params, clip[0], config=config), []
    for frames in clip:
        state, result = segment_frame(params, state, frames, None, still, config=config)
        seen.append(jax.device_get(result))
    assert seen[0].segmented.all() and not seen[1].segmented.any()
    assert set(np.unique(seen[0].labels)) == {0, 10, 255}
    np.testing.assert_array_equal(seen[0].labels, seen[1].labels)


def test_weights_keep_it(tmp_path):
    params, config = made(MERGED, scale_width=2)
    checkpoints.save_accelerator(tmp_path / "weights", params, config)
    assert checkpoints.load_config(tmp_path / "weights").segmentation.merged == (0, 0, 255, 10)
    _, loaded = checkpoints.load_accelerator(tmp_path / "weights", NETWORK, PARAMS)
    assert merged_classes(loaded.segmentation) == (0, 0, 255, 10) and loaded.segmentation.classes == CLASSES
    assert loaded.num_scores == 20
    two = SegmentationFunction(function=four, num_classes=2)
    with pytest.raises(InputError, match="around a network of 4 classes, which became 19, and this one has 2"):
        checkpoints.load_accelerator(tmp_path / "weights", two, PARAMS)


def test_the_option_on_the_command_line(tmp_path, capsys):
    file = tmp_path / "mine.py"
    file.write_text(
        "import jax.numpy as jnp\nfrom dvsnet_jax import SegmentationFunction\n"
        "def four(params, images):\n    grey = images[:, ::8, ::8].mean(-1)\n"
        f"    return -jnp.abs(grey[..., None] - jnp.array({GREYS})) * params['gain']\n"
        f"def make():\n    return SegmentationFunction(function=four, num_classes=4, classes={NAMES}), "
        "{'gain': jnp.float32(1)}\n"
    )
    network = checkpoints.open_network(f"{file}:make")
    merged = with_classes(network, "cityscapes")
    told = " ".join(capsys.readouterr().err.split())
    assert "3 of 4 classes became 2 of Cityscapes' 19; nothing became sidewalk," in told and "void are ceiling" in told
    assert merged.stored.merged == (0, 0, 255, 10) and merged.stored.classes == CLASSES
    params, config = made(merged.function)
    checkpoints.save_accelerator(tmp_path / "weights", params, config, merged)
    (tmp_path / "clip").mkdir()
    Image.fromarray(video(1)[0, 0]).save(tmp_path / "clip" / "0.png")
    command = ["segment", str(tmp_path / "clip"), "--weights", str(tmp_path / "weights"), "--out",
               str(tmp_path / "out"), "--no-overlay", "--segmentation", f"{file}:make"]  # fmt: skip
    assert main(command) == 0
    with Image.open(tmp_path / "out" / "labels" / "0.png") as image:
        assert set(np.unique(np.asarray(image))) == {0, 10, 255}
    legend = json.loads((tmp_path / "out" / "classes.json").read_text())
    assert legend[0] == {"id": 0, "name": "road", "color": [128, 64, 128]} and len(legend) == 19


def test_what_was_made_with_another_map_is_told_apart():
    """The weights are the same, and so are the names: `--classes` a file that was corrected since."""
    whole = made(NETWORK)[1]
    settings = [
        _settings({}, [], whole.replace(segmentation=merge_classes(NETWORK, to, CLASSES)), 0.0, "dis")["configuration"]
        for to in ((0, 0, 255, 10), (0, 1, 255, 10))
    ]
    assert settings[0] != settings[1] and settings[0]["classes became"] == (0, 0, 255, 10)
    assert "classes became" not in _settings({}, [], whole, 0.0, "dis")["configuration"]


@pytest.mark.parametrize("merged", [False, True])
def test_what_was_made_of_images_prepared_otherwise_is_told_apart(merged, monkeypatch, tmp_path):
    """The weights are the same: a mean in preprocessor_config.json that was corrected since."""

    class Wanting:
        def __init__(self, inputs):
            self.inputs = inputs

        def __call__(self, params, images):
            return four(params, images)

    params, config = made(NETWORK, scale_width=2)
    clip, seen = [LabelledImage(video(1)[0, 0], np.full((64, 96), 255, np.uint8))] * 3, []
    monkeypatch.setattr(
        loop, "run", lambda folder, settings, *more, **rest: seen.append(settings) or SimpleNamespace(params=None)
    )
    for red in (0.4, 0.5):
        network = replace(NETWORK, function=Wanting(ImageInput.imagenet(mean=(red, 0.4, 0.4))))
        own = config.replace(segmentation=merge_classes(network, (0, 0, 255, 10), CLASSES) if merged else network)
        seen.append(_settings({}, [], own, 0.0, "dis")["configuration"])
        seen.append(to_json(storable(own)))
        fine_tune(params, own, [clip], tmp_path, JointTraining(steps=1, supervision="own"), loop.Schedule(steps=1))
    assert len(seen) == 6 and all(first != second for first, second in zip(seen[:3], seen[3:], strict=True))
    assert seen[0]["images"]["mean"] == (0.4, 0.4, 0.4) == seen[2]["images"]["mean"]
    assert "images" not in _settings({}, [], config, 0.0, "dis")["configuration"]


def test_weights_that_cannot_have_other_classes_say_so(tmp_path, capsys):
    params, config = made(NETWORK)
    merged = of_classes(config, params, "cityscapes")
    assert merged_classes(merged.segmentation) == (0, 0, 255, 10)
    assert of_classes(merged, params, "cityscapes") is merged
    (tmp_path / "map.json").write_text('{"sky": "sky"}')
    for given, asked, said in (
        (made(NETWORK, scale_width=2), "cityscapes", "warp each of them its own way; run 'dvsnet accelerate'"),
        ((params, merged), str(tmp_path / "map.json"), "were merged when they were trained"),
        (checkpoints.load_bundled("carried"), "cityscapes", "is of a network of your own"),
        (made(SegmentationFunction(function=four, num_classes=4)), "cityscapes", "have none; give a file"),
        (made(SegmentationFunction(function=four, num_classes=4, classes=tuple("abcd"))), "cityscapes", "none of the"),
    ):
        with pytest.raises(InputError, match=said) as told:
            of_classes(given[1], given[0], asked)
        assert "\n" not in str(told.value)
