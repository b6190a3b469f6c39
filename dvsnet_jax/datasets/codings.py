"""Label files in another coding than the one that is read: recognised and named, because scored they would be noise.

Colours, instance ids of 16 bits, panoptic maps and label ids in place of train ids all are PNGs of the right size.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Int, UInt8

from dvsnet_jax.errors import InputError
from dvsnet_jax.media.images import read_palette, read_stored
from dvsnet_jax.visualize import CITYSCAPES_COLORS

Colour = tuple[int, int, int]
"""Red, green and blue, 0..255."""

_BLACK = (0, 0, 0)
_CITYSCAPES_LABEL_IDS = frozenset(range(34))
_CITYSCAPES_CLASSES = 19
_CUT_VOID = (3, 15)  # 255 cut to 2 and to 4 bits; to 1 bit it is 1, of which there is no telling
_SEVERAL = 3  # of one or two ids there is no telling
_MUCH = 0.3  # of a picture; of a true one's labels without any id above 18, hardly there, less


def read_ids(path: Path, channel: int | None = None) -> UInt8[np.ndarray, "h w"]:
    """The ids that a label file stores: of a single-channel image, or of one `channel` of a colour image (0 is red).

    Raises `InputError`, which says what the file holds instead, for every other kind of image, for a JPEG, and as
    `media.images.read_stored` does.
    """
    if path.suffix.lower() in (".jpg", ".jpeg"):
        raise InputError(f"{path}: is a JPEG, in which ids change at every outline; labels are PNGs: give those")
    return ids_in(read_stored(path), path, channel)


def ids_in(stored: np.ndarray, path: Path, channel: int | None = None) -> UInt8[np.ndarray, "h w"]:
    """The same of what `media.images.read_stored` gave of that file."""
    if channel is not None:
        if stored.ndim != 3 or stored.dtype != np.uint8:
            raise InputError(
                f"{path}: has a single channel, expected a panoptic map: three of 8 bits, the class in "
                f"{('red', 'green', 'blue')[channel]}; check that it is the data set's own file"
            )
        if _are_cityscapes_colours(stored):
            raise InputError(f"{path}: holds Cityscapes' colours, expected a panoptic map with ids; give that one")
        # Road alone, without an id, is three zeros.
        if stored.shape[2] != 3 or (stored.any() and (stored == stored[..., :1]).all()):
            raise InputError(
                f"{path}: {_other_kind(stored)}, expected a panoptic map: three channels, the class in "
                f"{('red', 'green', 'blue')[channel]} and ids in the others; give that one"
            )
        return np.ascontiguousarray(stored[..., channel])
    if stored.ndim == 2 and stored.dtype == np.uint8:
        return stored
    raise InputError(f"{path}: {_other_kind(stored)}, but labels are one 8-bit channel of ids; give the file of those")


def read_colours(path: Path, colours: Sequence[Colour]) -> UInt8[np.ndarray, "h w"]:
    """The ids that a label file stores as colours: `colours[id]`; 255 where it is black and no id is.

    Raises `InputError` for an image that is not RGB and for any other colour, and as `media.images.read_stored` does.
    """
    stored = read_stored(path)
    if stored.ndim != 3 or stored.shape[2] != 3:
        kind = "has a single channel, as ids have" if stored.ndim == 2 else _other_kind(stored)
        raise InputError(f"{path}: {kind}, but these labels are RGB images of the data set's colours; give those")
    ids = {_packed(colour): label for label, colour in reversed(list(enumerate(colours)))}
    ids.setdefault(_packed(_BLACK), 255)
    keys = np.array(sorted(ids), np.int32)
    numbers = stored.astype(np.int32) @ np.array([65536, 256, 1], np.int32)
    places = np.minimum(np.searchsorted(keys, numbers), len(keys) - 1)
    if (other := keys[places] != numbers).any():
        strange, counts = np.unique(numbers[other], return_counts=True)
        few = ", ".join(f"#{each:06x}" for each in strange[np.argsort(-counts)][:3].tolist())
        hint = "take the file as it was released: colours between those come of resizing, or of JPEG"
        if _are_cityscapes_colours(stored):
            hint = "they look like Cityscapes' colours"
        raise InputError(
            f"{path}: {other.sum()} of its pixels have a colour that the data set has not, such as {few}; {hint}"
        )
    return np.array([ids[key] for key in keys.tolist()], np.uint8)[places]


def _packed(colour: Colour) -> int:
    red, green, blue = colour
    return (red << 16) + (green << 8) + blue


def hint_for(ids: Collection[int], expected: int) -> str:
    """What ids outside of 0 … `expected` - 1 (255 is void) look like; empty where there is no telling."""
    found = set(ids)
    if expected == 19 and found <= _CITYSCAPES_LABEL_IDS | {255} and max(found - {255}) > 22:
        return "they look like Cityscapes' labelIds, where train ids (labelTrainIds) are expected"
    if expected == 66 and max(found - {255}) < 124:
        return "they look like version 2.0 of Mapillary Vistas, of which version 1.2 is read"
    if 0 not in found and max(found - {255}) == expected:
        return "where classes are counted from 1, take one off: they are counted from 0 here"
    if (most := max(found)) in _CUT_VOID and most >= expected:
        return (
            f"{most} may be void, whose 255 Pillow cuts to {most.bit_length()} bits in an image with a palette of few "
            "colours; write the labels again with 256 colours in the palette"
        )
    return ""


def check_palette(path: Path, found: Collection[int], train_ids: Sequence[int]) -> None:
    """Raises `InputError` where the label file's palette says that its ids, `found` in it, are others than they were.

    PNG optimisers such as oxipng keep the picture, leave out colours that no pixel has, sort the others and number the
    pixels anew. That is seen in a palette with nothing but Cityscapes' colours and black, each of them in use, that has
    several at ids which `train_ids` says are other classes; elsewhere there is no telling.
    """
    if max((each for each in train_ids if each != 255), default=0) != _CITYSCAPES_CLASSES - 1:
        return
    if {*found} != {*range(len(found))}:  # a colour is not in use; seen before the file is opened once more
        return
    palette = read_palette(path)
    if palette is None or len(palette) != len(found):
        return
    classes = {colour: label for label, colour in enumerate(CITYSCAPES_COLORS)} | {_BLACK: 255}
    meant = [classes.get(tuple(colour)) for colour in palette.tolist()]
    moved = [each not in (255, train_ids[label]) for label, each in enumerate(meant[: len(train_ids)])]
    if None not in meant and sum(moved) >= _SEVERAL:
        raise InputError(
            f"{path}: its palette has Cityscapes' colours in another order than its ids, as PNG optimisers (oxipng) "
            "leave it, so that ids are others than they were; take the file from before that, or write ids as greys"
        )


def look_like_train_ids(counts: Int[np.ndarray, "256"], train_ids: Sequence[int]) -> bool:
    """Whether ids that occur so often, read as Cityscapes' labelIds, are its train ids: none is above 18, and by that
    reading much of the picture would not count."""
    if len(train_ids) != len(_CITYSCAPES_LABEL_IDS) or counts[_CITYSCAPES_CLASSES : len(train_ids)].any():
        return False
    lost = np.array(train_ids)[:_CITYSCAPES_CLASSES] == 255
    return bool(
        np.count_nonzero(counts[:_CITYSCAPES_CLASSES]) >= _SEVERAL
        and counts[:_CITYSCAPES_CLASSES][lost].sum() > _MUCH * max(1, counts[:255].sum())
    )


def _other_kind(stored: np.ndarray) -> str:
    if stored.ndim == 2:
        if stored.dtype == np.float32:
            return "is an image of floating-point numbers"
        most = int(stored.max(initial=0))
        if most > 255:
            return f"is a 16-bit image with values up to {most}, which look like instance ids"
        return "is a 16-bit image of small values"
    if stored.shape[2] == 2:
        return "is a grey image with transparency"
    if stored.shape[2] == 4:
        return "is an RGBA image, as bitmasks of instances are (BDD100K's ins_seg, pan_seg and seg_track)"
    if (stored == stored[..., :1]).all():
        return "is an RGB image of three equal channels, ids that were saved as a picture"
    if _are_cityscapes_colours(stored):
        return "is an RGB image of Cityscapes' colours"
    return "is an RGB image, of colours or a panoptic map"


def _are_cityscapes_colours(stored: np.ndarray) -> bool:
    """Whether nearly all pixels are in the colours of the 19 classes or black."""
    colours = np.array([(0, 0, 0), *CITYSCAPES_COLORS], np.int64) @ (1, 256, 65536)
    known = np.isin(stored[..., :3].astype(np.int64) @ np.array([1, 256, 65536]), colours)
    return bool(known.mean() > 0.9 and stored[..., :3].any(-1).mean() > 0.1)
