"""What segments the frames of one size after another, and our own such thing: the compiled frame step."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from copy import copy
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

import jax
import numpy as np

from dvsnet_jax.config import DVSNetConfig
from dvsnet_jax.datasets.cityscapes import CLASSES
from dvsnet_jax.errors import InputError
from dvsnet_jax.frame_motion import FrameMotion
from dvsnet_jax.frame_result import FrameResult
from dvsnet_jax.media.motion.field import for_step
from dvsnet_jax.policies import FrameRate, Policy, Shared

if TYPE_CHECKING:
    from jax.sharding import Mesh

    from dvsnet_jax.networks import Params, Precision
    from dvsnet_jax.video import VideoState


class FrameStep(Protocol):
    """What segments the frames of one size after another: a `Segmenter`, or an exported program."""

    @property
    def params(self) -> Any:
        """What the step is called with."""

    @property
    def regions(self) -> tuple[int, int]:
        """Rows and columns of regions."""

    @property
    def overlap(self) -> int | None:
        """As `DVSNetConfig` has it; None where that is not known."""

    @property
    def num_classes(self) -> int: ...

    @property
    def class_names(self) -> tuple[str, ...] | None:
        """What the classes are called, where that is known."""

    @property
    def takes_motion(self) -> bool:
        """Whether the step wants the motion from each frame to the one before it."""

    @property
    def frame_rate(self) -> FrameRate | None:
        """The policy, where it is one that must be steered by the time that frames take."""

    def start(self, height: int, width: int) -> tuple[Any, Callable[..., tuple[Any, FrameResult]]]:
        """The state before the first frame of one stream, and the step `(params, state, frames) → (state, result)`; or
        `(params, state, frames, motion)`, if it takes motion (`FrameMotion` of numpy arrays).

        Raises ValueError for a size that it cannot take.
        """


class Segmenter:
    """Parameters with their configuration, and the compiled frame step for every frame size met so far.

    `params` are as trained or loaded; they are prepared for inference here (`networks.prepare`, with `precision`), and
    `self.params` is what the step takes. `audit` and `every_score` are `segment_frame`'s, `recalibrate` `init_state`'s.
    Several `devices` have as many of a frame's regions each (`inference.devices`), and give no scores of every class;
    InputError where that cannot be.
    """

    def __init__(
        self,
        params: Params,
        config: DVSNetConfig,
        *,
        precision: Precision = "float32",
        audit: bool = False,
        recalibrate: bool = False,
        devices: Sequence[Any] | None = None,
        every_score: bool = False,
    ) -> None:
        from dvsnet_jax.networks import prepare  # here: an exported program runs without the networks

        self.params = prepare(params, config, precision=precision)
        self._mesh: Mesh | None = None
        if devices is not None and len(devices) > 1:
            from dvsnet_jax.inference.devices import placed_params, region_mesh

            if every_score:
                raise InputError("the scores of all classes are not given by several devices; leave one of the two out")
            self._mesh = region_mesh(devices, config)
            self.params = placed_params(self._mesh, self.params)
        self.config, self.audit, self.recalibrate, self.every_score = config, audit, recalibrate, every_score
        self._compiled: dict[tuple[int, int], Any] = {}
        self._compiling = threading.Lock()  # of several threads one does it
        self._dispatching = threading.Lock()  # devices that wait for each other take all steps in one order

    @property
    def regions(self) -> tuple[int, int]:
        return self.config.regions

    @property
    def overlap(self) -> int:
        return self.config.overlap

    @property
    def num_classes(self) -> int:
        return self.config.num_classes

    @property
    def class_names(self) -> tuple[str, ...] | None:
        return getattr(self.config.segmentation, "classes", None) or (CLASSES if self.num_classes == 19 else None)

    @property
    def takes_motion(self) -> bool:
        return self.config.takes_motion

    @property
    def several_devices(self) -> bool:
        """Whether one frame is worked on by more than one."""
        return self._mesh is not None

    @property
    def frame_rate(self) -> FrameRate | None:
        return self.config.policy if isinstance(self.config.policy, FrameRate) else None

    @property
    def shared(self) -> Shared | None:
        """The policy, where it holds for several streams together."""
        return self.config.policy if isinstance(self.config.policy, Shared) else None

    def with_policy(self, policy: Policy) -> Segmenter:
        """The same with another policy, which is compiled anew where it is of another kind."""
        other = copy(self)
        other.config, other._compiled, other._compiling = self.config.replace(policy=policy), {}, threading.Lock()
        return other

    def start(self, height: int, width: int) -> tuple[VideoState, Callable[..., tuple[VideoState, FrameResult]]]:
        """As `FrameStep.start`. Raises ValueError for an overlap or a size that the configuration cannot take."""
        from dvsnet_jax.video import init_state  # here for the same reason

        frames = jax.ShapeDtypeStruct((1, height, width, 3), np.uint8)
        state = init_state(self.params, frames, config=self.config, recalibrate=self.recalibrate)
        motion = for_step(None, height, width) if self.takes_motion else None
        if self._mesh is not None:
            from dvsnet_jax.inference.devices import placed_state

            state = placed_state(self._mesh, state)
        with self._compiling:
            if (height, width) not in self._compiled:
                self._compiled[height, width] = self._lowered(state, frames, motion).compile()
        return state, partial(self._step, self._compiled[height, width])

    def _lowered(self, state: Any, frames: Any, motion: FrameMotion | None) -> Any:
        if self._mesh is not None:
            from dvsnet_jax.inference.devices import step_over

            step = step_over(self._mesh, audit=self.audit)
            return step.lower(self.params, state, frames, None, motion, self.config)
        from dvsnet_jax.video import segment_frame

        return segment_frame.lower(
            self.params, state, frames, None, motion, config=self.config, audit=self.audit, every_score=self.every_score
        )

    def _step(self, compiled: Any, params: Any, state: Any, frames: Any, motion: FrameMotion | None = None) -> Any:
        if (motion is None) == self.takes_motion:
            raise ValueError(
                "these weights carry motion, so the step wants each frame's: step(params, state, frames, motion), as "
                "dvsnet_jax.media.motion.field.for_step gives it"
                if self.takes_motion
                else "motion came, but these weights find their own; leave it out"
            )
        if self._mesh is not None:
            with self._dispatching:
                return compiled(params, state, frames, None, motion, self.config)
        return compiled(params, state, frames, None, motion, config=self.config)
