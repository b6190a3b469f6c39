"""A small valid file of every kind that the package reads, made here."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from campaign.kinds import FLOWS, FRAMES, IMAGES, VIDEOS
from campaign.small_network import CONFIG, SIZE, clip, parameters
from PIL import Image


def make(kind: str, place: Path) -> Path:
    """A valid file or folder of a kind, in the folder `place`; what is to be damaged."""
    place.mkdir(parents=True, exist_ok=True)
    if kind in VIDEOS:
        return _video(place / f"drive.{kind}", *VIDEOS[kind])
    if kind in IMAGES:
        return _images(place, kind)
    if kind in FLOWS:
        return _flow(place, kind)
    return _MAKERS[kind](place)


def _video(path: Path, codec: str, pix_fmt: str, options: dict[str, str]) -> Path:
    options = {"preset": "ultrafast", **options} if codec in ("libx264", "libx265") else options
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream(codec, rate=Fraction(20), options=options)
        stream.height, stream.width, stream.pix_fmt = *SIZE, pix_fmt
        for index, image in enumerate(clip(FRAMES)):
            frame = av.VideoFrame.from_ndarray(image, format="rgb24").reformat(format=pix_fmt)
            frame.pts, frame.time_base = index, Fraction(1, 20)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def _images(place: Path, kind: str) -> Path:
    """Three in a folder; the one in the middle is to be damaged."""
    suffix, pictures = kind.rpartition(".")[2].removesuffix("16"), [Image.fromarray(image) for image in clip(3)]
    for index, picture in enumerate(pictures):
        path = place / f"drive_{index}.{suffix}"
        if kind == "png16":
            grey = np.asarray(picture.convert("L")).astype(np.uint16) * 257
            Image.fromarray(grey).save(path)
        elif kind == "palette.png":
            picture.quantize(16).save(path)
        elif kind == "packed.tif":
            picture.save(path, compression="tiff_lzw")
        else:
            (picture.convert("L") if kind == "pgm" else picture).save(path)
    return place / f"drive_1.{suffix}"


def _flow(place: Path, kind: str) -> Path:
    from dvsnet_jax.media.flow_files import write_flow

    flow = np.random.default_rng(2).normal(0, 3, (12, 16, 2)).astype(np.float32)
    path = place / f"flow.{kind.rpartition('.')[2]}"
    if kind in ("flo", "kitti.png"):
        write_flow(path, flow)
    elif kind == "pfm":
        body = np.concatenate([flow[::-1], np.zeros((12, 16, 1), np.float32)], -1)
        path.write_bytes(b"PF\n16 12\n-1.0\n" + body.astype("<f4").tobytes())
    elif kind == "npz":
        np.savez_compressed(path, u=flow[..., 0], v=flow[..., 1])
    elif kind == "npy":
        np.save(path, flow)
    else:
        import h5py

        with h5py.File(path, "w") as file:
            file.create_dataset("flow", data=flow, compression="gzip")
    return path


def _checkpoint(place: Path) -> Path:
    from dvsnet_jax import checkpoints

    checkpoints.save(place / "weights", parameters(), CONFIG)
    return place / "weights"


def _bundle(place: Path) -> Path:
    from dvsnet_jax.checkpoints import write_bundle

    write_bundle(place / "weights.npz", parameters(), CONFIG)
    return place / "weights.npz"


def _program(place: Path) -> Path:
    from dvsnet_jax.export import export_program

    export_program(
        place / "step.dvsnet", parameters(), CONFIG, height=64, width=96, platforms=["cpu"], streams=1,
        classes=[f"class {index}" for index in range(5)],
    )  # fmt: skip
    return place / "step.dvsnet"


def _safetensors(place: Path) -> Path:
    from dvsnet_jax.checkpoints import save_safetensors

    save_safetensors(place / "weights.safetensors", parameters(), CONFIG)
    return place / "weights.safetensors"


def _torch(place: Path, *, old: bool = False) -> Path:
    import torch

    tensors = {f"conv{index}.weight": torch.randn(4, 3, 3, 3) for index in range(3)}
    content = {"arch": "FlowNet2S", "epoch": 3, "state_dict": tensors, "best_EPE": np.float64(1.5)}
    torch.save(content, place / "weights.pth", _use_new_zipfile_serialization=not old)
    return place / "weights.pth"


def _tensorflow(place: Path) -> Path:
    from dvsnet_jax.checkpoints.foreign.tensorflow_files import _import_tensorflow

    tensorflow = _import_tensorflow(place)
    (place / "trained").mkdir()
    tensors = [tensorflow.constant(np.full((3, 3, 4, 4), index, np.float32)) for index in range(3)]
    tensorflow.raw_ops.SaveV2(
        prefix=str(place / "trained" / "model.ckpt-7"), tensor_names=[f"conv{index}/weights" for index in range(3)],
        shape_and_slices=[""] * 3, tensors=tensors,
    )  # fmt: skip
    (place / "trained" / "checkpoint").write_text('model_checkpoint_path: "model.ckpt-7"\n')
    return place / "trained"


TREE = {"params": {"w": np.arange(12, dtype=np.float32), "b": np.zeros(3, np.float32)}, "step": np.int32(7)}


def _state(place: Path) -> Path:
    from dvsnet_jax.checkpoints.training_state import save_state

    save_state(place / "latest", TREE, {"steps": 7, "best": None, "lines": [{"step": 7, "loss": 0.5}]})
    return place / "latest"


def _decision_set(place: Path) -> Path:
    draw = np.random.default_rng(3)
    (place / "set").mkdir()
    np.save(place / "set" / "X.npy", draw.normal(size=(6, 4, 4, 3)).astype(np.float32))
    np.save(place / "set" / "Y.npy", draw.uniform(50, 100, 6).astype(np.float32))
    np.save(place / "set" / "flow_magnitude.npy", draw.uniform(0, 9, 6).astype(np.float32))
    return place / "set"


def _labels(place: Path) -> Path:
    from dvsnet_jax.media.images import write_png

    write_png(place / "labels.png", (clip(1)[0, ..., 0] // 52), np.arange(768, dtype=np.uint8).reshape(256, 3))
    return place / "labels.png"


def _list(place: Path) -> Path:
    _images(place, "png")
    (place / "val.txt").write_text("".join(f"drive_{index}.png\n" for index in (0, 1, 2)))
    return place / "val.txt"


def _pairs(place: Path) -> Path:
    (place / "pairs.txt").write_text("".join(f"a/{index}.png b/{index}.png c/{index}.png\n" for index in range(6)))
    return place / "pairs.txt"


def _json(name: str, value: Any) -> Callable[[Path], Path]:
    def make_json(place: Path) -> Path:
        (place / name).write_text(json.dumps(value, indent=1))
        return place / name

    return make_json


def _csv(place: Path) -> Path:
    (place / "classes.csv").write_text("own,becomes\n0,road\n1,sky\n2,person\n3,\n4,void\n")
    return place / "classes.csv"


def _keep(place: Path) -> Path:
    row = {"limit": 1.0, "kept": 0.98, "at_least": 0.97, "share": 0.2}
    said = {"rows": [row, row], "frames": 40, "blocks": 4, "confidence": 0.9, "light": 5, "heavy": 9}
    (place / "weights").mkdir()
    (place / "weights" / "keep.json").write_text(json.dumps(said))
    return place / "weights" / "keep.json"


SETTINGS = {"kind": "segmentation", "training": {"seed": 3, "rate": 0.1}, "data": ["a", "b"]}


def _run_settings(place: Path) -> Path:
    (place / "run").mkdir()
    (place / "run" / "settings.json").write_text(json.dumps(SETTINGS))
    return place / "run" / "settings.json"


def _record(place: Path) -> Path:
    from dvsnet_jax.media.written_files import WrittenFiles

    written = WrittenFiles(place / "out", writer="dvsnet segment", resume=True)
    written.settle(SETTINGS)
    for name in ("a", "b"):
        (place / "out" / name).mkdir()
        written.add(place / "out" / name / "0.png", place=place / "out" / name)
        (place / "out" / name / "0.png").write_bytes(struct.pack("<I", 7))
        written.finish(place / "out" / name, {"first": name, "files": 1})
    written.close()
    return place / "out" / "dvsnet-files.jsonl"


def _clip_log(place: Path) -> Path:
    from dvsnet_jax.datasets.samples import LabelledImage
    from dvsnet_jax.evaluation.clips.log import ClipLog
    from dvsnet_jax.evaluation.clips.scores import ClipScores
    from dvsnet_jax.inference.streaming.streams import SegmentedFrame

    (place / "evaluated").mkdir()
    log = ClipLog(place / "evaluated")
    for name in ("a", "b"):
        scores, image = ClipScores(name, CONFIG), clip(1)[0]
        labels, regions = image[..., 0] // 52, np.zeros(2, np.float32)
        sample = LabelledImage(image, labels)
        scores.add(SegmentedFrame(0, 0, sample, True, labels, regions, regions, regions == 0, regions > 0, None, 0.1))
        log.append(scores.record(frames=1))
    return place / "evaluated" / "clips.jsonl"


_MAKERS: dict[str, Callable[[Path], Path]] = {
    "labels": _labels, "checkpoint": _checkpoint, "checkpoint, sealed again": _checkpoint, "bundle": _bundle,
    "program": _program, "program, sealed again": _program, "safetensors": _safetensors, "pth": _torch,
    "old.pth": lambda place: _torch(place, old=True), "tensorflow": _tensorflow, "training state": _state,
    "decision set": _decision_set, "list": _list, "pairs": _pairs,
    "classes.json": _json("classes.json", {"0": "road", "1": "sky", "2": "person", "3": None, "4": "void"}),
    "classes.csv": _csv, "keep.json": _keep, "settings.json": _run_settings, "record": _record,
    "clips.jsonl": _clip_log,
}  # fmt: skip
