"""Pictures as the bytes of an image file, and as data URIs: for pages that hold their pictures themselves."""

from __future__ import annotations

import base64
from io import BytesIO

import numpy as np
from jaxtyping import UInt8
from PIL import Image


def jpeg_bytes(image: UInt8[np.ndarray, "height width 3"], *, quality: int = 80) -> bytes:
    """An RGB picture as JPEG; `quality` is 1 to 95."""
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
        raise ValueError(f"image is {image.dtype}{list(image.shape)}, expected uint8 [h, w, 3] RGB")
    file = BytesIO()
    Image.fromarray(image).save(file, format="JPEG", quality=quality, optimize=True)
    return file.getvalue()


def ids_png_bytes(ids: UInt8[np.ndarray, "height width"]) -> bytes:
    """Ids as a PNG of one channel, as `dvsnet_jax.media.images.write_png` would write it."""
    file = BytesIO()
    Image.fromarray(ids).save(file, format="PNG", compress_level=1)
    return file.getvalue()


def palette_png_bytes(
    ids: UInt8[np.ndarray, "height width"],
    palette: UInt8[np.ndarray, "colors 3"],
    opacity: UInt8[np.ndarray, "colors"] | None = None,
) -> bytes:
    """Ids as a palette PNG that shows their colours, as small as it gets; `opacity` is 0..255 for each id.

    The file does not hold the ids themselves: they are renumbered, those that occur from 0 on, so that up to 16
    of them take half a byte a pixel before compression. `dvsnet_jax.media.images.write_png` keeps them.
    """
    if ids.dtype != np.uint8 or ids.ndim != 2:
        raise ValueError(f"ids are {ids.dtype}{list(ids.shape)}, expected uint8 [h, w]")
    found, place = np.unique(ids, return_inverse=True)
    picture = Image.fromarray(place.reshape(ids.shape).astype(np.uint8))
    picture.putpalette(np.ascontiguousarray(palette[found]).tobytes())
    # Pillow takes 1, 2 or 4 bits a pixel by the length of the palette.
    clear = {} if opacity is None else {"transparency": opacity[found].tobytes()}
    file = BytesIO()
    picture.save(file, format="PNG", optimize=True, **clear)  # optimize: the highest compression level
    return file.getvalue()


def data_uri(content: bytes, kind: str) -> str:
    """Bytes as a data URI of a media type such as `image/png`."""
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"
