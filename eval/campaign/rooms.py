"""A disk that is full at some byte, and folders without rights."""

from __future__ import annotations

import os
import random
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from campaign.book import Book
from campaign.processes import Command
from campaign.scene import COMMANDS, Scene, Tell, refused

_PAGE = 4096


def full(book: Book, scene: Scene, each: int, seed: int, tell: Tell) -> None:
    """Every command where the disk is full after a random number of bytes, and going on where there is room again."""
    for command in COMMANDS:
        for number in range(each):
            if not book.has("full disk", f"{command}, full disk", number):
                draw = random.Random(f"{seed} full {command} {number}")
                book.note("full disk", f"{command}, full disk", number, _full(scene, command, draw))
        tell(f"{command}: {each} full disks")


def _full(scene: Scene, command: str, draw: random.Random) -> dict[str, Any]:
    expected, _ = scene.undisturbed(command)
    files = [path.stat().st_size for path in expected.rglob("*") if path.is_file()]
    with _small_disk(scene.folder / "small disk") as disk:
        out = (disk or scene.folder) / "full"
        shutil.rmtree(out, ignore_errors=True)
        words, limit = scene.words(command, out), None
        if disk is not None:
            _resize(disk, draw.randint(2, max(3, sum(-(-size // _PAGE) for size in files))) * _PAGE)
        else:  # as no disk can be made here: no file may become longer than that
            limit = draw.randint(1, max(files))
        ended = Command(words, scene.folder / "log.txt", most_bytes=limit).join()
        if disk is not None:
            _resize(disk, 1 << 28)
        how = "on a small disk" if disk else "by a limit of a file's length"
        if ended.status == 0:
            problems = ended.problems
            return {"outcome": f"had room, {how}", "problems": problems, "told": "", "mib": None,
                    "seconds": round(ended.seconds, 1)}  # fmt: skip
        problems = refused(ended, str(out)) + scene.half(command, out)
        came = scene.gone_on(command, words, out, expected)
        told = [line for line in (ended.told[-600:], came["told"]) if problems or came["problems"]]
        return came | {"outcome": f"refused, {how}", "problems": problems + came["problems"], "told": "\n".join(told)}


@contextmanager
def _small_disk(place: Path) -> Iterator[Path | None]:
    """A file system of its own in memory; None where none can be mounted."""
    place.mkdir(parents=True, exist_ok=True)
    made = os.geteuid() == 0 and subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=256m", "none", str(place)], capture_output=True
    ).returncode == 0  # fmt: skip
    try:
        yield place if made else None
    finally:
        if made:
            subprocess.run(["umount", "--lazy", str(place)], check=False, capture_output=True)


def _resize(disk: Path, size: int) -> None:
    subprocess.run(["mount", "-o", f"remount,size={size}", str(disk)], check=True, capture_output=True)


def without_rights(book: Book, scene: Scene, tell: Tell) -> None:
    """Every command into a folder that it may not write to, a folder that loses its rights on the way, and an input
    that it may not read."""
    for command in COMMANDS:
        if not book.has("rights", f"{command}, no rights", 0):
            book.note("rights", f"{command}, no rights", 0, _closed(scene, command))
    for number in range(3):
        if not book.has("rights", "segment, rights lost", number):
            book.note("rights", "segment, rights lost", number, _lost(scene, (number + 1) / 4))
    if not book.has("rights", "segment, input closed", 0):
        book.note("rights", "segment, input closed", 0, _unreadable(scene))
    tell("rights: tried")


def _closed(scene: Scene, command: str) -> dict[str, Any]:
    expected, _ = scene.undisturbed(command)
    place = scene.folder / "closed"
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir(mode=0o555)
    words = scene.words(command, place / "out")
    ended = Command(words, scene.folder / "log.txt", without_rights=True).join()
    problems = refused(ended, str(place))
    place.chmod(0o755)
    came = scene.gone_on(command, words, place / "out", expected)
    return came | {"outcome": "refused", "problems": problems + came["problems"], "told": ended.told[-600:]}


def _lost(scene: Scene, share: float) -> dict[str, Any]:
    expected, work = scene.undisturbed("segment")
    out = scene.folder / "lost"
    shutil.rmtree(out, ignore_errors=True)
    words = scene.words("segment", out)
    command = Command(words, scene.folder / "log.txt", without_rights=True)
    command.reach(share * work)
    folders = [out, *(path for path in out.rglob("*") if path.is_dir())] if out.exists() else []
    for folder in folders:
        folder.chmod(0o555)
    ended = command.join()
    for folder in folders:
        folder.chmod(0o755)
    problems = ended.problems + scene.half("segment", out)
    problems += refused(ended, str(out)) if ended.status else []
    came = scene.gone_on("segment", words, out, expected)
    outcome = "refused" if ended.status else "ended first"
    return came | {"outcome": outcome, "problems": problems + came["problems"], "told": ended.told[-600:]}


def _unreadable(scene: Scene) -> dict[str, Any]:
    expected, _ = scene.undisturbed("segment")
    out, image = scene.folder / "closed input", scene.folder / "clips" / "b" / "street_002.png"
    shutil.rmtree(out, ignore_errors=True)
    words = scene.words("segment", out)
    image.chmod(0)
    ended = Command(words, scene.folder / "log.txt", without_rights=True).join()
    image.chmod(0o644)
    problems = refused(ended, str(image)) + scene.half("segment", out)
    came = scene.gone_on("segment", words, out, expected)
    return came | {"outcome": "refused", "problems": problems + came["problems"], "told": ended.told[-600:]}
