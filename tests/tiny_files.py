"""Small images, videos and weights on disk, and what must hold of an output folder whatever happened."""

from __future__ import annotations

import json
from pathlib import Path

import av
import jax
import numpy as np
import pytest
from tiny import TINY, tiny_params, video

from dvsnet_jax import checkpoints
from dvsnet_jax.inference.segment_source import Segmenter
from dvsnet_jax.media.images import read_image, read_labels, write_png
from dvsnet_jax.media.video_reader import decode_video

_COMPILED: dict = {}


@pytest.fixture
def compile_once(monkeypatch):
    """Compiled steps outlive their Segmenter, so that every test does not compile the same again."""
    start = Segmenter.start

    def shared(self, height, width):
        precisions = tuple(leaf.dtype for leaf in jax.tree.leaves(self.params))
        self._compiled = _COMPILED.setdefault((self.config, self.audit, self.every_score, precisions), {})
        return start(self, height, width)

    monkeypatch.setattr(Segmenter, "start", shared)


@pytest.fixture(scope="session")
def weights(tmp_path_factory) -> str:
    """A checkpoint of the tiny network."""
    folder = tmp_path_factory.mktemp("weights") / "tiny"
    checkpoints.save(folder, tiny_params(), TINY)
    return str(folder)


def clip(frames: int, height: int = 64, width: int = 96) -> np.ndarray:
    """uint8 [frames, height, width, 3]"""
    return video(frames, height=height, width=width)[:, 0]


def write_images(folder: Path, frames: np.ndarray) -> list[Path]:
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"street_{index:03d}.png" for index in range(len(frames))]
    for path, frame in zip(paths, frames, strict=True):
        write_png(path, frame)
    return paths


def write_labelled(root: Path, frames: np.ndarray, labels: np.ndarray, first: int = 0) -> str:
    """A clip with a label for every frame; returns how `--data` names it."""
    for folder, pictures in (("frames", frames), ("labels", labels)):
        (root / folder).mkdir(parents=True, exist_ok=True)
        for index, picture in enumerate(pictures):
            write_png(root / folder / f"drive_{first + index:04d}.png", picture)
    return f"folder:{root / 'frames'}:{root / 'labels'}"


def write_video(path: Path, frames: np.ndarray, *, format: str | None = None, options: dict | None = None) -> Path:
    """H.264 at 20 frames a second, one key frame in ten."""
    with av.open(str(path), "w", format=format, options=options or {}) as container:
        stream = container.add_stream("libx264", rate=20, options={"g": "10", "crf": "10"})
        stream.height, stream.width = frames.shape[1:3]
        stream.pix_fmt = "yuv420p"
        for frame in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(stream.encode())
    return path


def cut(path: Path, share: float) -> Path:
    """Leaves the first `share` of a file."""
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    return path


def check_whole(out: Path, *, overlay: bool = True) -> list[str]:
    """Every file in `out` is whole and they tell of the same frames; returns their names."""
    assert not [path for path in out.rglob("*") if "partial" in path.name], "temporary files are left"
    routes = out / "routes.jsonl"
    if not routes.exists():
        assert not list(out.rglob("*.png")) and not (out / "overlay.mp4").exists()
        return []
    text = routes.read_text()
    assert text.endswith("\n")
    names = [json.loads(line)["name"] for line in text.splitlines()]
    for kind, read in (("labels", read_labels), ("color", read_image)):
        assert sorted(path.stem for path in (out / kind).iterdir()) == sorted(names)
        for name in names:
            read(out / kind / f"{name}.png")
    if overlay:
        frames = list(decode_video(str(out / "overlay.mp4")))
        assert all(isinstance(frame, np.ndarray) for frame in frames) and len(frames) == len(names)
    return names
