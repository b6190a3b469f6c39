"""The readers by their names on a command line, each `KIND:ROOT:SPLIT`.

vspw:ROOT:SPLIT            train or val
kitti-step:ROOT:SPLIT      train or val
apolloscape:ROOT:SPLIT     train or val by its image lists, or a road such as road02_seg
cityscapes-vps:ROOT:SPLIT  train, val or test
bdd100k:ROOT:SPLIT         train or val; pictures
vistas:ROOT:SPLIT          training or validation; pictures
idd:ROOT:SPLIT             train or val; pictures
a2d2:ROOT:SPLIT            all, or drives and cameras with commas between; pictures
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from dvsnet_jax.datasets import camvid
from dvsnet_jax.datasets.readers import a2d2, apolloscape, bdd100k, cityscapes_vps, idd, kitti_step, vistas, vspw
from dvsnet_jax.datasets.samples import LabelledFile
from dvsnet_jax.errors import InputError

Clips = list[tuple[str, list[LabelledFile]]]

_VIDEOS: dict[str, Callable[..., Clips]] = {
    "vspw": vspw.list_clips, "kitti-step": kitti_step.list_clips, "cityscapes-vps": cityscapes_vps.list_clips,
    "apolloscape": apolloscape.list_clips,
}  # fmt: skip
_PICTURES: dict[str, Callable[..., Clips]] = {
    "bdd100k": bdd100k.list_clips, "vistas": vistas.list_clips, "idd": idd.list_clips,
    "a2d2": a2d2.list_clips,
}  # fmt: skip

VIDEOS = frozenset(_VIDEOS)
KINDS = VIDEOS | frozenset(_PICTURES)
FORMS = f"{'|'.join((*_VIDEOS, *_PICTURES))}:ROOT:SPLIT"


_OWN_CLASSES: dict[str, tuple[tuple[str, ...], ...]] = {
    "vspw": (vspw.CLASSES,), "vistas": (vistas.CLASSES,), "idd": (idd.CLASSES, idd.LEVEL_1),
    "apolloscape": (apolloscape.CLASSES,), "a2d2": (a2d2.CLASSES,), "camvid": (camvid.CLASSES,),
}  # fmt: skip


def own_classes(kinds: Iterable[str], num_classes: int) -> tuple[str, ...] | None:
    """Names of the classes that data of these kinds are read in, where all are of one kind that has as many."""
    found = {next((names for names in _OWN_CLASSES.get(kind, ()) if len(names) == num_classes), None) for kind in kinds}
    return found.pop() if len(found) == 1 else None


def clips_of(kind: str, rest: str, *, num_classes: int = 19) -> Clips:
    """The clips of `KIND:REST`, each with its frames in order; label files of some frames may not exist.

    Raises `InputError` for a REST that is not ROOT:SPLIT, and as the readers do.
    """
    root, colon, split = rest.rpartition(":")
    if not colon or not root or not split:
        raise InputError(f"{kind}:{rest}: names no data set; expected {kind}:ROOT:SPLIT")
    return (_VIDEOS | _PICTURES)[kind](root, split, num_classes=num_classes)
