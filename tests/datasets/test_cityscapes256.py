"""The packed Cityscapes photos: numbers are cities, the view is widened, false rims go, what does not fit is named."""

from __future__ import annotations

import numpy as np
import pytest

from dvsnet_jax.datasets import cityscapes
from dvsnet_jax.datasets import cityscapes256 as packed
from dvsnet_jax.datasets import labelled_sets as sets
from dvsnet_jax.datasets.cityscapes import CLASSES
from dvsnet_jax.datasets.samples import read_train_ids
from dvsnet_jax.errors import InputError
from dvsnet_jax.media.images import write_png

NUMBERS = (1, 174, 175, 2853, 2854, 2975)
NAMES = ["aachen_0001", "aachen_0174", "bochum_0175", "weimar_2853", "zurich_2854", "zurich_2975"]
POLE, WALL, CAR, TRUCK = (CLASSES.index(name) for name in ("pole", "wall", "car", "truck"))


def put(root, split, number, grey, labels):
    for folder, array in ((split, np.full((*labels.shape, 3), grey, np.uint8)), (f"{split}annot", labels)):
        (root / folder).mkdir(parents=True, exist_ok=True)
        write_png(root / folder / f"{number:04d}.png", array)


@pytest.fixture
def root(tmp_path):
    """Photos of 8×8 at both ends of cities; the left half of each is of class 2, the right void."""
    for place, number in enumerate(NUMBERS):
        labels = np.full((8, 8), 255, np.uint8)
        labels[:, :4] = 2
        put(tmp_path, "train", number, place, labels)
    put(tmp_path, "val", 268, 99, np.zeros((8, 8), np.uint8))
    return tmp_path


def names(*args, **options):
    return [file.name for file in packed.list_labelled(*args, **options)]


def test_numbers_tell_cities(root):
    assert names(root, "train") == NAMES
    assert names(root, "train", cities=["zurich"]) == NAMES[-2:]
    assert names(root, "val") == ["lindau_0268"]
    assert [len(numbers) for numbers in packed.CITIES["val"].values()] == [267, 59, 174]
    spans = list(packed.CITIES["train"].values())
    assert sum(map(len, spans)) == 2975 and [n for span in spans for n in span] == list(range(1, 2976))
    assert list(packed.CITIES["train"]) == sorted(packed.CITIES["train"])


def test_named_on_a_command_line_and_widened(root):
    def greys(spec, **options):
        return [int(sample.image[0, 0, 0]) for sample in sets.labelled_set(spec, **options)]

    spec = f"cityscapes256:{root}:train"
    image, labels = sets.labelled_set(spec)[3]
    assert image.shape == (8, 16, 3) and (image == 3).all()
    assert labels.tolist() == [[2] * 8 + [255] * 8] * 8
    assert greys(spec) == [0, 1, 2, 3, 4, 5]
    assert greys(f"{spec}:zurich,bochum") == [2, 4, 5]
    assert greys(f"{spec}:-zurich,-bochum") == [0, 1, 3]
    assert greys(spec, hold_out=["aachen", "zurich_2975"]) == [2, 3, 4]
    assert greys(spec, only=["weimar"]) == [3]
    assert sets.labelled_set(f"{spec}:ulm,zurich@0.5")[0].labels.shape == (4, 8)
    assert greys(f"cityscapes256:{root}:val") == [99]


def test_clean_voids_what_is_too_narrow_for_its_class(root):
    labels = np.full((10, 12), CAR, np.uint8)
    labels[1:3, 0:2] = TRUCK  # two by two: a rim
    labels[5:8, 1:4] = TRUCK  # three by three: may be one
    labels[7:10, 3:6] = TRUCK  # another that meets it in a corner
    labels[9, 0:3] = TRUCK  # a sliver
    labels[0:3, 6] = POLE
    labels[0:2, 8] = POLE  # too short
    labels[9, 7:12] = POLE  # lies
    labels[5:7, 7:9] = WALL
    labels[3, 9:12] = 0  # road may be thin
    expected = labels.copy()
    expected[1:3, 0:2] = expected[9, 0:3] = expected[0:2, 8] = expected[9, 7:12] = expected[5:7, 7:9] = 255
    before = labels.copy()
    np.testing.assert_array_equal(packed.cleaned(labels), expected)
    np.testing.assert_array_equal(labels, before)
    put(root, "train", 2711, 50, labels)
    for spec, truth in ((":ulm", labels), (":ulm:clean", expected)):
        sample = sets.labelled_set(f"cityscapes256:{root}:train{spec}")[0]
        np.testing.assert_array_equal(sample.labels, truth.repeat(2, 1))
    assert len(sets.labelled_set(f"cityscapes256:{root}:train::clean")) == 7


