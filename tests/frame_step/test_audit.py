"""What a region that is segmented anew says of warping: how well it would have done, beside what was expected."""

from __future__ import annotations

import json

import jax
import numpy as np
from PIL import Image
from tiny import CARRIED, carried_params, marked, simple_params, video

from dvsnet_jax import FixedInterval, checkpoints, init_state, segment_frame
from dvsnet_jax.cli import main
from dvsnet_jax.cli.screen import tell_audit
from dvsnet_jax.frame_motion import FrameMotion, motion_shape
from dvsnet_jax.inference.delivery import Summary


def run(clip, config, params):
    cells = motion_shape(*clip.shape[2:4])
    still = FrameMotion(np.zeros((1, *cells, 2), np.float32), np.ones((1, *cells), np.float32))
    state, results = init_state(params, clip[0], config=config), []
    for frames in clip:
        state, result = segment_frame(params, state, frames, None, still, config=config, audit=True)
        results.append(jax.device_get(result))
    return jax.tree.map(lambda *values: np.stack(values), *results)


def greys(frame, columns):
    """The class of `tiny.greys` at each point of the ⅛ grid of a region."""
    grey = frame[::8, columns][:, ::8].astype(float).mean(-1)
    return np.abs(grey[..., None] - [40, 128, 215]).argmin(-1)


def test_it_is_what_the_region_itself_gave_against_its_warped_key_frame():
    clip = video(7, seed=4)
    results = run(clip, CARRIED.replace(policy=FixedInterval(3)), carried_params())
    assert results.agreement.shape == results.scores.shape == (7, 1, 2)
    segmented = results.segmented[:, 0, 0]
    assert segmented.tolist() == [True, False, False, True, False, False, True]
    known = np.isfinite(results.agreement[:, 0])
    np.testing.assert_array_equal(known, np.stack([segmented & (np.arange(7) > 0)] * 2, 1))
    # Motion said to be none: the key frame's labels stay where they were.
    left = slice(0, 96 // 2 + 8)
    for key, now in ((0, 3), (3, 6)):
        same = np.mean(greys(clip[key, 0], left) == greys(clip[now, 0], left))
        assert abs(results.agreement[now, 0, 0] - 100 * same) < 3
    still = np.repeat(clip[:1], 4, 0)
    results = run(still, CARRIED.replace(policy=FixedInterval(3)), carried_params())
    np.testing.assert_allclose(results.agreement[3], 100.0)


def test_where_there_are_no_numbers_nothing_is_said():
    clip = marked(4)
    params = carried_params() | {"segmentation": simple_params({"red": 103, "value": np.nan})["segmentation"]}
    results = run(clip, CARRIED.replace(policy=FixedInterval(3)), params)
    assert results.segmented[3].all() and np.isnan(results.agreement[3, 0, 0]) and results.agreement[3, 0, 1] > 0


def test_it_is_told_in_routes_and_at_the_end(tmp_path, capsys):
    params, config = checkpoints.load_bundled("carried")
    checkpoints.save(tmp_path / "weights", params, config)
    (tmp_path / "clip").mkdir()
    for index, frame in enumerate(video(4, height=128, width=192)):
        Image.fromarray(frame[0]).save(tmp_path / "clip" / f"{index}.png")
    command = ["segment", str(tmp_path / "clip"), "--out", str(tmp_path / "out"), "--no-overlay", "--interval", "3"]
    assert main([*command, "--weights", str(tmp_path / "weights"), "--audit"]) == 0
    lines = [json.loads(line)["regions"] for line in (tmp_path / "out" / "routes.jsonl").read_text().splitlines()]
    assert [[region["agreement"] is not None for region in regions] for regions in lines] == [[False] * 4] * 3 + [
        [True] * 4
    ]
    assert "clip: audit of 4 regions segmented anew" in " ".join(capsys.readouterr().err.split())


def test_a_video_of_another_kind_is_warned_of(capsys):
    def told(count, expected, true):
        tell_audit("drive", Summary(audited=[(expected, true)] * count))
        return " ".join(capsys.readouterr().err.split())

    assert told(0, 90.0, 90.0) == ""
    assert "warping would have had 89.0% of the labels right, expected were 90.0%" in told(30, 90.0, 89.0)
    assert "points apart" not in told(30, 90.0, 89.0) and "points apart" not in told(5, 90.0, 60.0)
    assert "the two are 30.0 points apart" in told(30, 90.0, 60.0) and "30.0 points apart" in told(30, 60.0, 90.0)
