"""How much of the network's own labels a limit keeps: the table, the limit chosen from it, and the commands."""

from __future__ import annotations

import json
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image
from tiny import CARRIED, carried_params, video

from dvsnet_jax import AccumulatedLoss, checkpoints
from dvsnet_jax.cli import main
from dvsnet_jax.datasets.clips import clip_set
from dvsnet_jax.datasets.samples import VOID, LabelledImage
from dvsnet_jax.errors import DamagedInput, InputError
from dvsnet_jax.evaluation.policies import promise
from dvsnet_jax.evaluation.policies.promise import (
    ENOUGH,
    LIMITS,
    KeepRow,
    KeepTable,
    at_least,
    keep_table,
    limit_for,
    read_table,
    write_table,
)
from dvsnet_jax.evaluation.policies.simulation import segmented, side_by_side, simulate


def clip(seed, frames=30):
    return [LabelledImage(frame[0], np.full(frame[0].shape[:2], VOID, np.uint8)) for frame in video(frames, seed=seed)]


@pytest.fixture(scope="module")
def table():
    return keep_table(carried_params(), CARRIED, [clip(1), clip(2)])


def test_lower_limits_keep_more_and_segment_more(table):
    assert [row.limit for row in table.rows] == list(LIMITS) and (table.frames, table.blocks) == (60, 2)
    shares, kept = (np.array([getattr(row, name) for row in table.rows]) for name in ("share", "kept"))
    assert (np.diff(shares) <= 0).all() and shares[0] > 2 * shares[-1]
    assert kept[0] > kept[-1] and ((kept > 0) & (kept <= 1)).all()
    assert all(row.at_least <= row.kept for row in table.rows)
    assert table.confidence is None, "two blocks say nothing for sure"
    assert table.motion == "dis"
    assert table.heavy == 0 < table.light, "this network multiplies nothing"


def test_side_by_side_is_each_run_by_itself():
    params, frames = carried_params(), [image.image for image in clip(3, 8)]
    from dvsnet_jax.media.motion.attached import estimator
    from dvsnet_jax.media.motion.field import for_step
    from dvsnet_jax.media.motion.following import Follower

    follower = Follower(estimator("dis"))
    video = [
        segmented(params, each, config=CARRIED, motion=for_step(follower.step(each), *each.shape[:2]))
        for each in frames
    ]
    limits = (3.0, 30.0)
    together = list(side_by_side(params, iter(video), "loss", limits, config=CARRIED))
    for number, limit in enumerate(limits):
        run = simulate(params, video, "loss", limit, np.zeros((8, 2), np.float32), config=CARRIED)
        np.testing.assert_array_equal(np.stack([results[number][0] for _, results in together]), run.labels)
        np.testing.assert_array_equal(np.stack([results[number][1] for _, results in together]), run.segmented)


@pytest.mark.parametrize(
    ("length", "count", "frames", "blocks", "confidence"),
    [(40, 300, 19 * 26, 19, 0.95), (6, 300, 83 * 6, 83, None), (40, 8, 8 * 40, 2 * 8, 0.95), (900, 1, 500, 20, 0.95)],
)
def test_many_clips_give_whole_blocks_and_short_ones_no_confidence(
    length, count, frames, blocks, confidence, monkeypatch
):
    """Two frames of each of 300 clips would say how labels keep for one frame alone."""
    labels, nothing = np.zeros((8, 8), np.uint8), np.zeros(2, bool)

    def run(params, config, clip, most, motion):
        frame = SimpleNamespace(merged=labels)
        return ((frame, [(labels, nothing)] * len(LIMITS)) for _ in clip[:most])

    monkeypatch.setattr(promise, "_run", run)
    monkeypatch.setattr(promise, "costs", lambda *size, params: [SimpleNamespace(multiply_adds=1)] * 2)
    table = keep_table({}, CARRIED, [range(length)] * count)
    assert (table.frames, table.blocks, table.confidence) == (frames, blocks, confidence)


@pytest.mark.parametrize(("length", "count", "rows"), [(5, 40, 2), (9, 40, 3), (17, 40, 4), (500, 1, 8)])
def test_a_limit_is_promised_where_clips_are_long_enough_to_see_what_it_costs(length, count, rows, monkeypatch):
    """By limit n a region is segmented after so many frames, and all is right until then: of clips of 5 frames any
    limit would keep everything."""
    labels = np.zeros((8, 8), np.uint8)

    def run(params, config, clip, most, motion):
        for number in range(len(clip[:most])):
            due = [np.full(2, number > 0 and number % (2**power) == 0) for power in range(1, len(LIMITS) + 1)]
            yield SimpleNamespace(merged=labels), [(labels, each) for each in due]

    monkeypatch.setattr(promise, "_run", run)
    monkeypatch.setattr(promise, "costs", lambda *size, params: [SimpleNamespace(multiply_adds=1)] * 2)
    table = keep_table({}, CARRIED, [range(length)] * count)
    assert [row.limit for row in table.rows] == list(LIMITS[:rows])


def test_a_clip_that_changes_its_size_is_measured_up_to_there():
    other = [LabelledImage(frame[0], np.full((64, 64), VOID, np.uint8)) for frame in video(2, height=64, width=64)]
    with pytest.warns(DamagedInput, match=r"changes from \d+×\d+ to 64×64 at frame 3; what is kept is measured"):
        table = keep_table(carried_params(), CARRIED, [[*clip(1, 3), *other]])
    assert (table.frames, table.blocks) == (3, 1)


