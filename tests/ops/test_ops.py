"""The array operations against slow numpy references and the original's own outputs, odd sizes included."""

from __future__ import annotations

import itertools

import jax
import jax.numpy as jnp
import jax.test_util
import numpy as np
import pytest

from dvsnet_jax.ops import regions as region_ops
from dvsnet_jax.ops import resize as resize_module
from dvsnet_jax.ops import upsample_argmax as upsample_module
from dvsnet_jax.ops import warp as warp_module
from dvsnet_jax.ops.materialized import materialized
from dvsnet_jax.ops.regions import RegionGrid
from dvsnet_jax.ops.warp import LARGEST

# Compiled as a whole, as they are used: operation by operation these tests take several times as long.
merge = jax.jit(region_ops.merge, static_argnums=2)
split = jax.jit(region_ops.split, static_argnums=1)
resize_legacy = jax.jit(resize_module.resize_legacy, static_argnums=1)
upsample_argmax = jax.jit(upsample_module.upsample_argmax, static_argnums=1)
warp = jax.jit(warp_module.warp)
warp_scores = jax.jit(warp_module.warp_scores)


def slow_resize(image: np.ndarray, height: int, width: int) -> np.ndarray:
    """One image [h, w, c], one output pixel at a time, in float64."""
    out = np.empty((height, width, image.shape[-1]))
    for i, j in itertools.product(range(height), range(width)):
        y, x = i * image.shape[0] / height, j * image.shape[1] / width
        y0, x0 = int(y), int(x)
        y1, x1 = min(y0 + 1, image.shape[0] - 1), min(x0 + 1, image.shape[1] - 1)
        top = image[y0, x0] * (1 - (x - x0)) + image[y0, x1] * (x - x0)
        bottom = image[y1, x0] * (1 - (x - x0)) + image[y1, x1] * (x - x0)
        out[i, j] = top * (1 - (y - y0)) + bottom * (y - y0)
    return out


def slow_warp(values: np.ndarray, flow: np.ndarray) -> np.ndarray:
    height, width = flow.shape[:2]
    out = np.empty((height, width, values.shape[-1]))
    for i, j in itertools.product(range(height), range(width)):
        x = min(max(j + float(flow[i, j, 0]), 0), width - 1)
        y = min(max(i + float(flow[i, j, 1]), 0), height - 1)
        x0, y0 = int(np.floor(x)), int(np.floor(y))
        x1, y1 = min(x0 + 1, width - 1), min(y0 + 1, height - 1)
        top = values[y0, x0] * (1 - (x - x0)) + values[y0, x1] * (x - x0)
        bottom = values[y1, x0] * (1 - (x - x0)) + values[y1, x1] * (x - x0)
        out[i, j] = top * (1 - (y - y0)) + bottom * (y - y0)
    return out


@pytest.mark.parametrize(
    "source,target", [((5, 7), (11, 13)), ((9, 17), (4, 8)), ((1, 1), (3, 2)), ((8, 12), (64, 96)), ((31, 5), (30, 10))]
)
def test_resize_against_numpy(source, target):
    image = np.random.default_rng(0).standard_normal((2, *source, 3)).astype(np.float32)
    expected = np.stack([slow_resize(i, *target) for i in image])
    # Positions are float32, as in the original; at 30 pixels their last bit is 2e-6.
    np.testing.assert_allclose(resize_legacy(jnp.asarray(image), target), expected, atol=2e-5)


def test_resize_equals_the_original(goldens):
    arrays = goldens.arrays("resize_bilinear")
    for name, image in arrays.items():
        if not name.startswith("in_"):
            continue
        case = name[3:]
        size = tuple(int(part) for part in case.split("_to_")[1].split("x"))
        got, expected = np.asarray(resize_legacy(jnp.asarray(image), size)), arrays[f"legacy_{case}"]
        got = got[:, ::2, ::2] if got.shape != expected.shape else got
        np.testing.assert_allclose(got, expected, atol=2e-6, err_msg=case)


def test_halving_is_every_second_pixel():
    image = np.random.default_rng(0).integers(0, 256, (1, 12, 18, 3), np.uint8)
    got = resize_legacy(jnp.asarray(image), (6, 9))
    assert got.dtype == jnp.float32
    np.testing.assert_array_equal(got, image[:, ::2, ::2])


def test_warp_equals_the_original(goldens):
    arrays = goldens.arrays("warp")
    for case in "abc":
        values, flow = (jnp.asarray(arrays[f"case_{case}_{part}"]) for part in ("key_pred", "flow"))
        np.testing.assert_allclose(
            resize_legacy(values, flow.shape[1:3]), arrays[f"case_{case}_key_resized"], atol=1e-6, err_msg=case
        )
        np.testing.assert_allclose(warp(values, flow), arrays[f"case_{case}_out"], atol=2e-6, err_msg=case)


