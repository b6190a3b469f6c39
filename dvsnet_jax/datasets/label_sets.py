"""Other sets of labels as Cityscapes' 19: by the names that ADE20K, Mapillary, VSPW and others have, or by a file.

to_cityscapes(("road", "lane marking", "ceiling"))     → (0, 0, 255), 255 is void
read_map("map.json", names)                            {"road": "road", "lane marking": "road", "ceiling": null}

Which class a name stands for is a choice, made here once for all sets; that of the readers (`datasets.readers`,
`datasets.camvid`) is the same. Of ADE20K:

| ADE20K | → |
|---|---|
| road, dirt track, runway, crosswalk | road |
| sidewalk, path | sidewalk |
| building, house, skyscraper, hovel | building |
| wall; fence, railing; pole, streetlight | wall; fence; pole |
| tree, plant, palm, flower | vegetation |
| grass, field, earth, land | terrain |
| signboard, which traffic signs are in | traffic sign |
| van; minibike | car; motorcycle |
| sky, person, car, truck, bus, bicycle, traffic light | the same |
"""

from __future__ import annotations

import csv
import io
import json
import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from itertools import cycle
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import UInt8

from dvsnet_jax.datasets import camvid
from dvsnet_jax.datasets.cityscapes import CLASSES
from dvsnet_jax.datasets.readers import a2d2, apolloscape, idd, vistas, vspw
from dvsnet_jax.datasets.samples import VOID
from dvsnet_jax.errors import InputError
from dvsnet_jax.visualize import label_palette

_ALSO = {
    "dirt track": "road", "runway": "road", "lane marking": "road", "skyscraper": "building", "hovel": "building",
    "railing": "fence", "streetlight": "pole", "plant": "vegetation", "palm": "vegetation",
    "field": "terrain", "earth": "terrain", "land": "terrain", "signboard": "traffic sign", "van": "car",
    "minibike": "motorcycle", "motorbike": "motorcycle", "pavement": "sidewalk",
}  # fmt: skip
_NONE = ("", "void", "none", "null")
"""What a file says for void."""


def _plain(name: str) -> str:
    """A name as it is compared: lower case, one space between words, which may be of any script."""
    return " ".join(re.sub(r"[\0-/:-`{-\x7f]+", " ", unicodedata.normalize("NFKC", name).casefold()).split())


def _known() -> dict[str, int]:
    """Every name that stands for one of Cityscapes' classes, its own last, as they must win."""
    found: dict[str, int] = {}
    sets = (
        (a2d2.CLASSES, a2d2.FROM_OWN), (apolloscape.CLASSES, apolloscape.FROM_OWN),
        (idd.CLASSES, idd.FROM_LEVEL_3), (vspw.CLASSES, vspw.TRAIN_IDS[1:]), (vistas.CLASSES, vistas.TRAIN_IDS),
        (camvid.CLASSES, camvid.TRAIN_IDS), (_ALSO, [CLASSES.index(name) for name in _ALSO.values()]),
        (CLASSES, range(len(CLASSES))),
    )  # fmt: skip
    for names, train_ids in sets:
        found |= {_plain(name): label for name, label in zip(names, train_ids, strict=False) if label != VOID}
    return found


_KNOWN = _known()


def to_cityscapes(names: Sequence[str]) -> tuple[int, ...]:
    """The train id that each name stands for, 255 for none."""
    return tuple(next((_KNOWN[each] for each in _readings(name) if each in _KNOWN), VOID) for name in names)


def out_of_place(names: Sequence[str]) -> int | None:
    """The first of these classes that is called as another of Cityscapes' 19 than has its number: a sure sign that they
    are no such train ids. None where there is none, as where a name says nothing."""
    to = to_cityscapes(names[: len(CLASSES)])
    return next((number for number, label in enumerate(to) if label not in (number, VOID)), None)


def _readings(name: str) -> Iterator[str]:
    """What a name may be compared by: all of it, each of its synonyms ("road, route"), and the end of a path such as
    Mapillary's "object--vehicle--car", "marking--general"."""
    yield _plain(name)
    for each in re.split(r"[,;]", name):
        parts = each.split("--")
        for first in range(len(parts)):
            yield _plain(" ".join(parts[first:]))
        if _plain(parts[0]) == "marking":
            yield "road"


def read_map(path: str | Path, names: Sequence[str] | None, count: int) -> tuple[int, ...]:
    """What a file says that each of a network's `count` classes, called `names`, becomes: a train id, 255 for void.

    A JSON object or a CSV file of two columns has the network's class, by its name or number, and one of Cityscapes'
    19, by its name, or nothing, `void` or `null`. What it leaves out is void. Raises InputError for a file that is
    missing or no such file, and for a class that there is none of.
    """
    place = Path(path)
    try:
        text = place.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise InputError(
            f"--classes {path}: cannot be read ({reason}); expected cityscapes, or a JSON or CSV file that says what "
            "each class becomes"
        ) from error
    own = {name: index for index, name in reversed(list(enumerate(map(_plain, names or ()))))}
    own |= {str(index): index for index in range(count) if str(index) not in own}
    to = [VOID] * count
    for line, (old, new) in enumerate(_rows(place, text)):
        if _plain(old) not in own:
            if line == 0 and place.suffix.lower() != ".json" and _plain(new) not in CLASSES:
                continue  # a heading
            raise InputError(
                f"{path}: {old!r} is no class of the network; it has {count}, such as "
                f"{', '.join([*(names or map(str, range(count)))][:5])}"
            )
        if _plain(new) not in (*_NONE, *CLASSES):
            raise InputError(f"{path}: {old!r} becomes {new!r}, expected one of {', '.join(CLASSES)}, or void")
        to[own[_plain(old)]] = VOID if _plain(new) in _NONE else CLASSES.index(_plain(new))
    return tuple(to)


def _rows(path: Path, text: str) -> list[tuple[str, str]]:
    if path.suffix.lower() == ".json":
        try:
            said: Any = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise InputError(f"{path}: cannot be read as JSON ({error})") from error
        if not isinstance(said, Mapping):
            raise InputError(
                f'{path}: expected an object {{"old name": "new name"}}, but it is a {type(said).__name__}'
            )
        return [(old, str("" if new is None else new)) for old, new in said.items()]
    try:
        rows = [row for row in csv.reader(io.StringIO(text)) if any(cell.strip() for cell in row)]
    except csv.Error as error:
        raise InputError(f"{path}: cannot be read as CSV ({error})") from error
    if wrong := [row for row in rows if len(row) != 2]:
        raise InputError(f"{path}: expected lines of two columns, old name,new name, but one is {','.join(wrong[0])!r}")
    return [(row[0], row[1]) for row in rows]


def named_palette(
    num_classes: int, names: Sequence[str] | None = None, colors: Any = "cityscapes"
) -> UInt8[np.ndarray, "256 3"]:
    """`visualize.label_palette` for classes with names: one that is called as one of Cityscapes' has its colour, any
    other one of its own."""
    if not names or tuple(names) == CLASSES[: len(names)] or all(name == f"class {n}" for n, name in enumerate(names)):
        return label_palette(num_classes, colors)
    usual = label_palette(len(CLASSES), colors)
    free = cycle(label_palette(254, colors)[len(CLASSES) : 254])
    palette = np.zeros((256, 3), np.uint8)
    for label, name in enumerate(names[:num_classes]):
        alike = _plain(name)
        palette[label] = usual[CLASSES.index(alike)] if alike in CLASSES else next(free)
    return palette
