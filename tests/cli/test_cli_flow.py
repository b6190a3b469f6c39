"""`dvsnet flow` and `dvsnet info`, driven as a person drives them."""

from __future__ import annotations

import dataclasses

import av
import jax
import numpy as np
import pytest
from motion_files import STEP, with_a_cut
from PIL import Image
from tiny import video
from tiny_files import write_images

from dvsnet_jax import checkpoints
from dvsnet_jax.cli import main
from dvsnet_jax.cli.commands.train.flow_supervised import TrainFlow
from dvsnet_jax.flow import estimate_flow
from dvsnet_jax.flow_colors import flow_to_rgb
from dvsnet_jax.flownet_config import FlowNet2Config
from dvsnet_jax.media.flow_files import read_flow, write_flo, write_flow
from dvsnet_jax.media.images import read_image
from dvsnet_jax.networks.flownet.flownet2 import init_flow_params

CONFIG = FlowNet2Config(network="FlowNetS", width=1 / 64)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Weights and three frames of 70×100."""
    root = tmp_path_factory.mktemp("flow")
    params = jax.jit(lambda key: init_flow_params(key, CONFIG))(jax.random.key(0))
    checkpoints.save(root / "weights", params, CONFIG)
    (root / "frames").mkdir()
    for index, frame in enumerate(video(3, height=70, width=100)):
        Image.fromarray(frame[0]).save(root / "frames" / f"{index}.png")
    return root


@pytest.fixture
def run(folder, monkeypatch, capsys):
    monkeypatch.chdir(folder)

    def run(*arguments: str) -> tuple[int, str, str]:
        status = main(["flow", *arguments])
        out = capsys.readouterr()
        return status, out.out, out.err

    return run


PAIR = ("frames/0.png", "frames/1.png", "--weights", "weights")


def test_a_pair_as_flo_kitti_and_picture(run, folder):
    assert run(*PAIR, "--out", "x.flo", "--picture", "p.png")[0] == 0
    assert run(*PAIR, "--out", "k.png")[0] == 0
    params, config = checkpoints.load_flow(folder / "weights")
    first, second = (read_image(folder / f"frames/{i}.png")[None] for i in (0, 1))
    expected = np.asarray(estimate_flow(params, first, second, config=config))[0]
    np.testing.assert_allclose(read_flow(folder / "x.flo"), expected, atol=1e-4)
    np.testing.assert_allclose(read_flow(folder / "k.png"), expected, atol=1 / 64)
    assert read_image(folder / "p.png").shape == (70, 100, 3)


def test_truth_prints_the_errors(run, folder):
    assert run(*PAIR, "--out", "x.flo")[0] == 0
    write_flo(folder / "truth.flo", read_flow(folder / "x.flo") + np.float32([3, 4]))
    status, out, _ = run(*PAIR, "--truth", "truth.flo")
    assert status == 0
    assert "end-point error 5.000 px" in out and "Fl-all 100.00%" in out
    # Spring's way: twice as large, where the pictures' own size is wanted.
    truth = np.full((140, 200, 2), np.nan, np.float32)
    truth[::2, ::2] = read_flow(folder / "truth.flo")
    np.save(folder / "truth.npy", truth[::2, ::2])
    assert run(*PAIR, "--truth", "truth.npy")[1] == out
    h5py = pytest.importorskip("h5py")
    with h5py.File(folder / "truth.flo5", "w") as file:
        file["flow"] = truth
    assert run(*PAIR, "--truth", "truth.flo5")[1] == out


def test_a_set_in_the_place_of_images_prints_the_errors_over_all_its_pairs(run, folder):
    """One of 5 pixels everywhere, one of which half is marked as not known, the other half right."""
    images = folder / "kitti" / "training" / "image_2"
    images.mkdir(parents=True)
    (folder / "kitti/training/flow_occ").mkdir()
    for name, first in (("000000", 0), ("000001", 1)):
        pair = [f"frames/{first}.png", f"frames/{first + 1}.png"]
        assert run(*pair, "--weights", "weights", "--out", "set.flo")[0] == 0
        truth = read_flow(folder / "set.flo")
        for number, path in enumerate(pair):
            (images / f"{name}_{10 + number}.png").write_bytes((folder / path).read_bytes())
        if first:
            truth[:35] = np.nan
        else:
            truth += np.float32([3, 4])
        write_flow(folder / f"kitti/training/flow_occ/{name}_10.png", truth)
    status, out, err = run("--truth", "kitti:kitti", "--weights", "weights")
    assert status == 0, err
    error = float(out.split("end-point error ")[1].split()[0])
    assert abs(error - 5 * 2 / 3) < 0.02  # KITTI's files have steps of a 64th
    assert "Fl-all 66.67%" in out and "of 10500 pixels in 2 pairs" in out
    assert run("--truth", "kitti:kitti", "--weights", "weights", "--out", "z.flo")[0] == 2
    assert "names no flow pairs; expected pairs:FOLDER, sintel:ROOT" in run("--truth", "x", "--weights", "weights")[2]


def test_a_folder_as_video(run, folder):
    status, _, err = run("frames", "--weights", "weights", "--out", "flow.mp4")
    assert status == 0, err
    with av.open(str(folder / "flow.mp4")) as container:
        frames = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    assert len(frames) == 2 and frames[0].shape == (70, 200, 3)


def test_motion_of_a_video_as_the_segmentation_is_carried_along(run, folder):
    frames = with_a_cut(3, 2)
    write_images(folder / "moving", frames)
    status, _, err = run("moving", "--motion", "auto", "--out", "motion.mp4", "--max-length", "8")
    assert status == 0 and "motion by dis, the most exact" in err and "known at 3 of 5 frames" in err
    with av.open(str(folder / "motion.mp4")) as container:
        drawn = [frame.to_ndarray(format="rgb24")[:, 240:] for frame in container.decode(video=0)]
    assert [int(picture[20:-20, 20:-20].mean()) < 4 for picture in drawn] == [True, False, False, True, False]
    expected = flow_to_rgb(np.broadcast_to(STEP.astype(np.float32), (8, 8, 2)), 8.0)[0, 0]
    assert np.abs(drawn[1][40:-40, 40:-40].mean((0, 1)) - expected).max() < 12


def test_frames_that_change_size_have_no_motion_to_draw(run, folder):
    (folder / "sizes").mkdir()
    for number, width in enumerate((96, 96, 80)):
        Image.fromarray(np.zeros((64, width, 3), np.uint8)).save(folder / "sizes" / f"{number}.png")
    status, _, err = run("sizes", "--motion", "dis", "--out", "sizes.mp4")
    assert status == 1 and "2.png: is of another size than the frame before it" in err


@pytest.mark.parametrize(
    "arguments,status,message",
    [
        (("frames", "--weights", "weights", "--motion", "dis", "--out", "y.mp4"), 2, "in place of --weights"),
        ((*PAIR[:2], "--motion", "dis", "--out", "y.flo"), 2, "--motion is for a video; the flow of a pair"),
        ((*PAIR, "--out", "gone/y.flo"), 1, "gone/y.flo: there is no folder gone"),
        ((*PAIR, "--out", "y.flo", "--picture", "gone/y.png"), 1, "gone/y.png: there is no folder gone"),
        (("frames", "--motion", "codec", "--out", "y.mp4"), 1, "no motion vectors"),
        (("frames/0.png", "small.png", "--weights", "weights", "--out", "y.flo"), 1, "small.png: is 32×40, but frames"),
        (("thin.png", "thin.png", "--weights", "weights", "--out", "y.flo"), 1, "2×2 pixels or more"),
        (("frames/0.png", "text.png", "--weights", "weights", "--out", "y.flo"), 1, "text.png"),
        (("frames/0.png", "none.png", "--weights", "weights", "--out", "y.flo"), 1, "none.png"),
        ((*PAIR, "--truth", "cut.flo", "--out", "y.flo"), 1, "cut.flo"),
        ((*PAIR, "--truth", "other.flo", "--out", "y.flo"), 1, "other.flo: is 8×8, but the images are 70×100"),
        ((*PAIR, "--truth", "unknown.flo"), 1, "unknown.flo: has no pixel whose flow is known"),
        ((*PAIR, "--out", "y.jpg"), 2, "--out y.jpg: a pair's flow is written as .flo or .png"),
        (PAIR, 2, "nothing to do with the flow"),
        (("frames/0.png", "frames/1.png", "--out", "y.flo"), 2, "no weights given"),
        (("frames", "--weights", "weights", "--out", "y.flo"), 2, "is written as .mp4"),
        (("frames", "--weights", "weights"), 2, "--out is missing; the flow of a video is written as .mp4"),
        (("frames", "--weights", "weights", "--truth", "cut.flo", "--out", "y.mp4"), 2, "for a pair of images"),
        ((), 2, "0 inputs"),
        (("frames", "--motion", "dis", "--network", "FlowNetC", "--out", "y.mp4"), 2, "--motion is in place of"),
        ((*PAIR, "--num-steps", "3", "--out", "y.flo"), 2, "--num-steps is for a video"),
        ((*PAIR, "--out", "frames/1.png"), 2, "--out frames/1.png: is an input"),
        ((*PAIR, "--truth", "other.flo", "--out", "./other.flo"), 2, "./other.flo: is the true flow"),
        ((*PAIR, "--out", "y.png", "--picture", "y.png"), 2, "--picture y.png: is where --out is written"),
        (("flow.avi", "--weights", "weights", "--out", "flow.avi"), 2, "--out flow.avi: is an input"),
        (("frames/0.png", "--weights", "weights", "--out", "y.mp4"), 1, "0: has no two frames"),
        ((*PAIR, "--network", "FlowNetC", "--out", "y.flo"), 1, "weights: holds FlowNetS, not FlowNetC"),
        (("frames/0.png", "frames/1.png", "--weights", "nowhere", "--out", "y.flo"), 1, "nowhere"),
    ],
)  # fmt: skip
def test_bad_input(run, folder, arguments, status, message):
    Image.fromarray(np.zeros((32, 40, 3), np.uint8)).save(folder / "small.png")
    Image.fromarray(np.zeros((40, 1, 3), np.uint8)).save(folder / "thin.png")
    (folder / "text.png").write_text("no image")
    write_flo(folder / "other.flo", np.zeros((8, 8, 2), np.float32))
    write_flo(folder / "unknown.flo", np.full((70, 100, 2), np.nan))
    (folder / "flow.avi").touch()
    (folder / "cut.flo").write_bytes((folder / "other.flo").read_bytes()[:40])
    came, _, err = run(*arguments)
    assert came == status, err
    assert message in err and len(err.strip().splitlines()) == 1, err
    assert not (folder / "y.flo").exists() and not (folder / "y.mp4").exists()


@pytest.mark.parametrize("length", ["0", "-3", "nan"])
def test_a_length_that_gets_full_colour_is_above_0(run, folder, length):
    """In a video 0 was taken for none given."""
    came, _, err = run("frames", "--motion", "dis", "--out", "y.mp4", f"--max-length={length}")
    assert came == 2 and "is not a finite number above 0" in err
    assert not (folder / "y.mp4").exists()


def test_info_lists_the_networks(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "120")
    assert main(["info"]) == 0
    out = capsys.readouterr().out
    for expected in ("57,362,112", "5,474,979", "4,538,485", "158.068 G", "2.105 G", "38,675,546", "162,514,978"):
        assert expected in out, expected


def test_info_says_what_does_not_fit(capsys):
    assert main(["info", "--size", "64x64"]) == 2
    assert "overlap 64 is too large" in capsys.readouterr().err
    assert main(["info", "--size", "big"]) == 2
    capsys.readouterr()
    assert main(["info", "--segmentation", "own.py:make"]) == 2
    assert "--segmentation needs --weights" in capsys.readouterr().err
    assert main(["info", "--weights", "street", "--segmentation", "own.py:make"]) == 2
    assert "street has a segmentation network of its own; leave one out" in " ".join(capsys.readouterr().err.split())


def test_a_networks_weights_are_imported(folder, tmp_path, monkeypatch, capsys):
    """Reading such files is tested elsewhere."""
    made = checkpoints.load_flow(folder / "weights")

    def imported(path, *, network):
        assert (path, network) == ("flownet-s.pth.tar", "FlowNetS")
        return made

    monkeypatch.setattr(checkpoints, "import_flow", imported)
    call = ["import", "flownet-s.pth.tar", str(tmp_path / "ours"), "--network", "FlowNetS"]
    assert main([*call, "--decision-from", "decision.ckpt"]) == 2 and not (tmp_path / "ours").exists()
    assert "--decision-from does not go with a flow network alone; leave it out" in capsys.readouterr().err
    assert main(call) == 0 and f"flownet-s.pth.tar → {tmp_path / 'ours'}: FlowNet2Config(" in capsys.readouterr().err
    params, config = checkpoints.load_flow(tmp_path / "ours")
    assert config == CONFIG
    jax.tree.map(np.testing.assert_array_equal, params, made[0])


def test_training_of_a_network_begins_with_its_checkpoint_or_fresh(folder, tmp_path):
    options = TrainFlow(save_dir=tmp_path, network="FlowNetS", restore_from=str(folder / "weights"))
    params, *rest = options._begin()
    assert rest == [CONFIG, None, None]  # no DVSNet around it
    jax.tree.map(np.testing.assert_array_equal, params, checkpoints.load_flow(folder / "weights")[0])
    fresh, config, *_ = dataclasses.replace(options, restore_from=None, width=1 / 64)._begin()
    assert config == CONFIG
    jax.tree.map(np.testing.assert_array_equal, fresh, params)  # which seed 0 made
