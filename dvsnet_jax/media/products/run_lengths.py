"""Labels as COCO's compressed run lengths, which `pycocotools.mask.decode` reads.

A mask is gone through column by column; what is counted is how many pixels are out, in, out … of it. From the fourth
count on the difference to the count two before is written, as characters of five bits each, the lowest first: 0x20
says that another one follows, 48 is added.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from jaxtyping import Int64, UInt8

VOID = 255


def segments(labels: UInt8[np.ndarray, "height width"]) -> list[dict[str, Any]]:
    """For each class that occurs, void left out, `category_id` (the train id), `area` in pixels, `bbox` as `[x, y,
    width, height]`, and `segmentation` as COCO has it."""
    height, width = labels.shape
    columns = labels.T.ravel()
    starts = np.flatnonzero(np.concatenate([[True], columns[1:] != columns[:-1]]))
    lengths = np.diff(np.append(starts, columns.size))
    classes = columns[starts]
    found = []
    for label in np.unique(classes).tolist():
        if label == VOID:
            continue
        ours = classes == label
        first, length = starts[ours], lengths[ours]
        ends = first + length
        gaps = first - np.concatenate([[0], ends[:-1]])
        counts = np.stack([gaps, length], axis=1).ravel()
        if ends[-1] < columns.size:
            counts = np.append(counts, columns.size - ends[-1])
        found.append(
            {
                "category_id": label,
                "area": int(length.sum()),
                "bbox": _box(first, ends, height),
                "segmentation": {"size": [height, width], "counts": compress(counts)},
            }
        )
    return found


def compress(counts: Int64[np.ndarray, "n"]) -> str:
    """Counts as COCO's text."""
    values = counts.astype(np.int64)
    values[3:] -= counts[1:-2]
    digits, following = [], np.ones(len(values), bool)
    written = []
    while following.any():
        digit, values = values & 0x1F, values >> 5
        written.append(following)
        # The digit's highest bit is the sign of what is left out.
        following = following & np.where(digit & 0x10, values != -1, values != 0)
        digits.append((digit | np.where(following, 0x20, 0)) + 48)
    return np.stack(digits, axis=1)[np.stack(written, axis=1)].astype(np.uint8).tobytes().decode("ascii")


def _box(first: Int64[np.ndarray, "n"], ends: Int64[np.ndarray, "n"], height: int) -> list[int]:
    left, right = int(first[0]) // height, (int(ends[-1]) - 1) // height
    spans = (first // height) != ((ends - 1) // height)  # from one column into the next: all rows between
    if spans.any():
        # It ends at the bottom of a column and goes on at the top of the next.
        top, bottom = 0, height - 1
    else:
        top, bottom = int((first % height).min()), int(((ends - 1) % height).max())
    return [left, top, right - left + 1, bottom - top + 1]