@pytest.mark.parametrize("height,width", [(1, 1), (5, 3), (7, 12)])
def test_warp_against_numpy(height, width):
    rng = np.random.default_rng(height)
    values = rng.standard_normal((2, height, width, 3)).astype(np.float32)
    flow = (rng.standard_normal((2, height, width, 2)) * 6).astype(np.float32)
    flow[0, 0, 0] = (1e4, -1e4)
    expected = np.stack([slow_warp(v, f) for v, f in zip(values, flow, strict=True)])
    np.testing.assert_allclose(warp(jnp.asarray(values), jnp.asarray(flow)), expected, atol=2e-5)


def test_warp_moves_what_it_should_and_nothing_at_zero_flow():
    values = jnp.asarray(np.random.default_rng(0).standard_normal((1, 6, 8, 2)), jnp.float32)
    np.testing.assert_array_equal(warp(values, jnp.zeros((1, 6, 8, 2))), values)
    right = jnp.zeros((1, 6, 8, 2)).at[..., 0].set(2)  # current → key: look two pixels to the right in the key frame
    np.testing.assert_array_equal(warp(values, right)[:, :, :6], values[:, :, 2:])


def test_warp_gradients_against_differences():
    rng = np.random.default_rng(3)
    values = jnp.asarray(rng.standard_normal((1, 4, 5, 2)), jnp.float32)
    flow = jnp.asarray(rng.uniform(-1.4, 1.4, (1, 4, 5, 2)), jnp.float32)
    jax.test_util.check_grads(warp, (values, flow), order=1, eps=1e-2, atol=2e-2, rtol=2e-2)


@pytest.mark.parametrize(
    "regions,overlap,size",
    [
        ((2, 2), 16, (64, 96)),
        ((1, 2), 8, (75, 131)),
        ((3, 4), 8, (200, 333)),
        ((1, 1), 64, (65, 70)),
        ((4, 1), 0, (127, 64)),
    ],
)
def test_regions_cover_the_frame_evenly(regions, overlap, size):
    grid = RegionGrid.fit(*size, regions, overlap)
    assert grid.region_height % 16 == grid.region_width % 16 == 0
    assert 0 <= grid.padded_height - size[0] < 16 * regions[0] and 0 <= grid.padded_width - size[1] < 16 * regions[1]
    covered = np.zeros((grid.padded_height, grid.padded_width), int)
    for top, left in grid.corners:
        covered[top : top + grid.region_height, left : left + grid.region_width] += 1
    assert covered.min() == 1
    (_, x0), *rest = grid.corners
    if regions[1] > 1:
        assert x0 + grid.region_width - rest[0][1] == 2 * overlap


def test_regions_of_the_original():
    grid = RegionGrid.fit(1024, 2048, (2, 2), 64)
    assert (grid.region_height, grid.region_width) == (576, 1088)
    assert grid.corners == [(0, 0), (0, 960), (448, 0), (448, 960)]
    assert (grid.padded_height, grid.padded_width) == (1024, 2048)


@pytest.mark.parametrize("size", [(64, 64), (97, 150)])
def test_split_then_merge_gives_the_frame_back(size):
    grid = RegionGrid.fit(*size, (2, 3), 8)
    labels = np.random.default_rng(0).integers(0, 19, (2, *size, 1), np.uint8)
    regions = split(jnp.asarray(labels), grid)
    assert regions.shape == (12, grid.region_height, grid.region_width, 1)
    merged = merge(regions[..., 0], jnp.zeros(regions.shape[:-1]), grid)
    np.testing.assert_array_equal(merged, labels[..., 0])


def test_split_pads_with_the_edge():
    grid = RegionGrid.fit(65, 64, (1, 1), 0)
    image = np.random.default_rng(0).integers(0, 256, (1, 65, 64, 3), np.uint8)
    (region,) = np.asarray(split(jnp.asarray(image), grid))
    np.testing.assert_array_equal(region, np.pad(image[0], ((0, 15), (0, 0), (0, 0)), mode="edge"))


def test_merge_equals_the_original(goldens):
    arrays = goldens.arrays("overlap")
    cases = {name.removesuffix("_pred_in") for name in arrays if name.endswith("_pred_in")}
    assert len(cases) == 5
    for case in cases:
        labels, maxima, expected = (arrays[f"{case}_{part}"] for part in ("pred_in", "max_in", "preds"))
        columns, rows = 2, 2 if case.startswith("o4") else 1
        overlap = int(case.split("_ov")[1].split("_")[0])
        height, width = labels.shape[3:5]
        # multiple=1: these cases are of sizes that no network would take
        grid = RegionGrid(*expected.shape[2:4], rows, columns, overlap, height, width)
        assert (grid.padded_height, grid.padded_width) == expected.shape[2:4]
        for frame in range(len(labels)):
            got = merge(
                jnp.asarray(labels[frame, :, 0, ..., 0], jnp.uint8), jnp.asarray(maxima[frame, :, 0, ..., 0]), grid
            )
            np.testing.assert_array_equal(got[0], expected[frame, 0, ..., 0], err_msg=f"{case}, frame {frame}")


