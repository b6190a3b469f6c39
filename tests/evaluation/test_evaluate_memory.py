"""What an evaluation holds on to: a few frames, however long the clip and however large its labels."""

from __future__ import annotations

import gc
import tracemalloc
import weakref
from collections.abc import Iterator

import jax
import numpy as np
from tiny import SIMPLE, TINY, simple_params, tiny_params, video

from dvsnet_jax import ExpectedConfidence
from dvsnet_jax.datasets.samples import LabelledImage
from dvsnet_jax.evaluation import evaluate as evaluate_module
from dvsnet_jax.evaluation.clips import kept_labels
from dvsnet_jax.evaluation.clips.programs import HeldPrograms
from dvsnet_jax.evaluation.clips.sources import NamedClip
from dvsnet_jax.evaluation.evaluate import evaluate
from dvsnet_jax.evaluation.reports import evaluation as reports
from dvsnet_jax.evaluation.reports.page import Clip, Frame, Report, write_report
from dvsnet_jax.visualize import label_palette

CONFIG = TINY.replace(policy=ExpectedConfidence(50.0))
LABELS = (256, 384)
ONE = LABELS[0] * LABELS[1]


class Watched:
    """A clip of frames of 64×96 whose labels are four times as high and wide. It looks at what is held when it is
    asked for its `first` frame and the four after it, and for its last five."""

    def __init__(self, length: int, first: int) -> None:
        self.length, self.first = length, first
        self.held: list[tuple[int, int]] = []
        self._pictures = video(4)[:, 0]

    def __iter__(self) -> Iterator[LabelledImage]:
        for number in range(self.length):
            if self.first <= number < self.first + 5 or number >= self.length - 5:
                gc.collect()
                self.held.append((tracemalloc.get_traced_memory()[0], len(jax.live_arrays())))
            labels = np.full(LABELS, number % 5, np.uint8)
            labels[: number + 1] = 255
            yield LabelledImage(self._pictures[number % 4].copy(), labels)


def test_an_evaluation_holds_no_more_after_many_frames_than_after_a_few(tmp_path):
    clip = Watched(length=22, first=8)
    options = {"every_frame": True, "keep": ["long"], "stepping": "apart"}
    # Once before, so that nothing is compiled while it is watched.
    evaluate(tiny_params(), [NamedClip("short", Watched(3, 1))], config=CONFIG, folder=tmp_path, **options)
    tracemalloc.start()
    try:
        evaluate(tiny_params(), [NamedClip("long", clip)], config=CONFIG, folder=tmp_path, **options)
    finally:
        tracemalloc.stop()
    # A frame is under way or not, with five arrays: of bytes the least of five looks, of arrays the most, as those are
    # there at one of five nearly always.
    (before, _), (_, arrays) = np.min(clip.held[:5], axis=0), np.max(clip.held[:5], axis=0)
    (after, _), (_, more_arrays) = np.min(clip.held[-5:], axis=0), np.max(clip.held[-5:], axis=0)
    assert after - before < 5 * ONE, "9 frames on, it holds on to more than is under way"
    assert more_arrays - arrays < 5


def test_the_player_is_given_the_beginning_of_a_long_clip(tmp_path, monkeypatch):
    monkeypatch.setattr(kept_labels, "SHOWN", 4)
    monkeypatch.setattr(reports, "SHOWN", 4)
    clips = [NamedClip(f"clip_{length}", Watched(length, 1)) for length in (4, 7)]
    found = evaluate(
        tiny_params(), clips, config=CONFIG, folder=tmp_path, keep=[clip.name for clip in clips], stepping="apart"
    )
    numbers = reports.results(found, tiny_params(), CONFIG)
    page = reports.evaluation_report(
        found, numbers, clips, config=CONFIG, folder=tmp_path, classes="own", title="", names=tuple("abcde")
    )
    assert [clip.name for clip in page.clips] == ["clip_4", "clip_7, 4 of 7 frames"]
    assert [[frame.name for frame in clip.frames][-1] for clip in page.clips] == ["clip_4 + 3", "clip_7 + 3"]


def test_a_report_lets_go_of_a_frame_before_the_next(tmp_path):
    path, held, images = tmp_path / "report.html", [], []

    def frames() -> Iterator[Frame]:
        noise = np.random.default_rng(0)
        for number in range(20):
            gc.collect()
            held.append((tracemalloc.get_traced_memory()[0], sum(image() is not None for image in images)))
            image = noise.integers(0, 256, (64, 96, 3), np.uint8)
            images.append(weakref.ref(image))
            yield Frame(f"frame {number}", image, image[..., 0] % 5, [True] * 4, truth=image[..., 1] % 5)
            del image

    clip = Clip("long", (2, 2), frames(), label_palette(), tuple("abcde"))
    tracemalloc.start()
    try:
        write_report(path, Report("a long clip", clips=(clip,)))
    finally:
        tracemalloc.stop()
    (before, _), (after, _) = held[4], held[-1]
    one = path.stat().st_size / 20
    assert after - before < 7 * one, "15 frames on, it holds on to what is written"
    assert max(alive for _, alive in held) <= 1


def test_programs_of_sizes_that_are_through_are_let_go(tmp_path, monkeypatch):
    """Pictures of Mapillary Vistas have hundreds of sizes, for each of which the step and the measures are compiled."""
    monkeypatch.setattr(evaluate_module, "SORTED", 1)
    held: dict[str, int] = {}

    def look(name: str, error: str | None) -> None:
        gc.collect()
        held[name] = len(jax.local_devices()[0].client.live_executables())

    frames = [
        LabelledImage(video(1, height=64, width=64 + 8 * number)[0, 0], np.zeros((64, 64 + 8 * number), np.uint8))
        for number in range(6)
    ]
    clips = [NamedClip(str(number), [frame]) for number, frame in enumerate(frames)]
    found = evaluate(simple_params(), clips, config=SIMPLE, folder=tmp_path, streams=1, on_clip=look)
    assert [record.width for record in found.records] == [frame.labels.shape[1] for frame in frames]
    sizes = [*held.values()]
    assert max(sizes[3:]) <= max(sizes[:3]), sizes


def test_the_same_in_any_order(monkeypatch):
    cleared = []
    monkeypatch.setattr(jax, "clear_caches", lambda: cleared.append(True))
    held = HeldPrograms(2)
    for size in ((64, 64), (64, 72), (64, 64), (64, 72)):
        held.expect(size)
    assert not cleared
    for size in ((64, 80), (64, 80), (64, 64)):
        held.expect(size)
    assert len(cleared) == 1
