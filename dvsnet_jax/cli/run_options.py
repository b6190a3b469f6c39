"""Options that all training runs share: when they save and look, on how many processes, how precisely."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from dvsnet_jax.cli.failures import UsageError
from dvsnet_jax.cli.option_types import Count, OptionalSteps
from dvsnet_jax.errors import InputError

if TYPE_CHECKING:
    from dvsnet_jax.training.loop import Schedule

_joined: list[bool] = []
GOES_ON = "interrupted; the same command goes on from what was saved"
Precision = Literal["float32", "bfloat16", "auto"]
"""`auto`, which was bfloat16 on accelerators, is taken as the default that it stood for."""


@dataclass(frozen=True, kw_only=True)
class RunOptions:
    """Of every run that counts steps. They do not change what it computes."""

    save_every: Count = 200
    """Steps between saves."""
    validate_every: OptionalSteps = None
    """Steps between validations; there is always one after the last step."""
    look_every: Count = 20
    """Steps between lines of metrics."""
    distributed: bool = False
    """One of several processes, started by SLURM, a TPU pod or GKE (jax.distributed.initialize)."""

    def schedule(self, steps: int) -> Schedule:
        """What happens when, in a run of so many steps."""
        from dvsnet_jax.training.loop import Schedule

        return Schedule(
            steps=steps, look_every=self.look_every, save_every=self.save_every, validate_every=self.validate_every
        )


def join_processes(distributed: bool) -> None:
    """Joins the other processes, where there are any; before anything else of JAX."""
    if distributed:
        from dvsnet_jax.inference.processes import join

        join()
        _joined.append(True)


def stop_others(error: Exception) -> None:
    """Where this is one of several processes of a training: the others stop too, and tell this error."""
    if _joined and isinstance(error, InputError | OSError):
        from dvsnet_jax.training import parallel

        parallel.stop_others(error)


def chosen_precision(asked: Precision) -> Literal["float32", "bfloat16"]:
    """What a run computes in."""
    return "float32" if asked == "auto" else asked


def clips_named(command: Any) -> dict[str, Any]:
    """What a command's clips are, for the settings of its run: as they were named, those to validate on too."""
    return {
        "data": command.data, "held out": command.hold_out, "validated on": command.validate or None,
        "only": command.only,
    }  # fmt: skip


def need(option: str, given: tuple[str, ...], example: str) -> None:
    """Raises `UsageError` where an option that may be given again was not given at all: tyro lets that pass."""
    if not given:
        raise UsageError(f"{option} is missing; add it, such as {option} {example}")
