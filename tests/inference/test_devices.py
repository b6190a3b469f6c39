"""One clip on several devices: the same results as on one, whatever the policy looks at."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import jax
import numpy as np
import pytest
from compiling import several_devices
from tiny import CARRIED, SIMPLE, carried_params, marked, simple_params

from dvsnet_jax import Budget, FixedInterval, init_state, segment_frame
from dvsnet_jax.cli import main
from dvsnet_jax.cli.segmenting.many import Many
from dvsnet_jax.errors import InputError
from dvsnet_jax.frame_motion import FrameMotion, motion_shape
from dvsnet_jax.inference.devices import placed_params, placed_state, region_mesh, step_over
from dvsnet_jax.inference.segment_source import Segmenter

TESTS = Path(__file__).parents[1]
FRAMES = 5


def motion_of(frames: np.ndarray, index: int) -> FrameMotion:
    """The pictures drift by three pixels a frame; of one frame nothing is known of the right half."""
    cells = (len(frames), *motion_shape(*frames.shape[1:3]))
    flow = np.tile(np.float32([3, 0]), (*cells, 1))
    if index == 3:
        flow[:, :, cells[2] // 2 :] = np.nan
    return FrameMotion(flow, np.ones(cells, np.float32))


def compare(params, config, clip, count, *, audit=False, recalibrate=False):
    """Every frame's results and the states at the end, on `count` devices and on one."""
    mesh = region_mesh(jax.devices()[:count], config, streams=clip.shape[1])
    fresh = [init_state(params, clip[0], config=config, recalibrate=recalibrate) for _ in range(2)]
    alone, everywhere, dealt = fresh[0], placed_params(mesh, params), placed_state(mesh, fresh[1])
    shards = dealt.key_scores.addressable_shards
    assert len(shards) == count and shards[0].data.shape[0] == clip.shape[1] * config.num_regions // count
    step = step_over(mesh, audit=audit)
    routes = []
    for index, frames in enumerate(clip):
        motion = motion_of(frames, index) if config.takes_motion else None
        alone, expected = segment_frame(params, alone, frames, None, motion, config=config, audit=audit)
        dealt, result = step(everywhere, dealt, frames, None, motion, config)
        for name, one, other in zip(expected._fields, expected, result, strict=True):
            np.testing.assert_array_equal(np.asarray(other), np.asarray(one), err_msg=f"{name}, frame {index}")
        routes.append(np.asarray(expected.segmented))
    for one, other in zip(jax.tree.leaves(alone), jax.tree.leaves(dealt), strict=True):
        np.testing.assert_array_equal(np.asarray(other), np.asarray(one))
    shares = np.mean(routes[1:])
    assert 0 < shares < 1, routes  # both paths were taken, else equal results would say little
    assert len(np.unique(expected.labels)) > 1


def check_all():
    """In a process that has eight devices."""
    assert len(jax.devices()) == 8
    params = simple_params(segmentation={"red": 102, "value": np.nan}, flow={"red": 103, "scale": np.nan})
    # A policy that looks at all regions at once, an audit, scores set right by it; a region whose scores are no number.
    grid = SIMPLE.replace(regions=(2, 2))
    compare(params, grid.replace(policy=Budget(0.4)), marked(FRAMES, 2), 8, audit=True, recalibrate=True)
    compare(carried_params(), CARRIED.replace(policy=FixedInterval(3)), marked(FRAMES), 2)

    dense = SIMPLE.replace(routing="dense", policy=FixedInterval(3))
    segmenter, alone = Segmenter(params, dense, devices=jax.devices()[:2]), Segmenter(params, dense)
    (state, step), (other, step_alone) = segmenter.start(64, 96), alone.start(64, 96)
    for frames in marked(FRAMES):
        state, result = step(segmenter.params, state, frames)
        other, expected = step_alone(alone.params, other, frames)
        np.testing.assert_array_equal(result.labels, expected.labels)


def test_several_devices_give_what_one_does():
    done = subprocess.run(
        [sys.executable, "-c", "import test_devices; test_devices.check_all()"],
        cwd=Path(__file__).parent, capture_output=True, text=True, timeout=900,
        env={**os.environ, "PYTHONPATH": f"{TESTS}:{TESTS.parent}:{os.environ.get('PYTHONPATH', '')}",
             **several_devices(8)},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


def test_the_command_says_how_many_devices_there_are(capsys):
    out = ["--out", "nowhere", "--num-steps", "1"]
    assert Many(devices=1).chosen_devices() is None
    with pytest.raises(InputError, match=r"--devices is 400, but jax sees \d+ here \(cpu\); give fewer"):
        Many(devices=400).chosen_devices()
    assert main(["segment", "some.mp4", *out, "--program", "p.dvsnet", "--devices", "2"]) == 2
    assert "--program holds a step for one device" in capsys.readouterr().err


def test_regions_that_do_not_go_round():
    with pytest.raises(InputError, match="2 regions cannot be dealt out evenly over 3 devices; choose of 1, 2, or"):
        region_mesh(3 * jax.devices(), SIMPLE)
