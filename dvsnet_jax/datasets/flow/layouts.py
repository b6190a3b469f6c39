"""Whole sets of flow pairs as they are unpacked, by their names on a command line; a pair leads from its first frame.

    sintel:ROOT:PASS[:noc]        training/PASS/SEQUENCE/frame_0001.png, flow/…/frame_0001.flo; PASS is clean or final
    things:ROOT:SPLIT:PASS        FlyingThings3D whole, frames_cleanpass/TRAIN/A/0000/left/0006.png (or …_webp/…) and
                                  optical_flow/…/into_future/left/OpticalFlowIntoFuture_0006_L.pfm; SPLIT is TRAIN or
                                  TEST. Or its subset, train/image_clean/left/0000000.png,
                                  train/flow/left/into_future/0000000.flo
    kitti:ROOT[:noc]              2012 (colored_0) or 2015 (image_2): training/image_2/000000_10.png, flow_occ/…
    hd1k:ROOT                     hd1k_input/image_2/000000_0000.png, hd1k_flow_gt/flow_occ/000000_0000.png
    spring:ROOT                   train/0001/frame_left/frame_left_0001.png, flow_FW_left/flow_FW_left_0001.flo5
    viper:ROOT:SPLIT              train/img/001/001_00001.jpg, flow/001/001_00001.npz, flowbw/…; SPLIT is train or val
    tartanair:ROOT                …/P000/image_left/000000_left.png, flow/000000_000001_flow.npy; of version 2
                                  image_lcam_front/000000_lcam_front.png, flow_lcam_front/000000_000001_flow.png

FlyingChairs is `pairs:ROOT/data`. What a file marks as not known does not count, nor what Sintel's `invalid` marks.
With `noc` points that are hidden in the second picture do not count either: by Sintel's `occlusions`, KITTI's
`flow_noc`. Where a set has flow into the past, that is a pair too, from a frame to the one before it; of two cameras
the left one's pairs are taken.

Layouts are as hmorimitsu/ptlflow, ptlflow/data/datasets.py, finds the files of Sintel, FlyingThings3D, KITTI, HD1K and
Spring, and by castacks/tartanair_tools, tartanairpy and VIPER's page (playing-for-benchmarks.org).
"""

from __future__ import annotations

import os
import re
import warnings
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from dvsnet_jax.datasets.folders import FlowFile
from dvsnet_jax.datasets.samples import check_files, folder_of
from dvsnet_jax.errors import InputError, InputNotice
from dvsnet_jax.media.flow_arrays import mask_of
from dvsnet_jax.media.images import is_image_name

FORMS = (
    "sintel:ROOT:clean|final[:noc], things:ROOT:TRAIN|TEST:clean|final, kitti:ROOT[:noc], hd1k:ROOT, spring:ROOT, "
    "viper:ROOT:train|val, tartanair:ROOT"
)
_PASSES = ("clean", "final")


def list_layout(spec: str) -> list[FlowFile]:
    """The pairs of a set, in order of their names.

    Raises `InputError` for a spec of another form, for what is missing, and where no pair is found.
    """
    kind, _, rest = spec.partition(":")
    reader, options = _LAYOUTS[kind]
    root, *words = _words(rest, options, spec)
    base = folder_of(Path(root), f"the root of {kind}")
    pairs = sorted(reader(base, *words), key=lambda pair: pair.name)
    if not pairs:
        raise InputError(f"{spec}: holds no pair where {kind} has its own; check the root. It is one of {FORMS}")
    check_files((path for pair in pairs for path in (pair.first, pair.second)), "both pictures of each flow file")
    check_files((path for pair in pairs for path in pair.unknown), "the mask of each flow file")
    return pairs


def _words(rest: str, options: Sequence[tuple[str, ...]], spec: str) -> list[str]:
    """ROOT, which may have colons in it, and a word of each of the options, of which "" may be left out."""
    words: list[str] = []
    for allowed in reversed(options):
        place, colon, last = rest.rpartition(":")
        if colon and last in allowed:
            rest, word = place, last
        elif "" in allowed:
            word = ""
        else:
            raise InputError(f"{spec!r}: names no flow set; {'|'.join(allowed)} is missing. It is one of {FORMS}")
        words.insert(0, word)
    return [rest, *words]


def _sintel(base: Path, which: str, noc: str) -> Iterator[FlowFile]:
    training = folder_of(base / "training", "Sintel's training")
    folder_of(training / which, f"Sintel's {which} pass")
    masks = ["invalid"] if (training / "invalid").is_dir() else []
    if noc:
        masks.append(folder_of(training / "occlusions", "Sintel's occlusions, which noc goes by").name)
    for flow in sorted(training.glob("flow/*/[!.]*.flo")):
        scene, first = flow.parent.name, flow.stem
        pictures = training / which / scene
        unknown = tuple(training / mask / scene / f"{first}.png" for mask in masks)
        yield FlowFile(
            f"{scene}_{first}", pictures / f"{first}.png", pictures / f"{_moved(first, 1)}.png", flow, unknown
        )


