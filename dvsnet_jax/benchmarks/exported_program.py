"""One clip through an exported program on a device that is here, held against the frame step itself on the CPU."""

from __future__ import annotations

import statistics
import time
from collections.abc import Mapping
from contextlib import closing, suppress
from dataclasses import dataclass
from itertools import islice
from typing import Any

import jax
import jax.export
import jax.numpy as jnp
import numpy as np
from jaxtyping import UInt8

from dvsnet_jax import networks
from dvsnet_jax.config import DVSNetConfig
from dvsnet_jax.datasets.street.scene import StreetScene
from dvsnet_jax.errors import InputError
from dvsnet_jax.frame_result import FrameResult
from dvsnet_jax.media.images import resize_image
from dvsnet_jax.media.sources import open_source
from dvsnet_jax.video import init_state, segment_frame


@dataclass(frozen=True)
class Run:
    """What a clip gave on one platform, held against float32 on a CPU."""

    device: str
    milliseconds: float
    """Median of the frames after each stream's first."""
    segmented: float
    """Share of their regions, 0..1."""
    labels: float
    """Share of all pixels with the same label, 0..1."""
    scores: float
    """Largest difference of expected confidence scores, percent."""
    routes: float
    """Share of all regions that went the same way, 0..1."""


def read_clip(
    source: str | None, size: tuple[int, int], *, frames: int, streams: int = 1
) -> UInt8[np.ndarray, "time streams height width 3"]:
    """The first frames of a video, folder or list, resized to `size`; of a drawn street if `source` is None. Each
    stream is one frame ahead of the one before it. Raises InputError for what cannot be read, or is too short."""
    count = frames + streams - 1
    images = []
    if source is None:
        scene = StreetScene(5, *size, frames=count)
        images = [scene.draw(frame)[0] for frame in range(count)]
    else:
        with closing(open_source(source).frames()) as taken:  # type: ignore[type-var]
            for frame in islice(taken, count):
                if frame.image is None:
                    raise InputError(f"{frame.error}; choose another input") from frame.error
                images.append(resize_image(frame.image, size))
    if len(images) < count:
        raise InputError(f"{source}: has {len(images)} frames, and {frames} of {streams} streams need {count}")
    return np.stack([images[stream : stream + frames] for stream in range(streams)], axis=1)


def devices() -> dict[str, Any]:
    """The first device of every platform that is here, by `jax.export`'s names: a GPU is cuda or rocm."""
    found = [jax.devices()[0]]
    with suppress(RuntimeError):  # JAX_PLATFORMS leaves it out
        found.append(jax.devices("cpu")[0])
    return {
        device.platform if device.platform != "gpu" else jax.export.default_export_platform(): device
        for device in found
    }


def run_directly(
    params: networks.Params, config: DVSNetConfig, clip: UInt8[np.ndarray, "time streams height width 3"], *, cpu: Any
) -> FrameResult:
    """The frame step itself on the CPU, or on another device in its place, float32; results stacked over time."""
    with jax.default_device(cpu):
        params = jax.device_put(networks.prepare(params, config), cpu)
        config = config.replace(chunk=config.chunk or 1)  # the CPU's own choice, whatever the default backend is
        state, results = init_state(params, clip[0], config=config), []
        for frames in clip:
            state, result = segment_frame(params, state, jax.device_put(frames, cpu), config=config)
            results.append(jax.tree.map(np.asarray, result))
    return _over_time(results)


def run_program(
    program: bytes,
    weights: Mapping[str, Any],
    state: Mapping[str, jax.ShapeDtypeStruct],
    clip: UInt8[np.ndarray, "time streams height width 3"],
    expected: FrameResult,
    *,
    device: Any,
) -> tuple[dict[str, int] | None, Run]:
    """XLA's own analysis of its memory, bytes (None from a backend without), and what the clip gave. `program` is
    serialized, `state` the shapes that it carries from frame to frame."""
    exported = jax.export.deserialize(bytearray(program))
    weights = jax.device_put(weights, device)
    carried = {name: jax.device_put(jnp.zeros(said.shape, said.dtype), device) for name, said in state.items()}
    restart = jax.device_put(np.zeros(clip.shape[1], bool), device)
    frames = jax.device_put(clip[0], device)
    step = jax.jit(exported.call, donate_argnums=1).lower(weights, carried, frames, restart).compile()
    results, seconds = [], []
    for images in clip:
        frames = jax.block_until_ready(jax.device_put(images, device))
        started = time.perf_counter()
        carried, result = jax.block_until_ready(step(weights, carried, frames, restart))
        seconds.append(time.perf_counter() - started)
        results.append(jax.tree.map(np.asarray, FrameResult(**result)))
    got = _over_time(results)
    difference = np.abs(got.scores - expected.scores)[1:]
    run = Run(
        device=device.device_kind,
        milliseconds=1e3 * statistics.median(seconds[1:]),
        segmented=float(got.segmented[1:].mean()),
        labels=float((got.labels == expected.labels).mean()),
        scores=float(difference.max()),
        routes=float((got.segmented == expected.segmented).mean()),
    )
    return _memory(step), run


def _over_time(results: list[FrameResult]) -> FrameResult:
    fields: Any = [np.stack(values) for values in zip(*results, strict=True)]
    return FrameResult(*fields)


def _memory(step: Any) -> dict[str, int] | None:
    analysis = step.memory_analysis()
    if analysis is None:  # not every backend has one
        return None
    return {
        "arguments": analysis.argument_size_in_bytes,
        "outputs": analysis.output_size_in_bytes,
        "aliased": analysis.alias_size_in_bytes,
        "temporary": analysis.temp_size_in_bytes,
        "code": analysis.generated_code_size_in_bytes,
    }