def test_frames_that_cannot_be_read_are_passed_by(tmp_path):
    """A clip of which the first frame could not be read gave nothing, and one of which the second could not, no pair:
    the command ended there, after all that it had trained."""
    for number, image in enumerate(video(5)[:, 0]):
        Image.fromarray(image).save(tmp_path / f"{number}.png")
    (tmp_path / "1.png").write_bytes(b"")
    with pytest.warns(DamagedInput, match="1 of its 5 frames cannot be read"):
        clips = clip_set(f"frames:{tmp_path}")
    table = keep_table(carried_params(), CARRIED, clips)
    assert (table.frames, table.blocks) == (3, 1)
    assert keep_table(carried_params(), CARRIED, [clips[0], clip(1, 3)], frames=3).frames == 3


def test_the_bound_holds_for_another_video_as_long_as_often_as_it_says():
    rng = np.random.default_rng(0)
    held = 0
    for _ in range(400):
        seen, other = rng.beta(30, 1, (2, 20, 1))
        held += other.mean() >= at_least(seen)[0]
    assert 0.945 <= held / 400 <= 0.985
    few = rng.beta(30, 1, (ENOUGH - 1, 1))
    assert at_least(few)[0] == few.min()


def made(*bounds):
    rows = tuple(KeepRow(limit, 1 / limit, bound, bound) for limit, bound in zip((2.0, 4.0, 8.0), bounds, strict=True))
    return KeepTable(rows, 100, 9, 0.95, 1, 100)


def test_the_largest_limit_that_keeps_enough_as_do_those_below():
    assert limit_for(made(0.99, 0.985, 0.97), 0.98).limit == 4
    assert limit_for(made(0.99, 0.97, 0.985), 0.98).limit == 2, "what lies above a limit that fails is chance"
    assert limit_for(made(0.97, 0.96, 0.95), 0.98) is None
    table = made(0.99, 0.985, 0.97)
    assert table.gain(table.rows[1]) == 100 / (1 + 0.25 * 100)
    assert limit_for(made(float("nan"), 0.99, 0.99), 0.98) is None


def test_the_table_is_kept_beside_the_weights_and_segment_takes_its_limit(tmp_path, capsys):
    from dvsnet_jax import DVSNetConfig

    params, config = checkpoints.load_bundled("carried")
    rows = tuple(
        KeepRow(limit, 0.5 / limit, kept, kept - 0.01) for limit, kept in ((2.0, 0.995), (9.0, 0.992), (40.0, 0.9))
    )
    checkpoints.save(
        tmp_path / "w", params, config, beside=lambda folder: write_table(folder, KeepTable(rows, 90, 9, 0.95, 1, 9))
    )
    assert isinstance(config, DVSNetConfig) and read_table(tmp_path / "w").rows == rows
    (tmp_path / "w").rename(tmp_path / ".w.previous")  # killed while they were replaced
    assert read_table(tmp_path / "w").rows == rows
    (tmp_path / ".w.previous").rename(tmp_path / "w")
    (tmp_path / "clip").mkdir()
    for index, frame in enumerate(video(2, height=128, width=192)):
        Image.fromarray(frame[0]).save(tmp_path / "clip" / f"{index}.png")
    run = [
        "segment",
        str(tmp_path / "clip"),
        "--no-overlay",
        "--overwrite",
        "--out",
        str(tmp_path / "out"),
        "--weights",
    ]
    assert main([*run, str(tmp_path / "w"), "--keep", "0.98"]) == 0
    said = capsys.readouterr().err
    assert "limit 9, expected to segment 5.6% of regions" in said and "at least 98.20% with 95% confidence" in said
    assert "with motion by" not in said, "an older file does not say"
    by_dis = KeepTable(rows, 90, 9, 0.95, 1, 9, "dis")
    checkpoints.save(tmp_path / "dis", params, config, beside=lambda folder: write_table(folder, by_dis))
    assert read_table(tmp_path / "dis") == by_dis
    for motion, other in (("auto", False), ("encoder", True)):
        assert main([*run, str(tmp_path / "dis"), "--keep", "0.98", "--motion", motion]) == 0
        said = " ".join(capsys.readouterr().err.split())
        assert ("measured with motion by dis, and here it is by encoder" in said) is other
    targets = [
        each["target"]
        for each in json.loads((tmp_path / "out" / "routes.jsonl").read_text().splitlines()[1])["regions"]
    ]
    assert targets == [100 - AccumulatedLoss(9.0).limit] * 4
    assert main([*run, str(tmp_path / "w"), "--keep", "0.8"]) == 0
    assert "larger limits may do, too, but the clips held out were too short" in " ".join(
        capsys.readouterr().err.split()
    )
    for words, said in (
        ([str(tmp_path / "w"), "--keep", "0.999"], "no limit keeps 99.90%"),
        ([str(tmp_path / "w"), "--keep", "0.98", "--budget", "0.1"], "leave out --policy"),
    ):
        assert main([*run, *words]) != 0
        assert said in " ".join(capsys.readouterr().err.split())
    checkpoints.save(tmp_path / "bare", params, config)
    assert main([*run, str(tmp_path / "bare"), "--keep", "0.98"]) == 1
    assert "'dvsnet accelerate --keep' writes it" in capsys.readouterr().err
    (tmp_path / "w.safetensors").write_bytes(b"")
    with pytest.raises(InputError, match=r"has no keep\.json, which"):
        read_table(tmp_path / "w.safetensors")
    (tmp_path / "bare" / "keep.json").write_text('{"rows": 3}')
    with pytest.raises(InputError, match="is damaged"):
        read_table(tmp_path / "bare")