def _things(base: Path, split: str, which: str) -> Iterator[FlowFile]:
    frames = f"frames_{which}pass"
    if not (base / frames).is_dir() and (base / f"{frames}_webp").is_dir():
        frames = f"{frames}_webp"
    for direction, step in (("into_future", 1), ("into_past", -1)):
        for flow in sorted(base.glob(f"optical_flow/{split}/*/*/{direction}/left/[!.]*.pfm")):
            letter, scene = flow.parts[-5:-3]
            first = re.findall(r"\d+", flow.stem)[-1]
            pictures = base / frames / split / letter / scene / "left"
            yield from _pair_of(f"{letter}_{scene}_{first}_{direction}", pictures, first, step, flow)
        subset = base / {"TRAIN": "train", "TEST": "val"}[split]
        for flow in sorted(subset.glob(f"flow/left/{direction}/[!.]*.flo")):
            yield from _pair_of(f"{flow.stem}_{direction}", subset / f"image_{which}/left", flow.stem, step, flow)


def _kitti(base: Path, noc: str) -> Iterator[FlowFile]:
    training = folder_of(base / "training", "KITTI's training, of 2012 or 2015")
    pictures = next((training / name for name in ("image_2", "colored_0") if (training / name).is_dir()), None)
    if pictures is None:
        raise InputError(f"{training}: has neither image_2 (2015) nor colored_0 (2012), expected one of them")
    for flow in sorted(folder_of(training / f"flow_{noc or 'occ'}", "KITTI's flow").glob("[!.]*_10.png")):
        yield FlowFile(flow.stem, pictures / flow.name, pictures / f"{_moved(flow.stem, 1)}.png", flow)


def _hd1k(base: Path) -> Iterator[FlowFile]:
    pictures = folder_of(base / "hd1k_input/image_2", "HD1K's pictures")
    for flow in sorted(base.glob("hd1k_flow_gt/flow_occ/[!.]*.png")):
        # A sequence's last frame has a flow file too.
        yield from _pair_of(flow.stem, pictures, flow.stem, 1, flow)


def _spring(base: Path) -> Iterator[FlowFile]:
    for direction, step in (("FW", 1), ("BW", -1)):
        for flow in sorted(base.glob(f"train/*/flow_{direction}_left/[!.]*.flo5")):
            scene, number = flow.parts[-3], flow.stem.rpartition("_")[2]
            pictures = flow.parents[1] / "frame_left"
            yield FlowFile(
                f"{scene}_{number}_{direction}", pictures / f"frame_left_{number}.png",
                pictures / f"frame_left_{_moved(number, step)}.png", flow,
            )  # fmt: skip


def _viper(base: Path, split: str) -> Iterator[FlowFile]:
    empty = []
    for folder, step in (("flow", 1), ("flowbw", -1)):
        for flow in sorted(base.glob(f"{split}/{folder}/*/[!.]*.npz")):
            if not flow.stat().st_size:
                empty.append(flow)
                continue
            pictures = base / split / "img" / flow.parent.name
            yield from _pair_of(f"{flow.stem}_{folder}", pictures, flow.stem, step, flow)
    if empty:
        warnings.warn(
            f"{empty[0]}: is empty, as some of VIPER's flow files were released ({len(empty)} here); left out",
            InputNotice,
            stacklevel=3,
        )


def _tartanair(base: Path) -> Iterator[FlowFile]:
    unmasked = []
    cameras = {"flow": ("image_left", "left"), "flow_lcam_front": ("image_lcam_front", "lcam_front")}
    for place, folders, _ in os.walk(base):
        folders.sort()
        for name in cameras.keys() & {*folders}:
            trajectory, (images, camera) = Path(place), cameras[name]
            for flow in sorted((trajectory / name).glob("[!.]*_flow.*")):
                first, second, *_ = flow.stem.split("_")
                if flow.suffix == ".npy" and not mask_of(flow).is_file():
                    unmasked.append(flow)
                where = "_".join(trajectory.relative_to(base).parts)
                one, other = (trajectory / images / f"{number}_{camera}.png" for number in (first, second))
                yield FlowFile("_".join(filter(None, (where, first))), one, other, flow)
            folders.clear()  # there is nothing below a trajectory
    if unmasked:
        warnings.warn(
            f"{unmasked[0]}: has no mask {mask_of(unmasked[0]).name} beside it ({len(unmasked)} such), so what is "
            "hidden or moves by itself counts, whose flow is wrong; unpack flow_mask.zip too",
            InputNotice,
            stacklevel=3,
        )


def _pair_of(name: str, pictures: Path, first: str, step: int, flow: Path) -> Iterator[FlowFile]:
    """The pair of a frame's flow, unless the frame that it leads to is not there: the ends of sequences."""
    one, other = (_picture(pictures, stem) for stem in (first, _moved(first, step)))
    if other.is_file():
        yield FlowFile(name, one, other, flow)


def _picture(folder: Path, stem: str) -> Path:
    return next((path for path in folder.glob(f"{stem}.*") if is_image_name(path)), folder / f"{stem}.png")


def _moved(stem: str, step: int) -> str:
    """The name that is called by the next number, or the one before."""
    head, number = re.fullmatch(r"(.*?)(\d+)", stem).groups()  # type: ignore[union-attr]
    return f"{head}{int(number) + step:0{len(number)}d}"


_LAYOUTS: dict[str, tuple[Callable[..., Iterator[FlowFile]], tuple[tuple[str, ...], ...]]] = {
    "sintel": (_sintel, (_PASSES, ("noc", ""))),
    "things": (_things, (("TRAIN", "TEST"), _PASSES)),
    "kitti": (_kitti, (("noc", ""),)),
    "hd1k": (_hd1k, ()),
    "spring": (_spring, ()),
    "viper": (_viper, (("train", "val"),)),
    "tartanair": (_tartanair, ()),
}
KINDS = frozenset(_LAYOUTS)
