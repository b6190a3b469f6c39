"""The training set of the decision network as files: the original's `gentestcase.py`, resumable.

    SAVE_DIR/X.npy               float32 [n, gh, gw, c]: features, on the decision grid
    SAVE_DIR/Y.npy               float64 [n]: agreement, percent
    SAVE_DIR/flow_magnitude.npy  float64 [n]: mean length of the flow, pixels of the frame
    SAVE_DIR/samples.jsonl       for each sample its frames and its region
    SAVE_DIR/settings.json       what it was made with
    SAVE_DIR/parts/part-….npz    while it is being made: samples of 16 pairs each, whole files only

`X.npy` and `Y.npy` are the original's names, and `np.load` reads either's. They appear at the end; X.npy last.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import jax
import numpy as np

from dvsnet_jax import networks
from dvsnet_jax.config import DVSNetConfig
from dvsnet_jax.config_json import to_json
from dvsnet_jax.datasets.pair_lists import FramePair
from dvsnet_jax.errors import InputError
from dvsnet_jax.media.atomic import atomic_path
from dvsnet_jax.media.prefetch import map_ahead
from dvsnet_jax.own_segmentation import wanted_images
from dvsnet_jax.training.decision.clip_pairs import PairFrames, Read, read_files
from dvsnet_jax.training.decision.examples import carried_along, pair_samples
from dvsnet_jax.training.run_folder import SETTINGS, claim_alone, fingerprint, fingerprint_lines, write_lines

PAIRS_PER_PART = 16
_FIELDS = ("X", "Y", "flow_magnitude", "pair", "region")


@dataclass(frozen=True)
class MadeSet:
    """What was made."""

    pairs: int
    samples: int
    """Samples kept; the others were not above the clip."""
    mean: float
    """Mean agreement of the samples kept, percent."""


def make_set(
    params: networks.Params,
    pairs: Sequence[FramePair],
    save_dir: str | Path,
    *,
    config: DVSNetConfig,
    clip: float = 0.0,
    read: Read = read_files,
    motion: str | None = None,
    described: Mapping[str, Any] | None = None,
    on_progress: Callable[[int], None] = lambda done: None,
) -> MadeSet:
    """Computes the samples of all pairs and writes them to `save_dir`; started again, it goes on where it stopped.

    Args:
      clip: in percent, as the original compares it: samples with an agreement of this or less are dropped. At 0, the
        default, those are the regions where nothing agrees; earlier versions of the original had 80.
      read: key and current frame of a pair, RGB, with the motion between them where `config.flow` is
        `CarriedMotionConfig`; by default its files, which tell of no motion.
      motion: what finds the motion, for the settings.
      described: what the frames are, for the settings too, where a pair's paths do not say it: JSON values.
      on_progress: is told the number of pairs done.

    A region whose motion is not known somewhere between key and current frame, as at a cut, makes no sample: the frame
    step segments it unasked. Raises InputError for a frame that cannot be read or does not fit its key frame, motion
    that is wanted and does not come, a folder made with other settings, weights whose output is not finite, no sample
    above the clip, and a disk that is full.
    """
    folder = Path(save_dir)
    if (folder / "X.npy").exists() and not (folder / SETTINGS).exists():
        raise InputError(f"{folder}: has an X.npy that was not made here (no {SETTINGS}); choose another save folder")
    claim_alone(folder, {**(described or {}), **_settings(params, pairs, config, clip, motion)})
    parts = [folder / "parts" / f"part-{index:06d}.npz" for index in range(-(-len(pairs) // PAIRS_PER_PART))]
    if not (folder / "X.npy").exists():
        (folder / "parts").mkdir(exist_ok=True)
        for index, part in enumerate(parts):
            if not part.exists():
                _make_rest(params, pairs, parts, index, config, clip, read, on_progress)
                break
        _merge(folder, parts, pairs)
    shutil.rmtree(folder / "parts", ignore_errors=True)  # after X.npy, the last of the files, all of them stand
    confidence = np.load(folder / "Y.npy", allow_pickle=False)
    return MadeSet(len(pairs), len(confidence), float(confidence.mean()))


def _settings(
    params: networks.Params, pairs: Sequence[FramePair], config: DVSNetConfig, clip: float, motion: str | None
) -> dict[str, Any]:
    try:
        described = to_json(config.replace(policy=DVSNetConfig().policy, routing="compact", chunk=None))
    except InputError:  # a network of the user's own, which JSON cannot hold: its weights tell it apart
        described = {"regions": config.regions, "input_size": config.input_size, "decision": repr(config.decision)}
        if (merged := networks.merged_classes(config.segmentation)) is not None:  # which its weights do not tell
            described["classes became"] = merged
        if (wants := wanted_images(config.segmentation)) is not None:  # nor this
            described["images"] = asdict(wants)
    described.pop("overlap", None)  # apart, because it is a flag
    return {
        "kind": "training set of the decision network",
        "overlap": config.overlap,
        "clip": clip,
        "number of pairs": len(pairs),
        "pairs (CRC-32)": fingerprint_lines([f"{pair.key} {pair.current}" for pair in pairs]),
        "weights (CRC-32)": fingerprint([params[name] for name in ("segmentation", "flow") if name in params]),
        "configuration": described,
        **({"motion": motion} if motion else {}),
    }


def _make_rest(
    params: networks.Params,
    pairs: Sequence[FramePair],
    parts: Sequence[Path],
    first: int,
    config: DVSNetConfig,
    clip: float,
    read: Read,
    on_progress: Callable[[int], None],
) -> None:
    """Computes and writes the parts from the `first` on."""
    start = first * PAIRS_PER_PART
    on_progress(start)
    rows: list[dict[str, np.ndarray]] = []
    with closing(map_ahead(read, pairs[start:], workers=2, window=4)) as frames:
        for index, pair in enumerate(frames, start):
            rows.append(_samples(params, pairs[index], pair, index, config, clip))
            if (index + 1) % PAIRS_PER_PART == 0 or index + 1 == len(pairs):
                with atomic_path(parts[index // PAIRS_PER_PART]) as temporary, temporary.open("wb") as file:
                    np.savez(file, **{name: np.concatenate([row[name] for row in rows]) for name in _FIELDS})  # type: ignore[arg-type]
                rows = []
            on_progress(index + 1)


def _samples(
    params: networks.Params,
    pair: FramePair,
    frames: PairFrames,
    index: int,
    config: DVSNetConfig,
    clip: float,
) -> dict[str, np.ndarray]:
    """The samples of one pair that are above the clip."""
    key, current, motion = frames
    if key.shape != current.shape:
        raise InputError(
            f"{pair.current}: has {_size(current)} pixels, and its key frame {pair.key} has {_size(key)}; expected "
            "frames of one video, of one size"
        )
    carries = config.carries_motion
    if carries and motion is None:
        raise InputError(
            f"{pair.current}: these weights carry motion from frame to frame, and a pair of files has none; train on "
            "clips with 'dvsnet accelerate', or take weights with a flow network"
        )
    try:
        carried = carried_along(motion or (), current.shape[:2], config) if carries else None
        sample = pair_samples(params, key[None], current[None], carried, config=config)
    except ValueError as error:  # the frame cannot be cut into these regions
        raise InputError(f"{pair.current}: {error}") from error
    feature = np.asarray(sample.feature, np.float32)
    confidence, magnitude = (np.asarray(array, np.float64) for array in jax.device_get(sample[1:3]))
    confidence = np.minimum(confidence, 100.0)  # rounding in float32 makes 100.00001 of full agreement
    known = np.ones(len(confidence), bool) if carried is None else np.isfinite(carried.flow).all((1, 2, 3))
    if not all(np.isfinite(values[known]).all() for values in (feature, confidence, magnitude)):
        raise InputError(f"{pair.current}: the networks' output for it is not finite; check the weights")
    region = np.flatnonzero(known & (confidence > clip))
    return {
        "X": feature[region],
        "Y": confidence[region],
        "flow_magnitude": magnitude[region],
        "pair": np.full(len(region), index),
        "region": region,
    }


def _merge(folder: Path, parts: Sequence[Path], pairs: Sequence[FramePair]) -> None:
    loaded = {name: np.concatenate([_field(part, name) for part in parts]) for name in _FIELDS if name != "X"}
    count = len(loaded["Y"])
    if count == 0:
        raise InputError(f"{folder}: none of {len(pairs)} pairs has a region with an agreement above --clip; lower it")
    for name in ("Y", "flow_magnitude"):
        with atomic_path(folder / f"{name}.npy") as temporary:
            np.save(temporary, loaded[name])
    rows = zip(loaded["pair"].tolist(), loaded["region"].tolist(), loaded["Y"].tolist(), strict=True)
    write_lines(
        folder / "samples.jsonl",
        (
            {"key": str(pairs[pair].key), "current": str(pairs[pair].current), "region": region, "agreement": agreement}
            for pair, region, agreement in rows
        ),
    )
    # One part at a time, by plain writes: all features are gigabytes, and a full disk kills who writes to a map of it.
    with atomic_path(folder / "X.npy") as temporary, temporary.open("wb") as file:
        shape = (count, *_field(parts[0], "X").shape[1:])
        header = {"descr": np.lib.format.dtype_to_descr(np.dtype(np.float32)), "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(file, header)
        for part in parts:
            file.write(_field(part, "X").tobytes())


def _field(part: Path, name: str) -> np.ndarray:
    try:
        # Opened here: a file that np.load opens by itself stays open where it is no zip.
        with part.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            return arrays[name]
    except Exception as error:  # zip and npy fail in many ways
        raise InputError(f"{part}: cannot be read ({error}); delete it, and the same command makes it again") from error


def _size(image: np.ndarray) -> str:
    return f"{image.shape[0]}×{image.shape[1]}"
