"""Options of a run over many inputs: how many at once, and which of them are this process's."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal

from dvsnet_jax.cli.failures import UsageError
from dvsnet_jax.cli.option_types import Count, OptionalSteps, option
from dvsnet_jax.errors import InputError

if TYPE_CHECKING:
    from dvsnet_jax.inference.segmenter import FrameStep, Segmenter
    from dvsnet_jax.media.durable.records import Part
    from dvsnet_jax.media.sources import Source

_ON_A_CPU = 4  # two cores are kept busy by one with carried motion (eval/README.md); more want more
_ON_AN_ACCELERATOR = 8  # on each


@dataclass(frozen=True, kw_only=True)
class Many:
    """Of several inputs."""

    streams: Annotated[OptionalSteps, option("COUNT")] = None
    """Files and folders that are segmented at once, with the same results as one after the other; 4 on a CPU, 8 on each
    accelerator, 1 for --fps, --program and --devices, if not given. Cameras and streams always are, each by itself."""
    devices: Count = 1
    """Deal the regions of each frame out over so many devices: sooner for one video. Several videos are better at once
    (--streams)."""
    together: Literal["auto", "on", "off"] = "auto"
    """Whether --budget or --fps is one for all inputs that are segmented at once, the worst regions of all first: auto
    for cameras and streams, not for files, whose labels then depend on those beside them."""
    worker: Annotated[str | None, option("I/N")] = None
    """Take every N-th input, from the I-th on (counted from 0): for N processes that are started with the same inputs
    and one --out, on one machine or several."""
    distributed: bool = False
    """The same for processes started by SLURM, a TPU pod or GKE (jax.distributed.initialize)."""

    def part(self) -> Part:
        """Which of the processes that share the inputs this is. Joins the others where they are distributed, so it
        comes before anything else of JAX."""
        from dvsnet_jax.media.durable.records import Part

        if self.worker is None and not self.distributed:
            return Part()
        if self.worker is None:
            import jax

            from dvsnet_jax.inference.processes import join

            join()
            return Part(jax.process_index(), jax.process_count())
        if self.distributed:
            raise UsageError("--worker and --distributed both deal out the inputs; leave one out")
        match = re.fullmatch(r"(\d+)/(\d+)", self.worker)
        if match is None or not int(match[1]) < int(match[2]):
            raise UsageError(
                f"--worker is {self.worker!r}; expected a number from 0 on and how many there are, such as 0/4 and, "
                "for the last of them, 3/4"
            )
        return Part(int(match[1]), int(match[2]))

    def chosen_devices(self) -> list[Any] | None:
        """Those of this process that share each frame; None for one. Raises InputError where there are fewer."""
        if self.devices == 1:
            return None
        import jax

        local = jax.local_devices()
        if len(local) < self.devices:
            raise InputError(
                f"--devices is {self.devices}, but jax sees {len(local)} here ({local[0].device_kind}); give fewer"
            )
        return list(local[: self.devices])

    def at_once(self, segmenter: FrameStep, sources: Sequence[Source]) -> int:
        """How many of these files and folders to segment at once. Raises `UsageError` where it was asked for several
        and that cannot be."""
        from dvsnet_jax.inference.segmenter import Segmenter

        alone = (
            "--fps is kept for one input at a time (--together on: for all at once)"
            if segmenter.frame_rate is not None and self.together != "on"
            else "an exported program (--program) takes one input at a time"
            if not isinstance(segmenter, Segmenter)
            else "--devices works on one input at a time"
            if segmenter.several_devices
            else ""
        )
        if self.streams is not None:
            if alone and self.streams > 1:
                raise UsageError(f"--streams is {self.streams}, but {alone}; leave --streams out")
            return self.streams
        return 1 if alone else self._usual(sources)

    def group(self, sources: Sequence[Source]) -> int | None:
        """How many of these files and folders have one budget together; None where each has its own."""
        if self.together != "on":
            return None
        return self._usual(sources) if self.streams is None else self.streams

    def _usual(self, sources: Sequence[Source]) -> int:
        import jax

        local = jax.local_devices()
        return min(max(len(sources), 1), _ON_A_CPU if local[0].platform == "cpu" else _ON_AN_ACCELERATOR * len(local))

    def shared(self, segmenter: FrameStep, part: Part) -> Segmenter | None:
        """What inputs are segmented with that have one budget or rate together; None where that cannot be. Raises
        `UsageError` where it was asked for all the same."""
        from dvsnet_jax.inference.segmenter import Segmenter
        from dvsnet_jax.policies import Budget, FrameRate, over_streams

        able = isinstance(segmenter, Segmenter) and isinstance(segmenter.config.policy, Budget | FrameRate)
        if self.together == "on" and not able:
            raise UsageError(
                "--together on shares out --budget or --fps, and there is neither; add one or leave it out"
            )
        if self.together == "on" and part.count > 1:
            raise UsageError("--together on is for the inputs of one process; leave out --worker and --distributed")
        if self.together == "off" or not able:
            return None
        assert isinstance(segmenter, Segmenter) and isinstance(segmenter.config.policy, Budget | FrameRate)
        return segmenter.with_policy(over_streams(segmenter.config.policy))


@contextmanager
def waiting_for_others(part: Part, *, distributed: bool) -> Iterator[None]:
    """The end of distributed processes: the first one serves the others, so none goes before all are through. An
    interrupt ends them at once."""
    try:
        yield
    except Exception:
        if distributed:
            _wait(part)
        raise
    if distributed:
        _wait(part)


def _wait(part: Part) -> None:
    from dvsnet_jax.inference.processes import gather

    gather(part.index)
