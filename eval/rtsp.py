r"""Cameras that speak RTSP, by GStreamer's server: what comes of their frames in ten situations, and of four at once.

    apt-get install gir1.2-gst-rtsp-server-1.0 python3-gi gstreamer1.0-plugins-good gstreamer1.0-plugins-bad
    python eval/rtsp.py

H.264 of 160×120, 5 frames a second. Prints two markdown tables: for each situation when the first picture was there
and what is wrong with the frames' times; then, for four cameras in one `dvsnet segment` the second of which falls
silent for 15 seconds or is killed and comes back, what each of them lost. Ends with status 1 where the other three
lost a frame. A network of no size: this is about streams. Six minutes on two cores.
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from dvsnet_jax.cli.running import run_recipe

FPS = 5


@dataclass(frozen=True, kw_only=True)
class Rtsp:
    """Look at RTSP cameras in all situations."""

    out: Path = Path("rtsp")
    """Folder for what is written; removed first."""
    frames: int = 30
    """Frames of each situation."""
    seconds: float = 35.0
    """For which four cameras go on after one of them was disturbed."""

    def run(self) -> int:
        from cameras.situations import SITUATIONS, encode, four, look
        from campaign.processes import compile_quickly
        from campaign.small_network import clip, save_weights

        compile_quickly(self.out.with_name(f"{self.out.name}-compiled"))
        shutil.rmtree(self.out, ignore_errors=True)
        self.out.mkdir(parents=True)
        images = clip(60, size=(120, 160))
        print("| camera | first picture after, s | frames | wrong steps of time | connections lost |")
        print("|---|--:|--:|--:|--:|")
        for name, (options, words) in SITUATIONS.items():
            seen = look(encode(self.out / "shown", images, FPS, options), FPS, self.frames, words)
            print(f"| {name} | {seen.first:.2f} | {seen.frames} | {seen.times or 0} | {seen.lost} |", flush=True)
        print(
            "\n| the second is | camera | segmented | never came | dropped | lag, s | worst | without connection, s |"
        )
        print("|---|---|--:|--:|--:|--:|--:|--:|")
        shown, weights = encode(self.out / "shown", images, FPS, {}), save_weights(self.out / "weights")
        lost = 0
        for what in ("silent", "killed"):
            table = four(shown, FPS, self.out / what, weights, what, self.seconds)
            lost += sum(
                row.split(" | ")[3] != "0" or row.split(" | ")[7] != "– |" for row in table if "cam-2" not in row
            )
            print("\n".join(table), flush=True)
        return 1 if lost else 0


def main(argv: Sequence[str] | None = None) -> int:
    return run_recipe(Rtsp, argv, file=__file__, description=__doc__)


if __name__ == "__main__":
    sys.exit(main())
