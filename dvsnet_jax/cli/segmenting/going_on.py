"""What `dvsnet segment --resume` goes by: what was decisive for the files that are there, and which inputs are left."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from dvsnet_jax.cli.screen import tell
from dvsnet_jax.errors import InputError

if TYPE_CHECKING:
    from dvsnet_jax.cli.commands.segment import Segment
    from dvsnet_jax.config import DVSNetConfig
    from dvsnet_jax.inference.segmenter import FrameStep
    from dvsnet_jax.media.sources import Source
    from dvsnet_jax.media.written_files import WrittenFiles


T = TypeVar("T")


def decisive(
    command: Segment, segmenter: FrameStep, weights: str, *, several: bool, together: int | None = None
) -> dict[str, Any]:
    """All that decides what a command writes, as JSON values. `weights` tells them from others; `several` says whether
    there are several inputs, each with a folder of its own, `together` how many files share a budget, if they do."""
    from dvsnet_jax.inference.segmenter import Segmenter

    own: dict[str, Any] = {"program": getattr(segmenter, "settled", True)}
    if isinstance(segmenter, Segmenter):
        asked = {"audit": segmenter.audit, "recalibrate": segmenter.recalibrate}
        own = {"precision": command.precision, **asked, "config": _fields(segmenter.config)}
    return {
        "weights": weights, **own, "motion": command.motion, "num_steps": command.num_steps,
        "turned": not command.no_rotate, "video stream": command.stream,
        "skip_unreadable": command.skip_unreadable, "several inputs": several,
        "products": sorted({*command.outputs.products, *command.outputs.save}), "palette": command.outputs.palette,
        "frame_rate": command.outputs.frame_rate, **({} if together is None else {"together": together}),
        **({} if command.matrix == "auto" else {"matrix": command.matrix}),
    }  # fmt: skip


def _fields(config: DVSNetConfig) -> dict[str, str]:
    """A configuration by its fields, the same in every process: functions by their names alone."""
    from dvsnet_jax.config_json import storable

    config = storable(config)
    values = {field.name: repr(getattr(config, field.name)) for field in dataclasses.fields(config)}
    return {name: re.sub(r" at 0x[0-9a-f]+", "", value) for name, value in values.items()}


def in_groups(files: Sequence[T], count: int) -> list[Sequence[T]]:
    """So many at a time: those that have a budget together."""
    return [files[first : first + count] for first in range(0, len(files), count)]


def left_to_do(
    inputs: Sequence[tuple[Source, Path]], written: WrittenFiles, together: int | None = None
) -> list[tuple[Source, Path]]:
    """The inputs that are not done, of an earlier run that is gone on with; of files of which so many are `together`,
    all of a group where one is not. Raises InputError for a stream or camera that it had begun: what that showed then
    cannot be had again; and where another input is done in the folder of one."""
    from dvsnet_jax.inference.source_identity import identity, is_another, is_live, is_same
    from dvsnet_jax.media.durable.bookmarks import remove_bookmarks

    left = []
    for source, folder in inputs:
        before = written.done(folder)
        if before is None and is_live(source) and written.begun(folder):
            raise InputError(
                f"{source.name}: is a stream or camera, and what it showed in the earlier run is gone, so --resume "
                "cannot begin it again; leave it out, or choose another folder with --out"
            )
        if before is not None and is_another(before, now := identity(source)):
            raise InputError(
                f"{folder}: holds what came of {before['input']}, in whose place {source.name} would be written; "
                "choose another folder with --out, or pass --overwrite"
            )
        if before is not None and not is_same(before, now):
            tell(f"dvsnet: {source.name}: has changed since it was segmented, so it is segmented again")
        elif before is not None:
            remove_bookmarks(folder)  # of a run that was killed right after the last file
            continue
        left.append((source, folder))
    if together is not None:
        wanted = {folder for _, folder in left}
        groups = in_groups([each for each in inputs if not is_live(each[0])], together)
        wanted |= {folder for group in groups if any(each[1] in wanted for each in group) for _, folder in group}
        left = [each for each in inputs if each[1] in wanted]
    if len(left) < len(inputs):
        tell(f"{len(inputs) - len(left)} of {len(inputs)} inputs were done before")
    return left
