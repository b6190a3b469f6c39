"""All inputs of a run: cameras and streams each in a thread of its own, files meanwhile one by one or as streams."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from dvsnet_jax.cli.compile_cache import keep_compiled
from dvsnet_jax.cli.failures import lines
from dvsnet_jax.cli.interrupts import stop_on_interrupt
from dvsnet_jax.cli.screen import tell
from dvsnet_jax.cli.segmenting.each import Way, segment_one, segment_streams
from dvsnet_jax.cli.segmenting.ends import Ends
from dvsnet_jax.cli.segmenting.going_on import in_groups
from dvsnet_jax.cli.segmenting.live import beside, served, told_every_minute
from dvsnet_jax.cli.segmenting.outputs import Opening, Outputs, output_folders

if TYPE_CHECKING:
    from dvsnet_jax.inference.segment_source import FrameStep, Segmenter, Summary
    from dvsnet_jax.media.motion.attached import Kind
    from dvsnet_jax.media.sources import Source
    from dvsnet_jax.media.written_files import WrittenFiles


def segment_all(
    sources: Sequence[Source],
    written: WrittenFiles,
    segmenter: FrameStep,
    outputs: Outputs,
    *,
    folders: Sequence[Path] | None = None,
    motion: Kind | None = None,
    skip_unreadable: bool = False,
    num_frames: int | None = None,
    streams: int = 1,
    serve: str | None = None,
    shared: Segmenter | None = None,
    together: bool = False,
    advise_size: bool = False,
) -> int:
    """Segments one file after the other, or so many `streams` at once, and beside them cameras and streams, all at
    once; each into its folder (`output_folders` if not given). Prints the closing table and returns the exit status.
    `serve` is an address to show them at. `shared` is what segments several cameras, which then have one budget or rate
    together; files have one, so many streams after so many others, where they are `together`. `advise_size` has larger
    frames than the package's weights are for told.

    A source that fails does not keep the others from their turn. When they are through, what was wrong with it is
    raised: of one source alone as it came, of several as a group with their names.
    """
    keep_compiled()

    from dvsnet_jax.inference.segment_source import Summary
    from dvsnet_jax.inference.sharing import Dealer
    from dvsnet_jax.inference.source_identity import is_live
    from dvsnet_jax.media.live.source import LiveVideo

    opening = Opening(outputs, segmenter, written)
    inputs = list(zip(sources, folders or output_folders(sources, outputs.out), strict=True))
    live = [(source, place) for source, place in inputs if is_live(source)]
    files = [(source, place) for source, place in inputs if not is_live(source)]
    tallies = {source.name: source.tally for source, _ in live if isinstance(source, LiveVideo)}
    ends = Ends([source.name for source in sources], advise_size=advise_size)
    all_of_them: Summary | None = None
    current = "all together"
    try:
        with served(serve) as board, stop_on_interrupt() as stop, told_every_minute(tallies):
            way = Way(
                segmenter=segmenter, opening=opening, ends=ends, stop=stop, motion=motion,
                skip_unreadable=skip_unreadable, num_frames=num_frames,
            )  # fmt: skip
            sharing = replace(way, segmenter=shared) if shared is not None else way
            dealer = Dealer(shared.shared, together=False) if shared and shared.shared and len(live) > 1 else None
            cameras = {
                source.name: partial(
                    segment_one, source, place, sharing if dealer else way, opening.view(source, board),
                    shown=len(sources) == 1, dealer=dealer,
                )
                for source, place in live
            }  # fmt: skip
            with beside(cameras, stop):
                if streams > 1 and files:
                    all_of_them = Summary()
                    groups: list[Sequence[tuple[Source, Path]]] = in_groups(files, streams) if together else [files]
                    for group in groups:
                        if not stop.is_set():
                            segment_streams(group, sharing if together else way, board, all_of_them, streams)
                for source, place in files if streams == 1 else ():
                    if stop.is_set():
                        break
                    current = source.name
                    segment_one(source, place, way, opening.view(source, board), shown=not live)
            interrupted = stop.is_set()
    except KeyboardInterrupt as interrupt:
        if interrupt.__cause__ is not None:
            ends.failed(current, interrupt.__cause__, others=False)
        raise interrupt from ends.wrong()
    finally:
        ends.close(outputs.out, all_of_them)
    wrong = ends.wrong()
    if interrupted:
        if wrong is not None:
            tell("dvsnet: " + "\n".join(lines(wrong)))
        goes_on = ", --resume goes on" if folders is not None and files else ""
        tell(f"dvsnet: interrupted; everything until here is written{goes_on}")
        return 130
    if wrong is not None:
        raise wrong
    return 0
