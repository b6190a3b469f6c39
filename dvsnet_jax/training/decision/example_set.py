"""The decision network's training set read back: `X.npy` and `Y.npy`, ours or the original's, checked."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float

from dvsnet_jax.errors import InputError

_BLOCK = 1 << 26  # bytes looked at once
_ROUNDING = 1e-3  # points that full agreement may come out above 100, where it was computed in float32


@dataclass(frozen=True)
class DecisionSet:
    """Samples of the decision network. The features stay in their file (gigabytes) until they are asked for."""

    features: Float[np.ndarray, "n gh gw c"]
    """Of the flow network, on the decision grid."""
    confidence: Float[np.ndarray, "n"]
    """True agreement, percent."""
    flow_magnitude: Float[np.ndarray, "n"] | None
    """Mean length of the flow, pixels of the frame; None for the original's sets, which lack it."""
    fingerprint: str
    """CRC-32 of features and confidence."""

    def __len__(self) -> int:
        return len(self.confidence)


def read_set(folder: str | Path, grid: tuple[int, ...] | None = None, *, grid_of: str = "") -> DecisionSet:
    """The set in a folder. Nothing in the files is ever run: object arrays are refused.

    Args:
      grid: height, width and channels that the features must have; `grid_of` says in the message what has them.

    Raises InputError for files that are missing or damaged, features or labels of the wrong shape or type, a value that
    is not finite, a label outside of 0..100, unequal counts, and an empty set.
    """
    folder = Path(folder)
    features = _array(folder / "X.npy", mapped=True)
    if features.ndim != 4:
        raise InputError(f"{folder / 'X.npy'}: has shape {list(features.shape)}, expected [n, height, width, channels]")
    confidence = _labels(folder / "Y.npy")
    if len(features) != len(confidence):
        raise InputError(
            f"{folder}: X.npy has {len(features)} samples and Y.npy {len(confidence)}, expected as many; they are not "
            "of one run: make them again (dvsnet train decision-data)"
        )
    if not len(confidence):
        raise InputError(f"{folder}: the set is empty, expected samples; make it again with a lower --clip")
    if grid is not None and features.shape[1:] != tuple(grid):
        raise InputError(
            f"{folder / 'X.npy'}: features are {_times(features.shape[1:])}, and {grid_of} has {_times(grid)}; "
            "make the set again with the weights that it is for"
        )
    if confidence.min() < 0 or confidence.max() > 100 + _ROUNDING:
        raise InputError(
            f"{folder / 'Y.npy'}: agreement from {confidence.min():g} to {confidence.max():g}, expected percent, 0 to "
            "100; make it again"
        )
    magnitude = None
    if (folder / "flow_magnitude.npy").exists():
        magnitude = _labels(folder / "flow_magnitude.npy")
        if len(magnitude) != len(confidence):
            raise InputError(
                f"{folder / 'flow_magnitude.npy'}: has {len(magnitude)} values, expected {len(confidence)}"
            )
    crc = zlib.crc32(confidence.tobytes(), _check_features(folder / "X.npy", features))
    return DecisionSet(features, confidence, magnitude, f"{crc:08x}")


def _array(path: Path, *, mapped: bool = False) -> np.ndarray:
    try:
        array = np.load(path, mmap_mode="r" if mapped else None, allow_pickle=False)
    except FileNotFoundError as error:
        raise InputError(f"{path}: is not there; dvsnet train decision-data makes it (and makes X.npy last)") from error
    except Exception as error:  # OSError, ValueError for pickles and damage, EOFError
        raise InputError(f"{path}: cannot be read as an array of numbers ({error}); make it again") from error
    if not isinstance(array, np.ndarray) or not np.issubdtype(array.dtype, np.floating):
        kind = getattr(array, "dtype", type(array).__name__)
        raise InputError(f"{path}: holds {kind}, expected floating point numbers; make it again")
    return array


def _labels(path: Path) -> np.ndarray:
    array = _array(path)
    if array.ndim == 2 and array.shape[1] == 1:  # as a batch of the original's has it
        array = array[:, 0]
    if array.ndim != 1:
        raise InputError(f"{path}: has shape {list(array.shape)}, expected one number a sample, [n]")
    if bad := int((~np.isfinite(array)).sum()):
        raise InputError(f"{path}: {bad} of {len(array)} values are not finite; make it again")
    return array.astype(np.float64)


def _check_features(path: Path, features: np.ndarray) -> int:
    """CRC-32 of all features, after a look at each that it is finite."""
    crc = 0
    rows = max(1, _BLOCK // max(1, features[0].nbytes))
    for start in range(0, len(features), rows):
        block = np.ascontiguousarray(features[start : start + rows])
        finite = np.isfinite(block).reshape(len(block), -1).all(1)
        if not finite.all():
            sample = start + int(np.argmin(finite))
            raise InputError(f"{path}: sample {sample} has values that are not finite; make the set again")
        crc = zlib.crc32(block.tobytes(), crc)
    return crc


def _times(shape: tuple[int, ...]) -> str:
    return "×".join(map(str, shape))
