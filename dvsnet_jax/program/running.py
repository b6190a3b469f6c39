"""Running an exported program: the frame step as a file, without the networks that it was made from.

program = load_program("street.dvsnet")
state = program.init_state(streams=1)
state, result = program.step(state, frames)  # uint8 RGB [streams, height, width, 3]; a FrameResult
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import jax
import jax.export
import jax.numpy as jnp
import numpy as np
from jax.experimental.layout import Format, Layout
from jaxtyping import Array, Bool, UInt8

from dvsnet_jax.errors import InputError, in_brief
from dvsnet_jax.frame_motion import FrameMotion
from dvsnet_jax.frame_result import FrameResult
from dvsnet_jax.media.motion.field import for_step
from dvsnet_jax.program.container import PROGRAM, read_container

State = dict[str, Any]
"""Arrays by name, as the manifest lists them; `key_images`, `key_scores`, `started`, … and the policy's own."""


class Program:
    """An exported frame step with its weights on the default device; `load_program` makes it."""

    def __init__(self, manifest: Mapping[str, Any], exported: jax.export.Exported, weights: Mapping[str, Any]) -> None:
        self.manifest = manifest
        """What the file says of itself: platforms, frame_size, inputs, outputs, classes, policy, versions, …"""
        self.params = dict(weights)
        self.frame_size: tuple[int, int] = tuple(manifest["frame_size"])
        """Height and width of the frames it takes."""
        self.streams: int | None = manifest["streams"]
        """How many videos step together; None where any number may."""
        self.regions: tuple[int, int] = tuple(manifest["regions"])
        """Rows and columns."""
        self.overlap: int | None = manifest.get("overlap")
        """Pixels that a region reaches over its border; None where the program was exported before that was said."""
        self.num_classes = len(manifest["classes"])
        self.class_names = tuple(entry["name"] for entry in manifest["classes"])
        self.takes_motion = "motion" in manifest["inputs"]
        """Whether the step wants the motion from each frame to the one before it."""
        self.finds_motion: str | None = None if self.takes_motion else manifest.get("motion")
        """`network` or `paper`, what finds it inside the step; None where it is given, and where the program was
        exported before that was said."""
        self.frame_rate = None
        """A policy that must be steered from outside is never exported."""
        # `exported.call` traces to one call of the stored program; nothing of the networks is traced again.
        self._step = jax.jit(exported.call, donate_argnums=1)
        self._compiled: Any = None

    @property
    def settled(self) -> dict[str, Any]:
        """What tells it from another program of the same weights, as JSON values: policy, regions and precision to be
        read, and the sum of the program itself."""
        said = {name: self.manifest.get(name) for name in ("policy", "regions", "region_size", "precision", "classes")}
        return {**said, "frame_size": list(self.frame_size), "sha256": self.manifest["parts"][PROGRAM]["sha256"]}

    @property
    def palette(self) -> UInt8[np.ndarray, "256 3"]:
        """The colour of every label; of no class (255 is void): black."""
        palette = np.zeros((256, 3), np.uint8)
        palette[: self.num_classes] = [entry["color"] for entry in self.manifest["classes"]]
        return palette

    def init_state(self, streams: int = 1) -> State:
        """The state before the first frame of every stream: zeros, and no stream started.

        Raises ValueError for a number of streams that the program is not for.
        """
        if streams < 1 or self.streams not in (None, streams):
            held = "any number from 1 on" if self.streams is None else self.streams
            raise ValueError(f"{streams} streams, but the program is for {held}; export it with --streams {streams}")
        return {name: jnp.zeros(_shape(said, streams), said["dtype"]) for name, said in self._inputs("state").items()}

    def step(
        self,
        state: State,
        frames: UInt8[Array, "streams height width 3"],
        restart: Bool[Array, "streams"] | None = None,
        motion: FrameMotion | None = None,
    ) -> tuple[State, FrameResult]:
        """One frame of every stream, RGB 0..255. `state` is donated. Compiled once for each number of streams.

        `restart` names the streams where another video begins with this frame; `motion` is that from each frame to the
        one before it, where the program takes it. Raises ValueError where `frames` are not of the program's size or do
        not fit `state`, and for motion that is wanted and does not come, or the reverse.
        """
        if tuple(frames.shape[1:]) != (*self.frame_size, 3) or frames.dtype != np.uint8:
            raise ValueError(f"frames are {frames.dtype}{list(frames.shape)}; {self._takes()}")
        streams = len(state["started"])
        if len(frames) != streams:
            raise ValueError(f"the state is for {streams} streams, but there are {len(frames)} frames")
        if (motion is not None) != self.takes_motion:
            raise ValueError(
                "motion came, but the program finds its own; leave it out"
                if motion is not None
                else "the program carries motion, but none came; pass motion=FrameMotion(flow, trust), NaN where it is "
                "not known (dvsnet_jax.media.motion finds it)"
            )
        restart = jnp.zeros(streams, bool) if restart is None else restart
        given = () if motion is None else (motion._asdict(),)
        state, result = self._step(self.params, state, frames, restart, *given)
        return state, FrameResult(**result)

    def start(self, height: int, width: int) -> tuple[State, Callable[..., tuple[State, FrameResult]]]:
        """State and step of one stream, for `segment_source`. Raises ValueError for frames of another size."""
        if (height, width) != self.frame_size:
            raise ValueError(f"is {height}×{width}; {self._takes()}")
        state = self.init_state()
        if self._compiled is None:
            frames = jax.ShapeDtypeStruct((1, height, width, 3), np.uint8)
            restart = jax.ShapeDtypeStruct((1,), bool)
            motion = (for_step(None, height, width)._asdict(),) if self.takes_motion else ()
            self._compiled = self._step.lower(self.params, state, frames, restart, *motion).compile()
        return state, partial(self._pipeline_step, jnp.zeros(1, bool))

    def _pipeline_step(
        self, restart: Array, params: Any, state: State, frames: Any, *motion: FrameMotion
    ) -> tuple[State, FrameResult]:
        state, result = self._compiled(params, state, frames, restart, *(given._asdict() for given in motion))
        return state, FrameResult(**result)

    def _inputs(self, name: str) -> Mapping[str, Any]:
        return self.manifest["inputs"][name]

    def _takes(self) -> str:
        height, width = self.frame_size
        return (
            f"the program takes uint8[streams, {height}, {width}, 3] (frames of {height}×{width}, RGB); "
            "resize them, or export one for their size with `dvsnet export --size`"
        )


