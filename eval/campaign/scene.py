"""Small clips and weights, the commands that run over them, what they make undisturbed, and what they make killed."""

from __future__ import annotations

import json
import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from campaign.book import Book
from campaign.processes import Command, Ended
from campaign.reading import kept
from campaign.small_network import clip, save_weights

COMMANDS = ("segment", "evaluate", "accelerate", "train segmentation")
_TIMES = ("seconds", "timed", "ms", "fps", "date", "frames_per_second", "milliseconds")
Tell = Callable[[str], None]


class Scene:
    """In a folder, made when it is first needed."""

    def __init__(self, folder: Path, frames: tuple[int, ...] = (4, 6, 3, 5, 4)) -> None:
        """`frames` are those of each clip."""
        self.folder, self._frames = folder.absolute(), frames
        self._work: dict[str, float] = {}

    def clips(self) -> list[str]:
        """Folders of frames, labels beside them."""
        from dvsnet_jax.media.images import write_png

        names = []
        for index, frames in enumerate(self._frames):
            place = self.folder / "clips" / "abcde"[index]
            names.append(str(place))
            if place.exists():
                continue
            images = clip(frames, seed=index, size=(64, 96 if index != 2 else 128))
            for number, image in enumerate(images):
                for kind, content in (("clips", image), ("truth", image[..., 1] // 52)):
                    path = self.folder / kind / place.name / f"street_{number:03d}.png"
                    path.parent.mkdir(parents=True, exist_ok=True)
                    write_png(path, content)
        return names

    def words(self, command: str, out: Path) -> list[str]:
        """The command's words, with which it begins and goes on."""
        clips, weights = self.clips(), str(save_weights(self.folder / "weights"))
        train = ["--batch-size", "2", "--save-every", "2", "--look-every", "1", "--save-dir", str(out)]
        frames, truth = clips[1], str(self.folder / "truth" / "b")
        return {
            "segment": ["segment", *clips, "--weights", weights, "--out", str(out), "--streams", "1", "--resume"],
            "evaluate": ["evaluate", f"clips:{self.folder / 'clips'}:{self.folder / 'truth'}", "--weights", weights,
                         "--out", str(out), "--streams", "2", "--keep-labels"],
            "accelerate": ["accelerate", "--data", f"frames:{frames}", "--restore-from", weights, "--steps", "8",
                           "--crop", "64", "96", "--pairs", "8", "--distances", "1", "2", "--epochs", "3", *train],
            "train segmentation": ["train", "segmentation", "--data", f"folder:{frames}:{truth}", "--restore-from",
                                   weights, "--num-classes", "5", "--steps", "12", "--crop", "64", "64", *train],
        }[command]  # fmt: skip

    def undisturbed(self, command: str) -> tuple[Path, float]:
        """The folder that it makes when nothing is in its way, and the seconds of processor time that this takes once
        all is compiled."""
        out = self.folder / "undisturbed" / command.replace(" ", "-")
        if command not in self._work:
            for _ in range(1 if out.exists() else 2):  # the second time programs are there
                shutil.rmtree(out, ignore_errors=True)
                ended = Command(self.words(command, out), self.folder / "log.txt").join()
                if ended.status:
                    raise RuntimeError(f"{command}, undisturbed: status {ended.status}: {ended.told}")
            self._work[command] = ended.work
        return out, self._work[command]

    def kill_all(self, book: Book, each: int, seed: int, tell: Tell) -> None:
        """Kills every command at so many random moments, and has it go on."""
        for number in range(each):
            for command in COMMANDS:
                if not book.has("kills", command, number):
                    draw = random.Random(f"{seed} kill {command} {number}")
                    book.note("kills", command, number, self._killed(command, draw))
            tell(f"killed each for the {number + 1}. time")

    def _killed(self, command: str, draw: random.Random) -> dict[str, Any]:
        expected, work = self.undisturbed(command)
        out = self.folder / "killed"
        shutil.rmtree(out, ignore_errors=True)
        words, moment = self.words(command, out), draw.uniform(0.02, 1.0)
        first = Command(words, self.folder / "log.txt").kill(moment * work)
        written = sum(path.is_file() for path in out.rglob("*"))
        problems = first.problems + self.half(command, out)
        came = self.gone_on(command, words, out, expected)
        outcome = "killed" if first.status < 0 else "ended first"
        return came | {"outcome": outcome, "problems": problems + came["problems"], "moment": round(moment, 3),
                       "files": written}  # fmt: skip

    def gone_on(self, command: str, words: list[str], out: Path, expected: Path) -> dict[str, Any]:
        """Has it go on in `out`, and holds what it made against the undisturbed folder."""
        ended = Command(words, self.folder / "log.txt").join()
        problems = ended.problems
        if ended.status:
            problems.append(f"differs: going on ends with status {ended.status}: {ended.told.strip()[-200:]}")
        else:
            problems += differences(command, out, expected)
        return {"outcome": "gone on", "problems": problems, "told": ended.told[-600:], "mib": None,
                "seconds": round(ended.seconds, 1)}  # fmt: skip

    def half(self, command: str, out: Path) -> list[str]:
        """What is half-written in a folder that a command was torn away from; of inputs that are done, all must be
        whole."""
        if command != "segment" or not out.exists():
            return []
        done = set()
        for record in out.glob("dvsnet-files*.jsonl"):
            content = record.read_text()
            for line in content[: content.rfind("\n") + 1].splitlines():
                done |= {json.loads(line)["done"]} if "done" in json.loads(line) else set()
        return [
            f"{problem} ({place.name})"
            for place in sorted(path for path in out.iterdir() if path.is_dir())
            for problem in kept(place, done=place.name in done)[1]
        ]


def refused(ended: Ended, named: str) -> list[str]:
    """Problems with how a command said that it cannot go on: status 1 and a line that names the place."""
    problems = ended.problems
    if not problems and ended.status != 1:
        problems.append(f"other: status {ended.status} where 1 was to come")
    if not problems and named not in ended.told:
        problems.append("other: what is told names no place")
    return problems


def differences(command: str, out: Path, expected: Path) -> list[str]:
    """What two folders of a command do not share, times left out."""
    if command in ("segment", "evaluate"):
        ours, theirs = _files(out), _files(expected)
        names = [f"differs: {name}" for name in sorted(ours.keys() ^ theirs.keys())]
        return names or [f"differs: {name}" for name in sorted(ours) if not _alike(ours[name], theirs[name])]
    from dvsnet_jax import checkpoints
    from dvsnet_jax.checkpoints.matching import flatten

    ours, theirs = (flatten(checkpoints.load(place / "weights")[0]) for place in (out, expected))
    wrong = [name for name in theirs if name not in ours or not np.array_equal(ours[name], theirs[name])]
    problems = [f"differs: weights {wrong[0]} and {len(wrong) - 1} more"] if wrong else []
    for log in sorted(path.relative_to(expected) for path in expected.rglob("metrics.jsonl")):
        if _lines(out / log) != _lines(expected / log):
            problems.append(f"differs: {log}")
    left = [path for path in out.rglob("*") if ".partial-" in path.name]
    return problems + [f"half-written: {path.name} is left" for path in left[:1]]


def _files(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        name = path.relative_to(folder).as_posix()
        if path.name.startswith("dvsnet-files"):
            found["record"] = found.get("record", set()) | set(path.read_text().splitlines())
        elif path.name.startswith("clips") and path.suffix == ".jsonl":
            found[name] = _lines(path)
        elif path.suffix == ".json":
            found[name] = _without_times(json.loads(path.read_text()))
        elif path.name in ("report.html", "table.md"):
            found[name] = True  # has times and a date in it
        else:
            found[name] = path if path.suffix == ".mp4" else path.read_bytes()
    return found


def _alike(ours: Any, theirs: Any) -> bool:
    """Of videos nearly, frame by frame: now and then an encoder's bytes differ."""
    if not isinstance(ours, Path):
        return bool(ours == theirs)
    from dvsnet_jax.media.video_reader import decode_video

    one, other = list(decode_video(str(ours))), list(decode_video(str(theirs)))
    return len(one) == len(other) and all(
        isinstance(a, np.ndarray) and isinstance(b, np.ndarray) and np.abs(a.astype(int) - b).mean() < 5
        for a, b in zip(one, other, strict=True)
    )


def _lines(path: Path) -> list[str]:
    """Sorted, as several streams end in any order."""
    lines = path.read_text().splitlines() if path.exists() else []
    return sorted(json.dumps(_without_times(json.loads(line)), sort_keys=True) for line in lines)


def _without_times(value: Any) -> Any:
    if isinstance(value, dict):
        kept = {name: each for name, each in value.items() if not any(word in name.split("_") for word in _TIMES)}
        return {name: _without_times(each) for name, each in kept.items()}
    return [_without_times(each) for each in value] if isinstance(value, list) else value
