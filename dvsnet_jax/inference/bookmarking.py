"""How a run goes on within an input: what is kept every so many frames, and what of it still holds.

Kept are the frame step's state, the ages of regions, how far the input was read, and what the summary counts. The files
of the frames before are on the disk by then. Going on reads and drops the frames before, with their motion: so whatever
the input is, a seek that is not exact cannot shift anything, and what finds motion has seen what it would have seen.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import jax
import numpy as np

from dvsnet_jax.errors import InputError
from dvsnet_jax.media import output_folder
from dvsnet_jax.media.durable.bookmarks import Bookmark, read_bookmarks, remove_bookmarks, write_bookmark
from dvsnet_jax.media.output_folder import OutputFolder

if TYPE_CHECKING:
    from dvsnet_jax.inference.delivery import Summary

_COUNTED = ("frames", "regions", "segmented", "untrusted", "skipped", "audited", "recalibrated", "unknown")
"""What of a summary is carried on; times are this run's."""


class Moment(NamedTuple):
    """The frame step after a frame at which a bookmark is due."""

    taken: int
    """Frames of the input until then, those passed over too."""
    leaves: list[np.ndarray]
    """Of the state."""
    skipped: int
    """How many frames had been passed over by then. Reading is ahead of what is written, and goes on counting."""
    unknown: int
    """As `Summary` has it, by then."""


class Bookmarking:
    """The bookmarks of one input."""

    def __init__(self, output: OutputFolder, came: Any, *, resume: bool) -> None:
        """`came` tells the input from another one and from what it was before. With `resume` this goes on from the last
        bookmark that holds: of this input, with all that was written until then there."""
        import dvsnet_jax

        self._output, self._about = output, {"input": came, "by": [dvsnet_jax.__version__, jax.__version__]}
        self._names: list[str] = []
        self._synced = 0
        self.start: Bookmark | None = None
        for bookmark in read_bookmarks(output.folder) if resume else ():
            about = bookmark.about
            alike = all(about.get(name) == value for name, value in self._about.items())
            if alike and output.holds(about["names"], about["mark"]):
                self.start = bookmark
                break

    @property
    def taken(self) -> int:
        """Frames of the input that are done with."""
        return self.start.about["taken"] if self.start else 0

    @property
    def size(self) -> tuple[int, ...]:
        """Height and width of its frames; () at the beginning."""
        return tuple(self.start.about["size"]) if self.start else ()

    def begin(self, summary: Summary) -> np.ndarray | None:
        """Has the output go on where the bookmark is, and the summary; gives the ages of regions. None where there is
        no bookmark."""
        if self.start is None:
            return None
        self._names = list(self.start.about["names"])
        self._synced = len(self._names)
        self._output.go_on(self._names, self.start.about["mark"])
        for name, value in self.start.about["summary"].items():
            setattr(summary, name, [tuple(each) if isinstance(each, list) else each for each in value]
                    if isinstance(value, list) else value)  # fmt: skip
        summary.before = summary.frames
        return self.start.arrays[0]

    def restored(self, state: Any) -> Any:
        """The state after the bookmark; `state` is one that was just begun, on devices or as numpy has it. Raises
        InputError where the two do not go together."""
        if self.start is None:
            return state
        leaves, structure = jax.tree.flatten(state)
        kept = self.start.arrays[1:]
        if [(leaf.shape, leaf.dtype) for leaf in leaves] != [(leaf.shape, leaf.dtype) for leaf in kept]:
            raise InputError(
                f"{self._output.folder}: was begun by a frame step with another state; pass --overwrite to begin anew"
            )
        return jax.tree.unflatten(structure, list(map(_where, kept, leaves)))

    def moment(self, frames: int, taken: int, state: Any, summary: Summary) -> Moment | None:
        """What is to be kept of a step after which so many frames are segmented; None where nothing is due. Waits for
        the step."""
        if not self.due(frames):
            return None
        return Moment(taken, jax.tree.leaves(jax.device_get(state)), len(summary.skipped), summary.unknown)

    def due(self, frames: int) -> bool:
        """Whether a bookmark is, after so many frames."""
        return frames % output_folder.PART == 0

    def delivered(self, name: str, moment: Moment | None, summary: Summary, size: Any, ages: np.ndarray) -> None:
        """A frame's files are written; keeps the moment, if there is one."""
        if not self._names:
            remove_bookmarks(self._output.folder)  # of an earlier run, whose files have gone
        self._names.append(name)
        if moment is None:
            return
        self._output.sync(self._names[self._synced :])
        self._synced = len(self._names)
        counted = {name: getattr(summary, name) for name in _COUNTED}
        counted |= {"skipped": summary.skipped[: moment.skipped], "unknown": moment.unknown}
        about = {
            **self._about, "frames": len(self._names), "taken": moment.taken, "size": list(size), "names": self._names,
            "mark": self._output.mark(len(self._names)), "summary": counted,
        }  # fmt: skip
        write_bookmark(self._output.folder, about, [ages, *moment.leaves])

    def remove(self) -> None:
        """The input is through."""
        remove_bookmarks(self._output.folder)


def _where(kept: np.ndarray, leaf: Any) -> Any:
    """What was kept, in the place of an array that is on devices, or of numpy's: one stream's of several."""
    return jax.device_put(kept, leaf.sharding) if isinstance(leaf, jax.Array) else kept