def load_program(path: str | Path) -> Program:
    """The program in a file that `dvsnet export` wrote, its weights on the default device. Runs nothing yet.

    Raises `InputError` for a file that is missing, truncated or changed since it was written; for one whose calling
    convention, or whose platforms, this process' jax does not have.
    """
    manifest, parts, arrays = read_container(path)
    try:
        _check_convention(manifest, str(path))
        _check_platform(manifest, str(path))
        exported = _deserialize(parts[PROGRAM], manifest, str(path))
        return Program(manifest, exported, place_weights(arrays, manifest, jax.default_backend()))
    except (KeyError, TypeError, AttributeError) as error:
        raise InputError(f"{path}: its manifest lacks something ({in_brief(error)}); export it again") from error


def place_weights(arrays: Mapping[str, np.ndarray], manifest: Mapping[str, Any], backend: str) -> dict[str, Any]:
    """The weights on the default device; on a GPU in the order in which the program reads them there, as else each step
    would begin by turning them round. A program written before the manifest said so has them in the usual order.

    Raises InputError for an order that is none of the weight's axes.
    """
    placed = dict(jax.device_put(dict(arrays)))
    if backend != "gpu":
        return placed
    for name, said in manifest["inputs"]["weights"].items():
        order = said.get("gpu_order")
        if order is None:
            continue
        if sorted(order) != list(range(placed[name].ndim)):
            raise InputError(
                f"weight {name} has the shape {said['shape']}, and the order of its axes is {order}; export it again"
            )
        placed[name] = jax.device_put(placed[name], Format(Layout(tuple(order)), placed[name].sharding))
    return placed


def _check_convention(manifest: Mapping[str, Any], path: str) -> None:
    version = manifest["calling_convention_version"]
    least = jax.export.minimum_supported_calling_convention_version
    most = jax.export.maximum_supported_calling_convention_version
    if least <= version <= most:
        return
    advice = "upgrade jax" if version > most else "export it again with this jax, or install the older one"
    raise InputError(
        f"{path}: was exported by jax {manifest['versions']['jax']} with calling convention {version}, and this jax "
        f"{jax.__version__} runs {least} to {most}; {advice}"
    )


def _check_platform(manifest: Mapping[str, Any], path: str) -> None:
    platforms, here = manifest["platforms"], jax.export.default_export_platform()
    if here not in platforms:
        raise InputError(
            f"{path}: is a program for {', '.join(platforms)}, but jax runs on {here} here; export it with --platforms "
            f"{','.join([*platforms, here])}, or set JAX_PLATFORMS to one of its own"
        )


def _deserialize(content: bytes, manifest: Mapping[str, Any], path: str) -> jax.export.Exported:
    try:
        exported = jax.export.deserialize(bytearray(content))
        exported.mlir_module()  # which reads the operations themselves
    except Exception as error:  # whatever flatbuffers and StableHLO make of what they do not know
        reason = (str(error).splitlines() or [repr(error)])[0]
        raise InputError(
            f"{path}: was exported by jax {manifest['versions']['jax']}, and this jax {jax.__version__} cannot read it "
            f"({reason[:200]}); upgrade jax, or export it again with this one"
        ) from error
    said = (manifest["calling_convention_version"], tuple(manifest["platforms"]))
    found = (exported.calling_convention_version, tuple(exported.platforms))
    if said != found:
        raise InputError(f"{path}: its manifest says {said}, but its program is {found}; export it again")
    return exported


def _shape(said: Mapping[str, Any], streams: int) -> tuple[int, ...]:
    """A shape of the manifest: whole numbers, and `streams` or `4*streams` where the number of streams is open."""
    return tuple(size if isinstance(size, int) else streams * _factor(size) for size in said["shape"])


def _factor(size: str) -> int:
    match = re.fullmatch(r"(?:(\d+)\*)?streams", size)
    if match is None:
        raise InputError(f"the manifest has a size {size!r}, expected a number, streams or 4*streams; export it again")
    return int(match[1] or 1)