def test_merge_takes_the_larger_score_and_the_earlier_region_at_ties():
    grid = RegionGrid.fit(64, 96, (1, 2), 16)
    h, w = grid.region_height, grid.region_width
    labels = jnp.stack([jnp.full((h, w), 3, jnp.uint8), jnp.full((h, w), 5, jnp.uint8)])
    for second, winner in ((1.0, 3), (2.0, 5), (0.5, 3)):
        merged = merge(labels, jnp.stack([jnp.full((h, w), 1.0), jnp.full((h, w), second)]), grid)
        assert (np.asarray(merged)[0, :, w - 2 * grid.overlap : w] == winner).all()


@pytest.mark.parametrize("regions,overlap", [((2, 2), 8), ((3, 3), 16), ((1, 4), 12)])
def test_merge_takes_the_largest_of_all_regions_at_a_place(regions, overlap):
    """Three regions meet where the overlap is more than a quarter of one; some scores are equal, some no numbers."""
    grid = RegionGrid.fit(97, 150, regions, overlap)
    rng = np.random.default_rng(0)
    shape = (2, grid.num_regions, grid.region_height, grid.region_width)
    labels = rng.integers(0, 19, shape).astype(np.uint8)
    scores = rng.integers(0, 4, shape).astype(np.float32)
    scores[rng.random(shape) < 0.2] = np.nan
    labels[np.isnan(scores)] = 255
    best = np.full((2, grid.padded_height, grid.padded_width), -np.inf)
    expected = np.full(best.shape, 255)
    for index, (top, left) in enumerate(grid.corners):
        for stream, y, x in np.ndindex(2, *shape[2:]):
            if scores[stream, index, y, x] > best[stream, top + y, left + x]:
                best[stream, top + y, left + x] = scores[stream, index, y, x]
                expected[stream, top + y, left + x] = labels[stream, index, y, x]
    merged = merge(*(jnp.asarray(values).reshape(-1, *shape[2:]) for values in (labels, scores)), grid)
    np.testing.assert_array_equal(merged, expected[:, :97, :150])


@pytest.mark.parametrize("overlap,regions", [(64, (2, 2)), (32, (2, 1)), (40, (1, 3))])
def test_an_overlap_the_geometry_cannot_take(overlap, regions):
    with pytest.raises(ValueError, match=rf"overlap {overlap} is too large .* at most (\d+)") as refused:
        RegionGrid.fit(64, 64, regions, overlap)
    allowed = int(str(refused.value).split("at most ")[1].split(",")[0])
    RegionGrid.fit(64, 64, regions, allowed)


@pytest.mark.parametrize(
    "size,regions,overlap,empty,works",
    [
        ((360, 480), (7, 7), 0, "13 of 49", (6, 6)),
        ((360, 480), (2, 7), 0, "2 of 14", (2, 6)),
        ((100, 100), (6, 6), 0, "20 of 36", (4, 4)),
        ((135, 64), (7, 1), 8, "2 of 7", (5, 1)),
    ],
)
def test_regions_of_nothing_but_padding_are_refused(size, regions, overlap, empty, works):
    with pytest.raises(
        ValueError, match=f"{empty} would hold nothing but padding; use {works[0]}×{works[1]}, the larg"
    ):
        RegionGrid.fit(*size, regions, overlap)
    assert RegionGrid.fit(*size, works, overlap).num_regions == works[0] * works[1]
    between = [(r, c) for r in range(works[0], regions[0] + 1) for c in range(works[1], regions[1] + 1)]
    for larger in between[1:]:
        with pytest.raises(ValueError, match="nothing but padding"):
            RegionGrid.fit(*size, larger, overlap)


def test_every_region_of_every_grid_has_a_pixel_of_the_frame():
    taken = 0
    for height in range(64, 400, 7):
        for count in range(1, 12):
            for overlap in (0, 8, 16, 32):
                try:
                    grid = RegionGrid.fit(height, 64, (count, 1), overlap)
                except ValueError:
                    continue
                taken += 1
                assert grid.corners[-1][0] < height
    assert taken > 1000


