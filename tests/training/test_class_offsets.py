"""What is added to classes' scores after training: the search and the command."""

from __future__ import annotations

import jax
import numpy as np
import pytest
from recipes import recipe
from tiny_lite import have_few_blocks, random_arrays

from dvsnet_jax import CarriedMotionConfig, DVSNetConfig, LocalDecisionConfig, checkpoints, networks
from dvsnet_jax.config import DeepLabLiteConfig, OwnSegmentationConfig
from dvsnet_jax.datasets.camvid import to_camvid
from dvsnet_jax.datasets.labelled_sets import labelled_set
from dvsnet_jax.datasets.samples import LabelledImage
from dvsnet_jax.errors import InputError
from dvsnet_jax.evaluation.segmentation import whole
from dvsnet_jax.media.images import write_png
from dvsnet_jax.metrics.segmentation import mean_iou
from dvsnet_jax.training.class_offsets import (
    PixelScores,
    _by_offset,
    class_offsets,
    offset_mean_iou,
    pixel_scores,
)

LITE = DeepLabLiteConfig(num_classes=5, decoder_widths=(8, 6, 4))
CONFIG = DVSNetConfig(
    segmentation=LITE, flow=CarriedMotionConfig(), decision=LocalDecisionConfig(grid=(2, 2), width=2), overlap=16
)


@pytest.fixture(autouse=True)
def few(monkeypatch):
    have_few_blocks(monkeypatch, "lite0")


def pixels_of(classes, *, counted_as=None, bias=0.0, noise=0.9, count=4000):
    """Pixels whose true class is two points above what the noise gives the others, and then moved by a bias."""
    rng = np.random.default_rng(classes)
    own = rng.choice(classes, count, p=np.arange(classes, 0, -1) / (classes * (classes + 1) / 2))
    scores = 2 * np.eye(classes)[own] + noise * rng.uniform(size=(count, classes)) + bias
    table = np.arange(classes) if counted_as is None else counted_as
    return PixelScores(scores.astype(np.float32), table[own], table)


@pytest.mark.parametrize("counted_as", [None, to_camvid(np.arange(19, dtype=np.uint8)).astype(int)])
def test_one_pass_counts_for_every_constant(counted_as):
    """Against adding each to the scores and counting anew."""
    pixels = pixels_of(19, counted_as=counted_as, noise=4.0)
    offsets = np.random.default_rng(0).normal(0, 0.5, 19)
    candidates = np.linspace(-3, 3, 13)
    for label in (0, 7, 13, 18):
        direct = []
        for candidate in candidates:
            moved = offsets.copy()
            moved[label] = candidate
            direct.append(offset_mean_iou(pixels, moved))
        assert np.ptp(direct) > 1e-3
        np.testing.assert_allclose(_by_offset(pixels, offsets, label, candidates), direct, atol=1e-12)


def test_what_a_bias_did_is_undone():
    pixels = pixels_of(5, bias=np.array([0, 2.5, 0, -2, 1.5]))
    assert offset_mean_iou(pixels, np.zeros(5)) < 0.7
    offsets = class_offsets([pixels], most=3)
    assert offset_mean_iou(pixels, offsets) > 0.999
    held = class_offsets([pixels])
    assert np.abs(held).max() == 1
    assert offset_mean_iou(pixels, np.zeros(5)) < offset_mean_iou(pixels, held) < offset_mean_iou(pixels, offsets)


def test_where_nothing_is_gained_nothing_is_added():
    np.testing.assert_array_equal(class_offsets([pixels_of(5)]), np.zeros(5))


def test_each_set_counts_the_same():
    """A set a hundredth of the other's size, which wants the opposite, is not outvoted."""
    large = pixels_of(3, bias=np.array([0, 0.5, 0]), noise=2.5, count=20000)
    small = pixels_of(3, bias=np.array([0, -2.0, 0]), count=200)
    both = (np.concatenate(arrays) for arrays in zip(large[:2], small[:2], strict=True))
    outvoted = class_offsets([PixelScores(*both, large.counted_as)])
    offsets = class_offsets([large, small])
    assert outvoted[1] - outvoted[0] < -0.4 < 0.4 < offsets[1] - offsets[0]
    assert offset_mean_iou(small, offsets) > offset_mean_iou(small, outvoted) + 0.2


def test_a_class_that_occurs_nowhere_stays_as_it_is():
    """It might in other pictures."""
    pixels = pixels_of(5)
    scores = np.pad(pixels.scores, ((0, 0), (1, 0)), constant_values=2.2)  # the first class, and wins here and there
    pixels = PixelScores(scores, pixels.truth + 1, np.arange(6))
    offsets = class_offsets([pixels])
    assert offsets[0] == 0 and offset_mean_iou(pixels, offsets) > offset_mean_iou(pixels, np.zeros(6)) + 0.1


def seeded(config):
    return random_arrays(networks.abstract_params(config))


