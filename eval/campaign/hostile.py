"""Files that somebody made to do harm, all of well-known forms: absurd sizes, zeros packed small, sums that fit."""

from __future__ import annotations

import hashlib
import json
import random
import struct
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

from campaign.damage import damage

_HUGE = 60_000  # pixels a side: 10 GB of RGB


def sealed_again(place: Path, draw: random.Random) -> str:
    """Damages a part of an exported program and has all the sums fit again."""
    with zipfile.ZipFile(place) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    manifest = parts.pop("manifest.json")
    parts.pop("manifest.sha256")
    name = draw.choice(["manifest.json", "program.bin", "config.json"])
    scratch = place.with_name("part")
    scratch.write_bytes(manifest if name == "manifest.json" else parts[name])
    how = damage(scratch, draw)
    if name == "manifest.json":
        manifest = scratch.read_bytes()
    else:
        parts[name] = scratch.read_bytes()
        said = json.loads(manifest)
        said["parts"][name] = {"size": len(parts[name]), "sha256": hashlib.sha256(parts[name]).hexdigest()}
        manifest = json.dumps(said).encode()
    sums = {"manifest.json": manifest, "manifest.sha256": hashlib.sha256(manifest).hexdigest().encode()}
    with zipfile.ZipFile(place, "w") as archive:
        for each, content in {**sums, **parts}.items():
            archive.writestr(each, content)
    return f"{how} in {name}"


def _chunk(kind: bytes, content: bytes) -> bytes:
    """Of a PNG."""
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def _png(place: Path) -> Path:
    header = struct.pack(">IIBBBBB", _HUGE, _HUGE, 8, 2, 0, 0, 0)
    content = _chunk(b"IHDR", header) + _chunk(b"IDAT", zlib.compress(bytes(1000))) + _chunk(b"IEND", b"")
    return _written(place / "huge.png", b"\x89PNG\r\n\x1a\n" + content)


def _large_png(place: Path) -> Path:
    """A whole one, of one colour: 64 KB of file and 200 megapixels."""
    packed = zlib.compressobj(9)
    row = bytes(1 + 3 * 20_000)
    body = b"".join(packed.compress(row) for _ in range(10_000)) + packed.flush()

    header = struct.pack(">IIBBBBB", 20_000, 10_000, 8, 2, 0, 0, 0)
    content = _chunk(b"IHDR", header) + _chunk(b"IDAT", body) + _chunk(b"IEND", b"")
    return _written(place / "large.png", b"\x89PNG\r\n\x1a\n" + content)


def _bmp(place: Path) -> Path:
    header = struct.pack("<IiiHHIIiiII", 40, _HUGE, _HUGE, 1, 24, 0, 0, 0, 0, 0, 0)
    return _written(place / "huge.bmp", b"BM" + struct.pack("<IHHI", 1000, 0, 0, 54) + header + bytes(900))


def _ppm(place: Path) -> Path:
    return _written(place / "huge.ppm", b"P6\n12000 9000\n255\n" + bytes(900))


def _tif(place: Path) -> Path:
    entries = {256: _HUGE, 257: _HUGE, 258: 8, 259: 1, 262: 1, 273: 8, 277: 1, 278: _HUGE, 279: 900}
    table = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in entries.items())
    return _written(place / "huge.tif", b"II*\0" + struct.pack("<IH", 8, len(entries)) + table + bytes(904))


def _jpeg(place: Path) -> Path:
    frame = struct.pack(">HBHHB", 17, 8, 65_000, 65_000, 3) + bytes([1, 0x22, 0, 2, 0x11, 1, 3, 0x11, 1])
    return _written(place / "huge.jpg", b"\xff\xd8\xff\xc0" + frame + b"\xff\xd9")


def _npy(place: Path) -> Path:
    return _written(place / "flow.npy", _head("(600000, 60000, 2)") + bytes(32))


def _head(shape: str) -> bytes:
    """Of a .npy of float32."""
    text = f"{{'descr': '<f4', 'fortran_order': False, 'shape': {shape}, }}".encode().ljust(117) + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text


