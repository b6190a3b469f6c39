"""Your own data: a folder of frames with a folder of label PNGs, and pairs of pictures with true optical flow.

Two layouts of flow pairs are known by their names, in one folder:

    pair0_img1.png  pair0_img2.png  pair0_flow.flo         any name before _img1, _img2, _flow
    00001_img1.ppm  00001_img2.ppm  00001_flow.flo         FlyingChairs (the same rule)

The flow may be a file of any kind that `media.flow_files.read_flow` reads.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, UInt8

from dvsnet_jax.datasets.samples import LabelledFile, check_files, folder_of
from dvsnet_jax.errors import InputError
from dvsnet_jax.media.flow_files import KNOWN, read_flow
from dvsnet_jax.media.images import is_image_name, read_image, read_stored
from dvsnet_jax.media.reading.names import in_order, order

_MARK = "_img1"


def list_labelled(
    frames: str | os.PathLike[str], labels: str | os.PathLike[str], *, num_classes: int = 19
) -> list[LabelledFile]:
    """Frames and label PNGs of the same stems, in order of their names; stored ids are 0 … num_classes-1, 255 void.

    Frames without a label file are left out (of a video, often one in thirty is labelled). Raises `InputError` for a
    missing folder, where no stem is in both, for a label file without a frame and for two frames of one stem; and,
    when a file is read, for ids out of range and for sizes that differ.
    """
    if not 2 <= num_classes <= 255:
        raise InputError(f"num_classes is {num_classes}, but labels are one byte and 255 is void: 2 to 255")
    pictures = _by_stem(folder_of(Path(frames), "a folder of frames"))
    maps = _by_stem(folder_of(Path(labels), "a folder of label PNGs"))
    if not maps:
        raise InputError(f"{labels}: holds no image, expected label PNGs named as the frames in {frames}; check it")
    if lost := sorted(maps.keys() - pictures.keys()):
        raise InputError(f"{maps[lost[0]]}: has no frame {lost[0]}.* in {frames} ({len(lost)} such); rename or remove")
    own_ids = tuple(range(num_classes))
    return [LabelledFile(stem, pictures[stem], maps[stem], own_ids) for stem in sorted(maps, key=order)]


class FlowPair(NamedTuple):
    """Two pictures and the true motion between them."""

    first: UInt8[np.ndarray, "h w 3"]
    """RGB, 0..255. For DVSNet this is the current frame: flow goes from it to the second, the key frame."""
    second: UInt8[np.ndarray, "h w 3"]
    flow: Float[np.ndarray, "h w 2"]
    """Displacement (x, y) in pixels, first → second, float32; 0 where it is not known."""
    valid: Bool[np.ndarray, "h w"]
    """Where the flow is known (and, where the data set says so, visible in the second picture)."""


class FlowFile(NamedTuple):
    """Where a pair lies."""

    name: str
    first: Path
    second: Path
    flow: Path
    unknown: tuple[Path, ...] = ()
    """Pictures of one channel; where one of them is not 0, the flow counts as not known."""

    def read(self) -> FlowPair:
        """Reads the files; raises `InputError` where one cannot be read or the sizes differ."""
        first, second = read_image(self.first), read_image(self.second)
        flow = read_flow(self.flow, (first.shape[0], first.shape[1]))
        for path, array in ((self.second, second), (self.flow, flow)):
            if array.shape[:2] != first.shape[:2]:
                raise InputError(
                    f"{path}: is {array.shape[1]} × {array.shape[0]}, but {self.first.name} is "
                    f"{first.shape[1]} × {first.shape[0]}; the three files of a pair are of one size"
                )
        valid = np.isfinite(flow).all(-1)
        for path in self.unknown:
            mask = read_stored(path)
            if mask.shape != valid.shape:
                raise InputError(f"{path}: is {list(mask.shape)}, expected one channel of {list(valid.shape)}")
            valid &= mask == 0
        return FlowPair(first, second, np.where(valid[..., None], flow, np.float32(0)), valid)


class FlowFiles(Sequence[FlowPair]):
    """Flow pairs in order, each read when it is asked for: a data source for `datasets.batches`."""

    def __init__(self, files: Iterable[FlowFile]) -> None:
        self.files = tuple(files)

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, index: int) -> FlowPair:  # type: ignore[override]  # no slices
        return self.files[index].read()

    def __iter__(self) -> Iterator[FlowPair]:
        return (file.read() for file in self.files)


def list_flow_pairs(folder: str | os.PathLike[str]) -> list[FlowFile]:
    """The flow pairs of a folder in order of their names; the flow is .flo, or the first other kind that is there.

    Raises `InputError` for a missing folder, one without a pair, and a pair that lacks its second picture or flow.
    """
    root = folder_of(Path(folder), "a folder of flow pairs")
    firsts = in_order(path for path in root.iterdir() if path.stem.endswith(_MARK) and is_image_name(path))
    if not firsts:
        raise InputError(f"{root}: holds no pair, expected files like 00001_img1.ppm, 00001_img2.ppm, 00001_flow.flo")
    pairs = []
    for first in firsts:
        name = first.stem.removesuffix(_MARK)
        kinds = [root / f"{name}_flow{suffix}" for suffix in KNOWN]
        flow = next((path for path in kinds if path.exists()), kinds[0])
        pairs.append(FlowFile(name, first, first.with_name(f"{name}_img2{first.suffix}"), flow))
    check_files((path for pair in pairs for path in (pair.second, pair.flow)), "each pair's _img2 and _flow.flo")
    return pairs


def _by_stem(folder: Path) -> dict[str, Path]:
    found: dict[str, Path] = {}
    for path in sorted(folder.iterdir()):
        if is_image_name(path):
            if path.stem in found:
                raise InputError(f"{path}: has the name of {found[path.stem].name}; keep one of the two")
            found[path.stem] = path
    return found
