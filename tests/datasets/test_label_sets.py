"""Other sets of labels as Cityscapes' 19, by names and by a file; colours by names."""

from __future__ import annotations

import numpy as np
import pytest

from dvsnet_jax.datasets import camvid
from dvsnet_jax.datasets.cityscapes import CLASSES
from dvsnet_jax.datasets.label_sets import named_palette, out_of_place, read_map, to_cityscapes
from dvsnet_jax.datasets.readers import vistas, vspw
from dvsnet_jax.errors import InputError
from dvsnet_jax.visualize import label_palette

ADE = (
    "wall", "building", "sky", "floor", "tree", "ceiling", "road, route", "bed ", "sidewalk, pavement", "streetlight",
    "signboard, sign", "minibike, motorbike", "traffic light",
)  # fmt: skip


def labels(*names):
    return tuple(255 if name is None else CLASSES.index(name) for name in names)


def test_names_stand_for_what_the_readers_read_them_as():
    assert to_cityscapes(CLASSES) == tuple(range(19))
    assert to_cityscapes(vistas.CLASSES) == vistas.TRAIN_IDS[:-1]
    assert to_cityscapes(camvid.CLASSES) == camvid.TRAIN_IDS[:-1]
    vspw_ids = to_cityscapes(vspw.CLASSES)
    assert [ours for ours, theirs in zip(vspw_ids, vspw.TRAIN_IDS[1:], strict=True) if theirs != 255] == [
        label for label in vspw.TRAIN_IDS[1:] if label != 255
    ]


def test_classes_that_are_no_train_ids_are_known_by_a_name_in_another_place():
    assert out_of_place(ADE) == 0 and out_of_place(("unlabelled", *CLASSES)) == 1
    assert out_of_place(CLASSES) is None and out_of_place(("Road", "LABEL_1", *CLASSES[2:], "lane marking")) is None
    assert out_of_place(("ego", "ceiling")) is None  # of which nothing can be said


def test_spellings_synonyms_and_paths():
    assert to_cityscapes(ADE) == labels(
        "wall", "building", "sky", None, "vegetation", None, "road", None, "sidewalk", "pole", "traffic sign",
        "motorcycle", "traffic light",
    )  # fmt: skip
    assert to_cityscapes(
        ("Traffic-Light", "object--traffic-sign--front", "object--traffic-sign--back", "human--rider--bicyclist",
         "object--vehicle--on-rails", "marking--general", "object--vehicle--other-vehicle", "LABEL_0", "")
    ) == labels("traffic light", "traffic sign", None, "rider", "train", "road", None, None, None)  # fmt: skip


@pytest.mark.parametrize(
    "name, text",
    [
        ("map.json", '{"Road": "road", "lane marking": "road", "2": "sky", "ceiling": null}'),
        ("map.csv", "old,new\nroad,road\nlane marking,Road\ntop,sky\nceiling,void\n"),
        ("map.csv", "\ufeffroad,road\nlane marking,road\n\n2,sky\n"),
    ],
)
def test_a_file_says_what_each_becomes(name, text, tmp_path):
    (tmp_path / name).write_text(text, encoding="utf-8")
    names = ("road", "lane marking", "top", "ceiling")
    assert read_map(tmp_path / name, names, 4) == labels("road", "road", "sky", None)


@pytest.mark.parametrize(
    "name, text, said",
    [
        ("map.json", "{", "cannot be read as JSON"),
        ("map.json", "[1]", "expected an object"),
        ("map.json", '{"bed": "road"}', "'bed' is no class of the network; it has 2, such as road, sky"),
        ("map.json", '{"road": "street"}', "'road' becomes 'street', expected one of road, sidewalk"),
        ("map.csv", "old,new\nroad,road,1\n", "expected lines of two columns"),
        ("map.csv", "road,road\nbed,road\n", "'bed' is no class of the network"),
        ("map.csv", "raod,road\nsky,sky\n", "'raod' is no class of the network"),
        ("map.json", '{"road": "道路"}', "'road' becomes '道路', expected one of road, sidewalk"),
        ("none.csv", None, "cannot be read"),
    ],
)
def test_a_wrong_file_is_told_in_one_line(name, text, said, tmp_path):
    if text is not None:
        (tmp_path / name).write_text(text)
    with pytest.raises(InputError, match=said) as told:
        read_map(tmp_path / name, ("road", "sky"), 2)
    assert "\n" not in str(told.value)


def test_names_of_any_script(tmp_path):
    (tmp_path / "map.json").write_text(
        '{"道路": "road", "天空": "sky", "Stra\u00dfe": "road", "Ba\u0308ume": "vegetation"}'
    )
    names = ("天空", "道路", "B\u00e4ume", "STRASSE", "床")
    assert read_map(tmp_path / "map.json", names, 5) == labels("sky", "road", "vegetation", "road", None)


def test_classes_without_names_go_by_their_numbers(tmp_path):
    (tmp_path / "map.csv").write_text("1,car\n")
    assert read_map(tmp_path / "map.csv", None, 2) == labels(None, "car")


def test_a_class_has_the_colour_of_its_namesake():
    usual, found = label_palette(), named_palette(4, ("sky", "thing", "Road", "stuff"))
    np.testing.assert_array_equal(found[[0, 2]], usual[[10, 0]])
    assert len({tuple(color) for color in [*found[:4].tolist(), *usual[:19].tolist()]}) == 21
    assert not found[4:].any()
    np.testing.assert_array_equal(named_palette(19, CLASSES), usual)
    np.testing.assert_array_equal(named_palette(5, [f"class {n}" for n in range(5)]), label_palette(5))
    assert named_palette(255, [f"c{n}" for n in range(255)])[:255].any(-1).all()