def _npz(place: Path) -> Path:
    _npy(place)
    with zipfile.ZipFile(place / "flow.npz", "w") as archive:
        archive.write(place / "flow.npy", "flow.npy")
    return place / "flow.npz"


def _packed_npz(place: Path) -> Path:
    """A true one, packed a thousand to one: 1 GB of zeros."""
    with zipfile.ZipFile(place / "flow.npz", "w", zipfile.ZIP_DEFLATED) as archive, archive.open("flow.npy", "w") as to:
        to.write(_head("(16384, 8192, 2)"))
        for _ in range(256):
            to.write(bytes(4 << 20))
    return place / "flow.npz"


def _pfm(place: Path) -> Path:
    return _written(place / "flow.pfm", b"PF\n99999999 99999999\n-1.0\n" + bytes(24))


def _flo(place: Path) -> Path:
    return _written(place / "flow.flo", struct.pack("<fii", 202021.25, 2**31 - 1, 2**31 - 1) + bytes(24))


def _program(place: Path) -> Path:
    """Its manifest is 1 GB of zeros, packed."""
    with zipfile.ZipFile(place / "step.dvsnet", "w", zipfile.ZIP_DEFLATED) as archive:
        with archive.open("manifest.json", "w") as to:
            for _ in range(256):
                to.write(bytes(4 << 20))
        archive.writestr("manifest.sha256", "0" * 64)
    return place / "step.dvsnet"


def _config(place: Path) -> Path:
    """A configuration that asks for networks of absurd width, its sums all fit."""
    from campaign.samples import make

    from dvsnet_jax.checkpoints import checksums

    made = make("checkpoint", place)
    file = made / "config" / "dvsnet.json"
    said = json.loads(file.read_bytes())
    said["config"]["segmentation"]["width"] = 2**40
    said["config"]["segmentation"]["num_classes"] = 2**31
    file.write_text(json.dumps(said))
    checksums.write_checksums(made)
    return made


def _deep(place: Path) -> Path:
    """A configuration of a hundred thousand brackets."""
    from campaign.samples import make

    from dvsnet_jax.checkpoints import checksums

    made = make("checkpoint", place)
    (made / "config" / "dvsnet.json").write_text("[" * 100_000)
    checksums.write_checksums(made)
    return made


def _outside(place: Path) -> Path:
    """A record that says that files outside of its folder are a run's own."""
    from campaign.samples import make

    made = make("record", place)
    lines = made.read_text().splitlines()
    made.write_text("\n".join([lines[0], '{"file": "../others"}', '{"file": "/etc/hostname"}', *lines[1:]]) + "\n")
    return made


def _list(place: Path) -> Path:
    return _written(place / "val.txt", b"/dev/zero\n../../../../../../etc/passwd\n/proc/self/mem\n" + b"a" * 100_000)


def _written(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


HOSTILE: dict[str, tuple[str, Callable[[Path], Path]]] = {
    "png of 3.6 gigapixels": ("png", _png), "png of 200 megapixels, whole": ("png", _large_png),
    "bmp of 3.6 gigapixels": ("bmp", _bmp), "ppm of 108 megapixels": ("ppm", _ppm),
    "tif of 3.6 gigapixels": ("tif", _tif), "jpg of 4.2 gigapixels": ("jpg", _jpeg),
    "npy of 288 GB": ("npy", _npy), "npz of 288 GB": ("npz", _npz), "npz of 1 GB in 1 MB": ("npz", _packed_npz),
    "pfm of 10¹⁶ pixels": ("pfm", _pfm), "flo of 10¹⁸ pixels": ("flo", _flo),
    "program with 1 GB in 1 MB": ("program", _program), "configuration of 2⁴⁰ channels": ("checkpoint", _config),
    "configuration of 10⁵ brackets": ("checkpoint", _deep), "record of files outside": ("record", _outside),
    "list of devices and files outside": ("list", _list),
}  # fmt: skip
"""By name, the kind that it is given as and what makes it in a folder."""
