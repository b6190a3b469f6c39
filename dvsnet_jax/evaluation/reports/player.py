"""Clips in a report: what its player shows of each frame, and how pictures and labels are packed for it."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import UInt8

from dvsnet_jax.datasets.samples import VOID
from dvsnet_jax.errors import InputError
from dvsnet_jax.media.encoded import data_uri, jpeg_bytes, palette_png_bytes
from dvsnet_jax.media.images import resize_image, resize_labels
from dvsnet_jax.ops.regions import region_borders

_RIGHT, _WRONG, _UNKNOWN = range(3)
_ERROR_COLORS = np.array([(0, 0, 0), (230, 30, 30), (128, 128, 128)], np.uint8)
_ERROR_OPACITY = np.array([0, 255, 170], np.uint8)
# Void pixels let the picture through.
_LABEL_OPACITY = np.where(np.arange(256) == VOID, 0, 255).astype(np.uint8)


@dataclass(frozen=True, eq=False)
class Frame:
    """A frame as it was segmented. Everything per region goes row by row."""

    name: str
    image: UInt8[np.ndarray, "height width 3"]
    """RGB, 0..255."""
    labels: UInt8[np.ndarray, "height width"]
    segmented: Sequence[bool]
    """Per region: True where it was segmented anew, False where it was warped from its key frame."""
    scores: Sequence[float | None] = ()
    """Per region: expected confidence of warping, percent. None and NaN are unknown; empty: all are."""
    targets: Sequence[float | None] = ()
    """Per region: the confidence that was asked for, percent; in the same way."""
    truth: UInt8[np.ndarray, "height width"] | None = None
    """255 is void. The share of right pixels is counted from it and the labels, so both are of the same classes."""
    mean_iou: float | None = None
    """Of this frame alone, 0..1."""
    motion: UInt8[np.ndarray, "rows columns 3"] | None = None
    """Motion from the frame before it, drawn (`flow_colors`), of any size; None where there is none or it is not known.
    """


@dataclass(frozen=True, eq=False)
class Clip:
    """Frames that follow one another, all of one size."""

    name: str
    grid: tuple[int, int]
    """Rows and columns of the regions."""
    frames: Iterable[Frame]
    """Gone through once: what makes them when asked keeps one at a time in memory."""
    palette: UInt8[np.ndarray, "256 3"]
    """As `dvsnet_jax.visualize.label_palette` gives it."""
    classes: tuple[str, ...] = ()
    """Names of the labels 0, 1, …, for the legend."""
    overlap: int | None = None
    """Of the regions, in pixels (`DVSNetConfig.overlap`), by which they are drawn where they are; evenly if not given.
    """


def clip_json(clip: Clip, *, quality: int, longest_side: int) -> Iterator[str]:
    """What the page is given of a clip, as JSON in pieces: a frame is let go of before the next is asked for. Raises
    InputError for frames that do not fit each other or the grid."""
    rows, columns = clip.grid
    if rows < 1 or columns < 1:
        raise InputError(f"clip {clip.name!r}: its grid is {rows}×{columns}, expected at least one row and one column")
    if clip.palette.dtype != np.uint8 or clip.palette.shape != (256, 3):
        raise InputError(
            f"clip {clip.name!r}: its palette is {_kind(clip.palette)}, expected uint8[256, 3]; "
            "dvsnet_jax.visualize.label_palette makes one"
        )
    size: tuple[int, ...] = ()
    found = np.zeros(256, bool)
    separator = '{"frames":['
    for frame in clip.frames:
        size = size or frame.image.shape
        _check_frame(f"clip {clip.name!r}, frame {frame.name!r}", frame, size, rows * columns)
        for ids in (frame.labels, frame.truth):
            if ids is not None:
                found |= np.bincount(ids.ravel(), minlength=256) > 0
        yield separator + page_json(_frame(frame, clip.palette, quality, longest_side))
        separator = ","
    rest = {
        "name": clip.name,
        "rows": rows,
        "columns": columns,
        "parts": _parts(size, clip) if size else None,
        "size": size[:2],
        "legend": [[name, "#" + bytes(clip.palette[label]).hex()]
                   for label, name in enumerate(clip.classes[:256]) if found[label]],
    }  # fmt: skip
    yield ("]," if size else separator + "],") + page_json(rest)[1:]


def _parts(size: Sequence[int], clip: Clip) -> list[list[int]] | None:
    """Heights of the rows and widths of the columns of regions; None where they are evenly spaced."""
    borders = region_borders(size[0], size[1], clip.grid, clip.overlap)
    return None if borders is None else [np.diff(places).tolist() for places in borders]


def page_json(content: Any) -> str:
    """As a script element may hold it, which only "<" can end. The rest is ASCII: a name with half a surrogate pair, as
    file names may have, cannot fail to be written."""
    return json.dumps(content, allow_nan=False, separators=(",", ":")).replace("<", "\\u003c")


def _check_frame(what: str, frame: Frame, size: tuple[int, ...], regions: int) -> None:
    image = frame.image
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or not image.size:
        raise InputError(f"{what}: its picture is {_kind(image)}, expected uint8[height, width, 3] RGB")
    if image.shape != size:
        raise InputError(
            f"{what}: its picture is {_kind(image)}, but the first is {list(size)}; make clips of one size"
        )
    for name, ids in (("labels", frame.labels), ("truth", frame.truth)):
        if ids is not None and (ids.dtype != np.uint8 or ids.shape != image.shape[:2]):
            raise InputError(
                f"{what}: {name} {'is' if name == 'truth' else 'are'} {_kind(ids)}, expected uint8"
                f"{list(image.shape[:2])} as its picture; resize one to the other"
            )
    for name in ("segmented", "scores", "targets"):
        given = len(getattr(frame, name))
        if given != regions and (given or name == "segmented"):
            raise InputError(f"{what}: {name} has {given} values, expected {regions}, one for each region of the grid")
    if frame.mean_iou is not None and number(frame.mean_iou) is not None:
        check_part(f"{what}: mean_iou", frame.mean_iou)


def _kind(array: np.ndarray) -> str:
    return f"{array.dtype}{list(array.shape)}"


def _frame(frame: Frame, palette: np.ndarray, quality: int, longest_side: int) -> dict[str, Any]:
    height, width = frame.labels.shape
    part = min(1, longest_side / max(height, width))
    size = max(1, round(height * part)), max(1, round(width * part))

    def ids_uri(ids: np.ndarray, colors: np.ndarray, opacity: np.ndarray) -> str:
        return data_uri(palette_png_bytes(resize_labels(ids, size), colors, opacity), "image/png")

    content = {
        "name": frame.name,
        "image": data_uri(jpeg_bytes(resize_image(frame.image, size), quality=quality), "image/jpeg"),
        "labels": ids_uri(frame.labels, palette, _LABEL_OPACITY),
        "truth": None,
        "errors": None,
        "segmented": [bool(value) for value in frame.segmented],
        "scores": [number(value) for value in frame.scores],
        "targets": [number(value) for value in frame.targets],
        "mean_iou": number(frame.mean_iou),
        "accuracy": None,
        "motion": None,
    }
    if frame.motion is not None:
        content["motion"] = data_uri(jpeg_bytes(frame.motion, quality=quality), "image/jpeg")
    if frame.truth is not None:
        errors = np.where(frame.labels == frame.truth, _RIGHT, _WRONG).astype(np.uint8)
        errors[frame.truth == VOID] = _UNKNOWN
        content["truth"] = ids_uri(frame.truth, palette, _LABEL_OPACITY)
        content["errors"] = ids_uri(errors, _ERROR_COLORS, _ERROR_OPACITY)
        right, wrong = (int((errors == kind).sum()) for kind in (_RIGHT, _WRONG))
        content["accuracy"] = number(right / (right + wrong)) if right + wrong else None
    return content


def check_part(what: str, value: float) -> None:
    """Raises InputError for a number outside 0..1, NaN too."""
    if not 0 <= value <= 1:
        raise InputError(f"{what} is {value:g}, expected 0 to 1; divide percent by 100, and leave out what is unknown")


def number(value: float | None) -> float | None:
    """What JSON can hold: it has no NaN."""
    return round(float(value), 4) if value is not None and math.isfinite(value) else None