@pytest.mark.data
def test_clean_against_true_labels(data):
    """What the module says `clean` is worth: the six first photos whose true labels are at hand, aachen_000000 …"""
    folder = data / "cityscapes256"
    if not folder.is_dir():
        pytest.skip("the packed photos are not here")
    numbers = [1, 2, 3, 4, 7, 8]
    fine = {file.name[:13]: file for file in cityscapes.list_labelled(data / "cityscapes", "train")}
    true = [fine[f"aachen_{number - 1:06d}"] for number in numbers]
    truth = np.stack([read_train_ids(file.labels, file.train_ids)[2::4, 4::8] for file in true])
    files = {file.name: file for file in packed.list_labelled(folder, "train", cities=["aachen"])}
    labels = np.stack([files[f"aachen_{number:04d}"].read().labels for number in numbers])
    clean = np.stack([packed.cleaned(each) for each in labels])

    def right(found, name):
        """Pixels of a class that have a true label, and how many of them have the same."""
        known = (found == CLASSES.index(name)) & (truth != 255)
        return known.sum(), (truth[known] == CLASSES.index(name)).sum()

    for name, before, after, kept in (
        ("wall", 0.28, 0.87, 0.91), ("pole", 0.62, 0.94, 0.95), ("building", 0.973, 0.995, 0.997),
        ("fence", 0.89, 0.95, 0.98), ("bicycle", 0.51, 0.77, 0.98),
    ):  # fmt: skip
        (count, good), (clean_count, clean_good) = right(labels, name), right(clean, name)
        found = good / count, clean_good / clean_count, clean_good / good
        np.testing.assert_allclose(found, (before, after, kept), atol=0.006, err_msg=name)
    large = ("truck", "bus", "train")
    assert [right(labels, name) for name in large] == [(299, 0), (58, 0), (6, 0)]
    assert not np.isin(clean, [CLASSES.index(name) for name in large]).any()


@pytest.mark.parametrize(
    ("rest", "says"),
    [
        ("test", "'test' is no split .* expected train or val"),
        ("train:paris", "'paris': no city of Cityscapes' train, expected some of aachen, bochum"),
        ("val:zurich", "'zurich': no city of Cityscapes' val, expected some of frankfurt, lindau, munster"),
        ("train:zurich,-ulm", "zurich,-ulm: names cities and leaves out others"),
        ("train:zurich,", "'': no city"),
        ("train:ulm", "has no photo of ulm"),
        ("train:zurich:dirty", "names no data set; expected"),
    ],
)
def test_what_is_not_there_is_named(root, rest, says):
    with pytest.raises(InputError, match=says):
        sets.labelled_set(f"cityscapes256:{root}:{rest}")


def test_damaged_trees_are_named(root):
    (root / "trainannot" / "0175.png").unlink()
    with pytest.raises(InputError, match=r"trainannot/0175.png: is missing"):
        packed.list_labelled(root, "train")
    assert names(root, "train", cities=["zurich"]) == NAMES[-2:]
    for stem in ("2976", "175", "aachen"):
        strange = root / "train" / f"{stem}.png"
        (root / "train" / "0001.png").rename(strange)
        with pytest.raises(InputError, match=rf"{stem}.png: is no number of a photo of train, expected 0001 to 2975"):
            packed.list_labelled(root, "train")
        strange.rename(root / "train" / "0001.png")
    write_png(root / "trainannot" / "2854.png", np.full((8, 8), 19, np.uint8))
    with pytest.raises(InputError, match=r"2854.png: holds label 19, expected 0 to 18"):
        sets.labelled_set(f"cityscapes256:{root}:train:zurich")[0]