class Pictures(list):
    """Of sizes that are no multiples of 16, a third of their labels void."""

    def __init__(self, classes, *sizes):
        rng = np.random.default_rng(5)
        labels = [rng.choice([*range(classes), *[255] * (classes // 2)], size).astype(np.uint8) for size in sizes]
        super().__init__(
            LabelledImage(rng.integers(0, 256, (*each.shape, 3)).astype(np.uint8), each) for each in labels
        )


def test_pixels_are_those_of_whole_pictures():
    """Where all are taken, the confusion matrix is that of segmenting the pictures whole."""
    params, source = seeded(CONFIG)["segmentation"], Pictures(5, (40, 52), (33, 64))
    pixels = pixel_scores(params, source, LITE, pixels=40 * 64)
    assert pixels.scores.shape == (sum(int((each.labels < 5).sum()) for each in source), 5)
    matrix = np.asarray(whole(params, source, LITE))
    assert (matrix.sum(0) > 0).sum() > 1
    found = np.zeros_like(matrix)
    np.add.at(found, (pixels.truth, pixels.scores.argmax(1)), 1)
    assert np.abs(found - matrix).sum() <= 4  # scores as good as equal
    assert offset_mean_iou(pixels, np.zeros(5)) == pytest.approx(mean_iou(matrix, absent="untrue"), abs=2e-3)


def test_so_many_pictures_and_pixels_at_most():
    params, source = seeded(CONFIG)["segmentation"], Pictures(5, *[(32, 32)] * 5)
    seen = []
    few = pixel_scores(params, source, LITE, pictures=3, pixels=100, on_picture=seen.append)
    assert few.scores.shape == (300, 5) and seen == [1, 2, 3]
    again = pixel_scores(params, source, LITE, pictures=3, pixels=100)
    np.testing.assert_array_equal(few.scores, again.scores)
    assert not np.array_equal(few.truth, pixel_scores(params, source, LITE, pictures=3, pixels=100, seed=1).truth)


def test_what_cannot_be_gone_by():
    params, source = seeded(CONFIG)["segmentation"], Pictures(5, (32, 32))
    void = [LabelledImage(source[0].image, np.full((32, 32), 255, np.uint8))]
    with pytest.raises(InputError, match="all 1 pictures: every label is void"):
        pixel_scores(params, void, LITE)
    broken = {**params, "scores": {**params["scores"], "biases": np.float32([0, np.nan, 0, 0, 0])}}
    with pytest.raises(InputError, match="picture 0: the network gives scores that are no numbers"):
        pixel_scores(broken, source, LITE)


@pytest.fixture
def files(tmp_path):
    """A checkpoint and a set of labelled pictures."""
    checkpoints.save(tmp_path / "run", seeded(CONFIG), CONFIG)
    for name, picture in zip("ab", Pictures(5, (40, 52), (40, 52)), strict=True):
        for folder, array in (("frames", picture.image), ("labels", picture.labels)):
            (tmp_path / folder).mkdir(exist_ok=True)
            write_png(tmp_path / folder / f"{name}.png", array)
    return str(tmp_path / "run"), f"folder:{tmp_path / 'frames'}:{tmp_path / 'labels'}"


def test_the_command_writes_a_checkpoint_that_is_better_on_the_data(files, tmp_path, capsys):
    run, data = files
    main = recipe("class_offsets")
    assert (
        main(
            [run, "--data", data, "--validate", f"{data}@0.5", "--pixels", "9999", "--save-dir", str(tmp_path / "even")]
        )
        == 0
    )
    said = capsys.readouterr().out
    (old, config), (new, changed) = checkpoints.load(run), checkpoints.load(tmp_path / "even")
    jax.tree.map(np.testing.assert_array_equal, old, new)
    offsets = changed.class_offsets
    assert config == changed.replace(class_offsets=()) and 0 < max(map(abs, offsets)) <= 1
    assert f"0 {offsets[0]:+.1f}, 1 {offsets[1]:+.1f}" in said
    rows = {row.split("|")[1].strip(): row.split("|")[2:4] for row in said.splitlines() if row.startswith("| folder")}
    before, after = (float(cell.strip(" %")) for cell in rows[data])
    assert after > before + 1 and set(rows) == {data, f"{data}@0.5"}
    measured = [
        mean_iou(whole(new["segmentation"], labelled_set(data, num_classes=5), LITE, offsets=each), absent="untrue")
        for each in ((), offsets)
    ]
    np.testing.assert_allclose([100 * each for each in measured], [before, after], atol=0.3)


def test_the_command_refuses(files, tmp_path, capsys):
    run, data = files
    main = recipe("class_offsets")
    own = CONFIG.replace(segmentation=OwnSegmentationConfig(num_classes=5))
    checkpoints.save(tmp_path / "own", {"decision": seeded(CONFIG)["decision"]}, own)
    for words, status, says in (
        ([run], 2, "--data is missing; add it, such as --data folder:"),
        ([str(tmp_path / "own"), "--data", data], 1, "is around a network of your own"),
        ([run, "--data", f"{data}%30"], 1, "%30"),
        ([run, "--data", data, "--hold-out", "a", "b"], 1, "none of its 2 is left without a, b"),
        ([str(tmp_path / "gone"), "--data", data], 1, "gone"),
    ):
        assert main([*words, "--save-dir", str(tmp_path / "even")]) == status
        assert says in capsys.readouterr().err
    assert not (tmp_path / "even").exists()
