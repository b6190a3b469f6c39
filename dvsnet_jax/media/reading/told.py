"""What is told of a video while it is read: one line for each thing that is other than one may think."""

from __future__ import annotations

from typing import Any

from dvsnet_jax.media.reading.colors import strange_colors, unnamed_matrix
from dvsnet_jax.media.reading.continuity import BEFORE_KEY, Missing
from dvsnet_jax.media.reading.opened import is_live, tell
from dvsnet_jax.media.reading.packets import Packets
from dvsnet_jax.media.reading.side_data import display_matrix
from dvsnet_jax.media.reading.turning import Turn, turn_of


class Told:
    """Of one video."""

    def __init__(self, location: str, stream: Any) -> None:
        self._location, self._stream = location, stream
        self._begun = self._fields = False
        self._before = self._empty = 0

    def missing(self, item: str) -> None:
        """Counts a frame that never was in the file."""
        if isinstance(item, Missing):
            self._before += item == BEFORE_KEY
            self._empty += item != BEFORE_KEY

    def frame(self, frame: Any, made: bool) -> None:
        """Tells what a frame shows first. `made` is whether it was interlaced."""
        if made and not self._fields:
            self._fields = True
            self._tell(
                "is interlaced: each frame holds two moments, and the first of them is segmented (FFmpeg's bwdif)"
            )
        if not self._begun:
            self._begun = True
            self._tell_beginning(frame)

    def _tell_beginning(self, frame: Any) -> None:
        if self._before:
            self._tell(
                f"begins between two key frames: at its beginning {_frames(self._before)} cannot be decoded; numbers "
                "count them all the same"
            )
        matrix = display_matrix(frame)
        turn = Turn() if matrix is None else turn_of(matrix)
        pixel = self._stream.sample_aspect_ratio
        if pixel and pixel != 1:
            # FFmpeg turns a frame before it scales it, whatever is taken here.
            wide, high = _even(frame.width * pixel), frame.height
            scaled = f"{high}:{wide}" if turn and turn.across else f"{wide}:{high}"
            self._tell(
                f"has pixels that are not square, but {pixel.numerator}:{pixel.denominator}; frames are segmented as "
                f"they are stored, {frame.width}×{frame.height}, which looks squeezed. Better scale it first: "
                f"ffmpeg -i FILE -vf scale={scaled},setsar=1 NEW.mp4"
            )
        if turn is None:
            self._tell("is to be shown turned by less or more than a quarter; its frames are taken as they are stored")
        if (colors := strange_colors(frame)) is not None:
            self._tell(colors)
        if (unnamed := unnamed_matrix(frame)) is not None and not is_live(self._location):
            self._tell(unnamed)

    def end(self, packets: Packets) -> None:
        """Tells what is known only then."""
        if self._empty:
            self._tell(f"has {_frames(self._empty)} without content, dropped by what recorded it; numbers count them")
        if packets.marked and not is_live(self._location):
            self._tell(
                f"marks {_frames(packets.marked)} as damaged, as where data is missing or recordings are joined; taken "
                "is what can be decoded"
            )

    def _tell(self, note: str) -> None:
        tell(self._location, note)


def _frames(count: int) -> str:
    return "1 frame" if count == 1 else f"{count} frames"


def _even(width: Any) -> int:
    return 2 * round(width / 2)
