"""Lowering the frame step for platforms that need not be here, and what a platform refuses."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import jax
import jax.export

from dvsnet_jax.errors import InputError, first_line
from dvsnet_jax.export.custom_calls import RUNS_ON, cannot_run
from dvsnet_jax.export.step_by_name import NamedStep


def check_platforms(platforms: Sequence[str]) -> None:
    """Raises `InputError` unless they are platforms that can be lowered for, each named once."""
    known = ", ".join(RUNS_ON)
    if not platforms or len(set(platforms)) != len(platforms):
        raise InputError(f"platforms are {', '.join(platforms) or 'none'}; name each once, of {known}")
    for platform in platforms:
        if platform not in RUNS_ON:
            hint = "; an NVIDIA GPU is cuda, an AMD one rocm" if platform == "gpu" else ""
            raise InputError(f"platform {platform!r} is not one of {known}{hint}")


def lowered_text(step: NamedStep, platform: str) -> str:
    """The step's operations for one platform, as StableHLO's text; its number of streams must be known.

    Raises `InputError` where it does not lower for this platform, or has a custom call that the platform cannot run.
    """
    try:
        text = step.jitted.trace(*step.arguments).lower(lowering_platforms=(platform,)).as_text()
    except Exception as error:  # a Pallas kernel of another platform, say
        raise InputError(
            f"the step does not lower for {platform} ({first_line(error)[:200]}); leave {platform} out of the platforms"
        ) from error
    if names := cannot_run(text, platform):
        raise InputError(
            f"{platform} cannot run the custom call {', '.join(names)}, which is in the step; leave {platform} out of "
            "the platforms, or use a network without it"
        )
    return text


def lower(step: NamedStep, platforms: Sequence[str]) -> jax.export.Exported:
    """The step for all these platforms in one program."""
    with _without_source_paths():
        return jax.export.export(step.jitted, platforms=platforms)(*step.arguments)


@contextmanager
def _without_source_paths() -> Iterator[None]:
    """Operations keep the names of their stages, but not the files and lines of this machine that made them: those are
    private, and equal programs should be equal bytes."""
    option = "jax_traceback_in_locations_limit"
    before = getattr(jax.config, option)
    jax.config.update(option, 0)
    try:
        yield
    finally:
        jax.config.update(option, before)
