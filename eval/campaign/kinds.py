"""The kinds of files that are damaged, by family. (`samples` makes one of each.)"""

from __future__ import annotations

from importlib.util import find_spec

FRAMES = 8
VIDEOS: dict[str, tuple[str, str, dict[str, str]]] = {
    "mp4": ("libx264", "yuv420p", {"g": "4", "bf": "2"}),
    "mov": ("prores_ks", "yuv422p10le", {}),
    "m4v": ("mpeg4", "yuv420p", {"g": "4"}),
    "mkv": ("libx264", "yuv420p", {"g": "4"}),
    "webm": ("libvpx-vp9", "yuv420p", {"g": "4", "cpu-used": "8", "deadline": "realtime"}),
    "avi": ("mjpeg", "yuvj420p", {}),
    "ts": ("libx264", "yuv420p", {"g": "4"}),
    "mpg": ("mpeg2video", "yuv420p", {"g": "4"}),
    "flv": ("flv", "yuv420p", {"g": "4"}),
    "wmv": ("wmv2", "yuv420p", {"g": "4"}),
    "h264": ("libx264", "yuv420p", {"g": "4"}),
    "hevc": ("libx265", "yuv420p", {"x265-params": "log-level=none:keyint=4"}),
}
IMAGES = ("png", "png16", "palette.png", "jpg", "webp", "tif", "packed.tif", "bmp", "ppm", "pgm", "avif", "jp2")
FLOWS = ("flo", "kitti.png", "pfm", "npz", "npy", "flo5")
WEIGHTS = (
    "checkpoint", "checkpoint, sealed again", "bundle", "program", "program, sealed again", "safetensors", "pth",
    "old.pth", "tensorflow", "training state", "decision set",
)  # fmt: skip
TEXTS = ("list", "pairs", "classes.json", "classes.csv", "keep.json", "settings.json", "record", "clips.jsonl")
FAMILIES = {
    "videos": tuple(VIDEOS), "images": IMAGES, "labels": ("labels",), "flow": FLOWS, "weights": WEIGHTS, "texts": TEXTS
}  # fmt: skip
_NEEDS = {
    "flo5": "h5py", "safetensors": "safetensors", "pth": "torch", "old.pth": "torch", "tensorflow": "tensorflow",
}  # fmt: skip


def missing(kind: str) -> str | None:
    """The library or encoder that this kind wants and that is not here."""
    if kind in VIDEOS:
        import av

        return None if VIDEOS[kind][0] in av.codecs_available else VIDEOS[kind][0]
    if kind in ("avif", "jp2"):
        from PIL import Image

        Image.init()
        return None if f".{kind}" in Image.registered_extensions() else "Pillow's"
    library = _NEEDS.get(kind)
    return library if library and find_spec(library) is None else None