@pytest.mark.parametrize(
    "size,classes",
    [((40, 56), 11), ((15, 7), 3), ((5, 14), 2), ((41, 56), 11), ((40, 57), 11), ((10, 14), 70)],
    ids=["8 times", "3 and 1 times", "1 and 2 times", "not whole down", "not whole across", "many classes"],
)
def test_upsample_argmax_is_resize_then_argmax(size, classes):
    scores = np.random.default_rng(0).standard_normal((3, 5, 7, classes)).astype(np.float32)
    scores[0, :, :, classes - 1] = scores[0, :, :, 0]  # ties: the first class wins
    labels, maxima = upsample_argmax(jnp.asarray(scores), size)
    full = np.asarray(resize_legacy(jnp.asarray(scores), size))
    np.testing.assert_array_equal(labels, full.argmax(-1))
    np.testing.assert_allclose(maxima, full.max(-1), atol=1e-6)  # the compiler fuses multiply-adds
    assert labels.dtype == jnp.uint8


def test_reader_equals_the_original(goldens):
    """Frames are resized, cut and halved as the original's `image_reader` does it."""
    arrays = goldens.arrays("reader")
    from dvsnet_jax import preprocessing
    from dvsnet_jax.config import CAFFE_MEAN_BGR

    for name, expected in arrays.items():
        if not name.startswith("image_s_"):
            continue
        frame, overlap, size = name.removeprefix("image_s_").rsplit("_", 2)
        size = tuple(int(part) for part in size.split("x"))
        image = goldens.image(("e2e/" if frame.startswith("frame") else "misc/") + frame)
        grid = RegionGrid.fit(*size, (2, 2), int(overlap.removeprefix("ov")))
        regions = split(resize_legacy(jnp.asarray(image[None]), size), grid)
        got = np.asarray(preprocessing.bgr_minus_mean(regions, CAFFE_MEAN_BGR))[:, ::4, ::4]
        np.testing.assert_allclose(got, expected, atol=3e-5, err_msg=name)
        got = np.asarray(preprocessing.unit_bgr(preprocessing.half(regions)))[:, ::2, ::2]
        np.testing.assert_allclose(got, arrays[name.replace("image_s_", "image_f_")], atol=1e-6, err_msg=name)


def test_materialized_values_are_worked_out_once():
    def twice_read(x, border):
        y = border(3.25 * x + x[::-1])
        return y[1:].sum(0), y[:-1].max(1)

    x = jax.random.normal(jax.random.key(0), (100, 100))
    products = []
    for border in (materialized, lambda values: values):
        program = jax.jit(twice_read, static_argnums=1).lower(x, border).compile()
        products.append(program.as_text().count(" multiply("))
        for ours, expected in zip(program(x), twice_read(x, lambda values: values), strict=True):
            np.testing.assert_allclose(ours, expected, rtol=1e-5, atol=1e-5)
    assert products == [1, 2]


def test_materialized_values_have_gradients_and_batches():
    x = {"a": jnp.arange(3.0)}
    np.testing.assert_array_equal(jax.grad(lambda x: jnp.square(materialized(x)["a"]).sum())(x)["a"], 2 * x["a"])
    np.testing.assert_array_equal(jax.vmap(lambda a: 2 * materialized(a))(x["a"]), 2 * x["a"])


def test_what_is_no_number_has_no_label():
    """On every platform's own way, and for every size."""
    scores = np.random.default_rng(0).normal(size=(2, 4, 6, 3)).astype(np.float32)
    scores[1] = np.nan
    for way in (upsample_module._row_by_row, upsample_module._pixel_by_pixel, upsample_module._class_by_class):
        labels, maxima = jax.jit(way, static_argnums=1)(jnp.asarray(scores), (16, 24))
        assert (np.asarray(labels[1]) == upsample_module.VOID).all() and not (np.asarray(maxima[1]) > -np.inf).any()
        assert set(np.unique(labels[0])) == {0, 1, 2} and np.isfinite(maxima[0]).all()


def test_merge_leaves_out_what_is_no_number():
    grid = RegionGrid.fit(64, 96, (1, 2), 16)
    h, w = grid.region_height, grid.region_width
    labels = jnp.stack([jnp.full((h, w), 255, jnp.uint8), jnp.full((h, w), 5, jnp.uint8)])
    for none in (jnp.nan, -jnp.inf):
        merged = np.asarray(merge(labels, jnp.stack([jnp.full((h, w), none), jnp.full((h, w), -1e9)]), grid))
        assert (merged[..., : w - 32] == 255).all() and (merged[..., w - 32 :] == 5).all()


def test_scores_that_stand_for_infinity_are_warped_and_never_scaled():
    scores = np.zeros((1, 4, 6, 3), np.float32) + np.float32([1.0, -LARGEST, LARGEST])
    flow = jnp.full((1, 8, 12, 2), 0.3)
    for scale in (-2.0, 0.0, 1.0, 1e7):
        warped = np.asarray(warp_scores(jnp.asarray(scores), flow, jnp.full((1, 8, 12, 1), scale)))
        np.testing.assert_allclose(warped, np.broadcast_to([scale, -LARGEST, LARGEST], warped.shape), rtol=1e-5)
