"""How each kind of file is read, through the same doors as the commands', and what must hold of what comes out."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import numpy as np
from campaign.kinds import IMAGES, VIDEOS
from campaign.samples import SETTINGS, TREE
from campaign.small_network import Greys

from dvsnet_jax.errors import InputError

_PNG_END = b"IEND\xaeB`\x82"


def read(kind: str, place: Path, out: Path) -> tuple[str, list[str]]:
    """Reads what is at `place`; "whole" or "in part", and what does not hold of what came out. Raises what the command
    would tell. `out` is a folder for what is written."""
    if kind in VIDEOS:
        return segmented(place, out)
    if kind in IMAGES:
        others = {path.stem for path in place.parent.iterdir()} - {place.stem}
        return segmented(place.parent, out, surely=others)
    if kind == "list":
        return segmented(place, out)
    answer = _READERS[kind](place, out)
    return answer if isinstance(answer, tuple) else ("whole", [])


def segmented(location: Path, out: Path, surely: set[str] | None = None) -> tuple[str, list[str]]:
    """Through the whole of `segment_source`; frames named in `surely` are there whatever happened to others."""
    from dvsnet_jax.inference.segment_source import segment_source
    from dvsnet_jax.media.output_folder import OutputFolder
    from dvsnet_jax.media.sources import open_source

    source = open_source(location)
    output = OutputFolder(out, palette=np.zeros((256, 3), np.uint8), frame_rate=source.frame_rate or 25)
    summary, problems = None, []
    try:
        summary = segment_source(source, Greys(), output, skip_unreadable=True)
    finally:
        names, problems = kept(out)
        if summary is not None and summary.frames != len(names):
            problems.append(f"frames: {summary.frames} were said to be written, {len(names)} are there")
        if summary is not None and surely is not None and surely - set(names):
            problems.append(f"frames: {sorted(surely - set(names))} are lost")
        if problems and summary is None:
            raise AssertionError("; ".join(problems))
    return "in part" if summary.skipped else "whole", problems


def kept(out: Path, *, done: bool = True) -> tuple[list[str], list[str]]:
    """The frames that a folder's log has, and what is wrong there: files that are half, frames lost or twice. Of an
    input that is not `done` images may be there that the log does not have yet, and less of the video."""
    from dvsnet_jax.media.images import read_image, read_labels
    from dvsnet_jax.media.video_reader import decode_video

    problems: list[str] = []
    if done and (left := [path.name for path in out.rglob(".partial-*")]):
        problems.append(f"half-written: {left[0]} is left")
    log = out / "routes.jsonl"
    lines: list[dict[str, Any]] = []
    if log.exists():
        text = log.read_text()
        whole = text[: text.rfind("\n") + 1]
        if done and whole != text:
            problems.append("half-written: the last line of routes.jsonl")
        lines = [json.loads(line) for line in whole.splitlines()]
    names, numbers = [line["name"] for line in lines], [line["frame"] for line in lines]
    if len(set(names)) < len(names) or numbers != sorted(set(numbers)):
        problems.append("frames: twice or out of order in routes.jsonl")
    for product, look in (("labels", read_labels), ("color", read_image)):
        found = {path.stem: path for path in (out / product).glob("*.png") if not path.name.startswith(".")}
        if lost := set(names) - set(found):
            problems.append(f"frames: {sorted(lost)[0]} is in the log and not in {product}")
        if done and (more := set(found) - set(names)):
            problems.append(f"frames: {sorted(more)[0]} is in {product} and not in the log")
        for path in found.values():
            try:
                look(path)
                ends = path.read_bytes().endswith(_PNG_END)  # Pillow does without
            except InputError:
                ends = False
            if not ends:
                problems.append(f"half-written: {product}/{path.name}")
    overlay = out / "overlay.mp4"
    if overlay.exists() and (done or overlay.stat().st_size > 2048):
        try:
            shown = sum(isinstance(frame, np.ndarray) for frame in decode_video(str(overlay)))
        except InputError:
            shown = -1
        if shown < 0 or (done and shown != len(names)):
            problems.append(f"half-written: overlay.mp4 shows {shown} of {len(names)} frames")
    return names, problems


def _finite(params: Any) -> None:
    for leaf in jax.tree.leaves(params):
        np.asarray(leaf)


def _flow(place: Path, out: Path) -> tuple[str, list[str]]:
    from dvsnet_jax.media.flow_files import read_flow

    flow = read_flow(place)
    wrong = flow.ndim != 3 or flow.shape[2] != 2 or flow.dtype != np.float32 or np.isinf(flow).any()
    return "whole", [f"wrong: flow is {flow.dtype} {flow.shape}"] if wrong else []


def _labels(place: Path, out: Path) -> None:
    from dvsnet_jax.media.images import read_labels

    read_labels(place)


def _checkpoint(place: Path, out: Path) -> None:
    from dvsnet_jax import checkpoints

    _finite(checkpoints.load(place)[0])


def _sealed_checkpoint(place: Path, out: Path) -> None:
    """As one that somebody has made so: its sums fit."""
    from dvsnet_jax.checkpoints import checksums

    checksums.write_checksums(place)
    _checkpoint(place, out)


def _bundle(place: Path, out: Path) -> None:
    from dvsnet_jax.checkpoints.bundled import read_bundle

    read_bundle(place.read_bytes(), source=str(place))


def _program(place: Path, out: Path) -> None:
    from dvsnet_jax.program import load_program

    load_program(place)


def _tensorflow(place: Path, out: Path) -> None:
    from dvsnet_jax import checkpoints

    checkpoints.read_tensorflow(place)


def _torch(place: Path, out: Path) -> None:
    from dvsnet_jax.checkpoints.foreign.torch_files import as_arrays, read_torch

    content = read_torch(place)
    as_arrays(content.get("state_dict", content), source=str(place))


def _state(place: Path, out: Path) -> None:
    from dvsnet_jax.checkpoints.training_state import load_state

    load_state(place, TREE)


def _decision_set(place: Path, out: Path) -> None:
    from dvsnet_jax.training.decision.example_set import read_set

    read_set(place, (4, 4, 3))


def _pairs(place: Path, out: Path) -> None:
    from dvsnet_jax.datasets.pair_lists import read_pairs

    read_pairs(place)


def _classes(place: Path, out: Path) -> None:
    from dvsnet_jax.datasets.label_sets import read_map

    read_map(place, None, 5)


def _keep(place: Path, out: Path) -> None:
    from dvsnet_jax.evaluation.policies.promise import limit_for, read_table

    limit_for(read_table(place.parent), 0.9)


def _settings(place: Path, out: Path) -> None:
    from dvsnet_jax.training.run_folder import claim

    claim(place.parent, SETTINGS)


def _record(place: Path, out: Path) -> tuple[str, list[str]]:
    """Goes on in the folder, and begins anew in it: what others keep beside stays."""
    from dvsnet_jax.media.written_files import WrittenFiles

    others = place.parent.parent / "others"
    others.write_text("mine")
    for options in ({"resume": True}, {"overwrite": True}):
        written = WrittenFiles(place.parent, writer="dvsnet segment", **options)
        try:
            written.settle(SETTINGS)
            written.add(place.parent / "c" / "0.png", place=place.parent / "c")
        finally:
            written.close()
    return "whole", [] if others.exists() else ["lost: a file outside of the folder"]


def _clip_log(place: Path, out: Path) -> None:
    from dvsnet_jax.evaluation.clips.log import ClipLog

    ClipLog(place.parent)


def _safetensors(place: Path, out: Path) -> None:
    from dvsnet_jax import checkpoints

    checkpoints.load(place)


_READERS: dict[str, Callable[[Path, Path], tuple[str, list[str]] | None]] = {
    **dict.fromkeys(("flo", "kitti.png", "pfm", "npz", "npy", "flo5"), _flow),
    "labels": _labels, "checkpoint": _checkpoint, "checkpoint, sealed again": _sealed_checkpoint, "bundle": _bundle,
    "program": _program, "program, sealed again": _program, "safetensors": _safetensors, "pth": _torch,
    "old.pth": _torch, "tensorflow": _tensorflow, "training state": _state, "decision set": _decision_set,
    "pairs": _pairs, "classes.json": _classes, "classes.csv": _classes, "keep.json": _keep,
    "settings.json": _settings, "record": _record, "clips.jsonl": _clip_log,
}  # fmt: skip
