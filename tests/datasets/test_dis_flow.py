"""Flow found in real video by a classical method, and train/flow_pairs.py, which makes training pairs of it."""

from __future__ import annotations

import sys
from collections.abc import Sequence

import numpy as np
import pytest
from recipes import recipe
from tiny_files import write_images

from dvsnet_jax.datasets import clips
from dvsnet_jax.datasets.clips import clip_set
from dvsnet_jax.datasets.flow import video_pairs
from dvsnet_jax.datasets.flow.dis import find_flow
from dvsnet_jax.datasets.folders import FlowFiles, list_flow_pairs
from dvsnet_jax.datasets.street.scene import StreetScene
from dvsnet_jax.errors import InputError
from dvsnet_jax.media.images import read_image


def textured(height=120, width=200, seed=0):
    """Smooth noise, larger than is shown."""
    coarse = np.random.default_rng(seed).uniform(0, 255, (height // 6 + 8, width // 6 + 8, 3))
    return np.kron(coarse, np.ones((1, 6, 6))[0][..., None]).astype(np.uint8)


@pytest.mark.parametrize(("dx", "dy"), [(3, 0), (-5, 2), (0, -4)])
def test_a_shift_is_found_and_what_leaves_the_picture_does_not_count(dx, dy):
    big = textured()
    first, second = big[20:120, 20:180], big[20 - dy : 120 - dy, 20 - dx : 180 - dx]
    pair = find_flow(first, second)
    assert pair.flow.dtype == np.float32 and pair.flow.shape == (100, 160, 2)
    middle = (slice(20, 80), slice(20, 140))
    assert pair.valid[middle].mean() > 0.9
    np.testing.assert_allclose(np.median(pair.flow[middle], (0, 1)), (dx, dy), atol=0.2)
    assert not pair.flow[~pair.valid].any()
    gone = np.s_[:, -dx:] if dx > 0 else np.s_[:, :-dx] if dx < 0 else np.s_[:-dy]
    assert not pair.valid[gone].all()


def test_the_drawn_streets_exact_flow_is_found_where_it_counts():
    scene = StreetScene(5, 192, 384, frames=4)
    truth, visible = scene.flow(1, 0)
    pair = find_flow(scene.draw(1)[0], scene.draw(0)[0])
    use = pair.valid & visible
    error, still = np.linalg.norm(pair.flow - truth, axis=-1)[use], np.linalg.norm(truth, axis=-1)[use]
    assert use.mean() > 0.3 and error.mean() < 0.5 * still.mean()
    everywhere = np.linalg.norm(pair.flow - truth, axis=-1)
    assert everywhere[pair.valid].mean() < everywhere[~pair.valid].mean()
    # Two pictures that have nothing to do with each other: the ways there and back do not meet.
    strange = find_flow(scene.draw(1)[0], StreetScene(77, 192, 384, frames=4).draw(0)[0])
    assert strange.valid.mean() < 0.5 * pair.valid.mean()


def test_one_picture_twice_has_no_flow():
    picture = textured()
    pair = find_flow(picture, picture.copy())
    assert pair.valid.all() and not pair.flow.any()


def test_pictures_that_make_no_pair_are_refused(monkeypatch):
    with pytest.raises(InputError, match="two of one size"):
        find_flow(textured(), textured()[:-1])
    monkeypatch.setitem(sys.modules, "cv2", None)
    with pytest.raises(InputError, match="needs OpenCV"):
        find_flow(textured(), textured(seed=1))


@pytest.fixture
def frames(tmp_path):
    big = textured(64, 128)
    folder = tmp_path / "frames"
    folder.mkdir()
    write_images(folder, [big[:64, 2 * t : 2 * t + 96] for t in range(4)])
    return folder


def test_recipe_makes_pairs_that_the_training_reads_and_goes_on_where_it_was(frames, tmp_path, capsys):
    out = tmp_path / "pairs"
    words = ["--data", f"frames:{frames}", "--gaps", "0", "1", "3", "--share", "0.2", "--save-dir", str(out)]
    assert recipe("flow_pairs")(words) == 0
    assert "8 of 8 pairs" in capsys.readouterr().out
    pairs = FlowFiles(list_flow_pairs(out))
    assert len(pairs) == 8
    shifts = sorted(round(float(np.median(pair.flow[pair.valid][:, 0]))) for pair in pairs)
    assert shifts == [0, 0, 0, 0, 2, 2, 2, 6]
    # The current frame comes first, its key frame second.
    last = pairs[7]
    np.testing.assert_array_equal(last.first, read_image(sorted(frames.iterdir())[3]))
    np.testing.assert_array_equal(last.second, read_image(sorted(frames.iterdir())[0]))

    names = sorted(path.name for path in out.iterdir())
    kept = (out / names[0]).stat().st_mtime_ns
    (out / "000008_img1.png").unlink()  # as if killed before it
    assert recipe("flow_pairs")(words) == 0
    assert sorted(path.name for path in out.iterdir()) == names
    assert (out / names[0]).stat().st_mtime_ns == kept


@pytest.fixture
def counted(frames, monkeypatch):
    """How many pairs the recipe computes, and which frames it reads."""
    done = {"pairs": 0, "read": []}
    [clip] = clip_set(f"frames:{frames}")

    class Clip(Sequence):
        def __len__(self):
            return len(clip)

        def __getitem__(self, index):
            done["read"].append(index)
            return clip[index]

    def counting(first, second):
        done["pairs"] += 1
        return find_flow(first, second)

    monkeypatch.setattr(clips, "clip_sets", lambda *args, **kwargs: [Clip()])
    monkeypatch.setattr(video_pairs, "find_flow", counting)
    return done


def test_recipe_reads_each_frame_once_and_computes_no_pair_twice(frames, tmp_path, counted, capsys):
    out = tmp_path / "pairs"

    def run(share):
        counted.update(pairs=0, read=[])
        words = ["--data", f"frames:{frames}", "--gaps", "0", "1", "3", "--save-dir", str(out), "--share", str(share)]
        assert recipe("flow_pairs")(words) == 0
        return capsys.readouterr().out, counted["pairs"], sorted(counted["read"])

    # One picture and itself is all sure, of two that differ some pixel always leaves the picture.
    assert run(1) == (f"{out}: 4 of 8 pairs\n", 8, [0, 1, 2, 3])
    left_out = sorted(path.name for path in out.glob("*_left_out.txt"))
    assert left_out == [f"{number:06d}_left_out.txt" for number in (3, 5, 7, 8)]
    assert len(list_flow_pairs(out)) == 4
    assert run(1) == (f"{out}: 4 of 8 pairs\n", 0, [])
    # As if killed before a note was written; one that says nothing is none either.
    (out / left_out[0]).unlink()
    (out / left_out[2]).write_text("")
    assert run(1) == (f"{out}: 4 of 8 pairs\n", 2, [0, 1, 2, 3])
    # With less asked for, what was left out is looked at again; what was kept is not.
    assert run(0.2) == (f"{out}: 8 of 8 pairs\n", 4, [0, 1, 2, 3])
    assert run(1) == (f"{out}: 8 of 8 pairs\n", 0, [])


def test_a_folder_of_pairs_takes_no_others(frames, tmp_path, capsys):
    """Pairs are told by their numbers alone, so those of other frames would be taken for what is there."""
    words = ["--data", f"frames:{frames}", "--save-dir", str(tmp_path / "pairs"), "--gaps"]
    assert recipe("flow_pairs")([*words, "0"]) == 0
    assert recipe("flow_pairs")([*words, "1", "--share", "0.1"]) == 1
    assert "gaps was [0] and is now [1]" in capsys.readouterr().err
    assert recipe("flow_pairs")([*words, "0", "--share", "0.1"]) == 0
    assert len(list_flow_pairs(tmp_path / "pairs")) == 4


def test_recipe_refuses_in_one_line(frames, tmp_path, capsys):
    out = tmp_path / "pairs"
    words = ["--data", f"frames:{frames}", "--save-dir", str(out), "--gaps", "9"]
    assert recipe("flow_pairs")(words) == 1
    said = capsys.readouterr().err
    assert "none of 0 pairs" in said and said.count("\n") == 1
    assert recipe("flow_pairs")([*words, "--share", "2"]) == 2
    assert "'2' is not a number from 0 to 1" in capsys.readouterr().err
