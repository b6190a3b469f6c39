"""The original's pair lists, read, written and made anew."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from dvsnet_jax.datasets.cityscapes import list_snippets
from dvsnet_jax.datasets.pair_lists import TRAIN_13, VAL_10, FramePair, make_pairs, read_labels, read_pairs, write_pairs
from dvsnet_jax.errors import InputError
from dvsnet_jax.media.images import write_png

# The first and the last line of the first snippet in the release's imagesval_10_list.txt.
FIRST = (
    "leftImg8bit_sequence/val/lindau/lindau_000000_000010_leftImg8bit.png "
    "leftImg8bit/val/lindau/lindau_000000_000019_leftImg8bit.png "
    "gtFine/val/lindau/lindau_000000_000019_gtFine_labelTrainIds.png"
)
TENTH = FIRST.replace("000010_left", "000019_left")


@pytest.fixture
def root(tmp_path) -> Path:
    """Two snippets as Cityscapes has them; only their names matter."""
    for snippet in ("000000", "000001"):
        for number in range(30):
            for folder in ("leftImg8bit_sequence", "leftImg8bit")[: 2 if number == 19 else 1]:
                path = tmp_path / folder / "val/lindau" / f"lindau_{snippet}_{number:06d}_leftImg8bit.png"
                path.parent.mkdir(parents=True, exist_ok=True)
                path.touch()
    return tmp_path


def test_the_validation_list_is_the_release_s(root, tmp_path):
    write_pairs(tmp_path / "list.txt", make_pairs(root, list_snippets(root, "val"), VAL_10), root)
    lines = (tmp_path / "list.txt").read_text().splitlines()
    assert len(lines) == 20
    assert (lines[0], lines[9]) == (FIRST, TENTH)
    assert lines[10] == FIRST.replace("lindau_000000", "lindau_000001")


def test_the_training_list_has_thirteen_pairs_a_snippet(root):
    pairs = make_pairs(root, list_snippets(root, "val"))
    assert len(TRAIN_13) == 13 and 2975 * len(TRAIN_13) == 38675
    assert [int(pair.key.name.split("_")[2]) for pair in pairs[:13]] == list(range(7, 20))
    assert {pair.current.parent.parts[-3] for pair in pairs} == {"leftImg8bit"}
    apart = make_pairs(root, list_snippets(root, "val"), range(13, 0, -1))
    assert len(apart) == 26 and apart[0].key.name == "lindau_000000_000006_leftImg8bit.png"
    (root / "leftImg8bit/val/lindau/lindau_000000_000019_leftImg8bit.png").unlink()
    assert "leftImg8bit_sequence" in str(make_pairs(root, list_snippets(root, "val"))[0].current)


def test_a_list_comes_back_as_it_was_written(root, tmp_path):
    pairs = make_pairs(root, list_snippets(root, "val"))
    write_pairs(tmp_path / "list.txt", pairs, root)
    assert read_pairs(tmp_path / "list.txt", root, check=True) == pairs
    write_pairs(tmp_path / "plain.txt", pairs)
    assert read_pairs(tmp_path / "plain.txt") == pairs


def test_slashes_blank_lines_and_a_missing_line_break_do_no_harm(tmp_path):
    (tmp_path / "list.txt").write_text("/a.png /b.png /c.png\n\n  d.png\te.png f.png")
    pairs = read_pairs(tmp_path / "list.txt", "/data")
    assert pairs == [FramePair(*(Path("/data") / f"{n}.png" for n in names)) for names in ("abc", "def")]


def test_labels_of_a_pair_are_train_ids_from_either_file(tmp_path):
    pair = FramePair(Path("a"), Path("b"), tmp_path / "x_gtFine_labelTrainIds.png")
    with pytest.raises(InputError, match=r"labelIds.png: is missing, expected the labels of a pair"):
        read_labels(pair)
    write_png(tmp_path / "x_gtFine_labelIds.png", np.full((2, 2), 26, np.uint8))
    assert (read_labels(pair) == 13).all()
    write_png(pair.labels, np.full((2, 2), 18, np.uint8))
    assert (read_labels(pair) == 18).all()
    write_png(pair.labels, np.full((2, 2), 26, np.uint8))
    with pytest.raises(InputError, match="holds label 26, expected 0 to 18"):
        read_labels(pair)


def test_lists_that_are_none_are_refused(tmp_path, root):
    path = tmp_path / "list.txt"
    with pytest.raises(InputError, match=r"list.txt: cannot be read \(No such file"):
        read_pairs(path)
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InputError, match="it is not text"):
        read_pairs(path)
    path.write_text("a b c\na b\n")
    with pytest.raises(InputError, match="line 2: has 2 columns, expected 3"):
        read_pairs(path)
    path.write_text("\n")
    with pytest.raises(InputError, match="holds no pair"):
        read_pairs(path)
    path.write_text("a.png b.png c.png\n")
    with pytest.raises(InputError, match=r"a.png: is missing, and 1 more"):
        read_pairs(path, tmp_path, check=True)
    with pytest.raises(InputError, match="is not below"):
        write_pairs(path, [FramePair(Path("/a"), Path("/b"), Path("/c"))], tmp_path)
    with pytest.raises(InputError, match="has a space"):
        write_pairs(path, [FramePair(Path("/a b"), Path("/b"), Path("/c"))])
    (snippet, _) = list_snippets(root, "val")
    with pytest.raises(InputError, match="has 10 frames, expected 20 or more"):
        make_pairs(root, [snippet._replace(frames=snippet.frames[:10])])
    with pytest.raises(InputError, match="expected 0 to 19 frames"):
        make_pairs(root, [snippet], [20])


@pytest.mark.data
def test_pairs_of_real_snippets(data):
    root = data / "cityscapes"
    pairs = make_pairs(root, list_snippets(root, "train"))
    assert len(pairs) == 6 * 13
    assert all(pair.key.is_file() and pair.current.is_file() for pair in pairs)
