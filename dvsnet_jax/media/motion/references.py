"""Which frames a decoder's vectors point to: the records do not say, the pictures do."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from jaxtyping import Float32, Int

from dvsnet_jax.media.motion.likeness import Grey
from dvsnet_jax.media.motion.painting import Vectors

_SAMPLED = 200  # blocks that decide over a frame's reference
_CLEARLY = 2.0  # grey levels by which another frame must be better to be taken for a single block
_FEW = 0.1  # share of blocks that may be left unexplained: flat ones, and those where the light changed
_POINTS = (np.arange(3, dtype=np.float32) + 0.5) / 3 - 0.5  # where a block is looked at, along each side


def distances(vectors: Vectors, here: Grey, candidates: Mapping[int, Grey]) -> Int[np.ndarray, "blocks"]:
    """For each block by how many frames shown it reaches back (negative: forward); 0 where no candidate is left.

    `candidates` are frames by that distance. List by list the one is taken that a sample of the blocks, moved, is most
    like in all; and where it leaves many of them unexplained, block by block another one that does better.
    """
    found = np.zeros(len(vectors.future), np.intp)
    for future in (False, True):
        blocks = np.flatnonzero(vectors.future == future)
        near = np.array(sorted((distance for distance in candidates if (distance < 0) == future), key=abs))
        if not len(blocks) or not len(near):
            continue
        sample = blocks[:: -(-len(blocks) // _SAMPLED)]
        errors = _errors(vectors, sample, here, candidates, near)
        best = int(np.argmin(errors.sum(1)))
        found[blocks] = near[best]
        better = errors < errors[best] - _CLEARLY
        if better.any(0).mean() < _FEW:
            continue
        some = np.flatnonzero(better.mean(1) > _FEW / 4)
        errors = _errors(vectors, blocks, here, candidates, near[[best, *some]])
        errors[0] -= _CLEARLY
        found[blocks] = near[[best, *some]][np.argmin(errors, 0)]
    return found


def _errors(
    vectors: Vectors,
    blocks: Int[np.ndarray, "n"],
    here: Grey,
    candidates: Mapping[int, Grey],
    distances: Int[np.ndarray, "d"],
) -> Float32[np.ndarray, "d n"]:
    return np.stack([differences(vectors, blocks, here, candidates[distance]) for distance in distances])


def differences(vectors: Vectors, blocks: Int[np.ndarray, "n"], here: Grey, there: Grey) -> Float32[np.ndarray, "n"]:
    """Mean difference, in grey levels, between each of these blocks and where its vector points to in `there`."""
    height, width = here.fine.shape
    centre, size, to = (values[blocks, None] for values in (vectors.centre, vectors.size, vectors.to))
    offsets = np.stack(np.meshgrid(_POINTS, _POINTS), -1).reshape(1, -1, 2)
    places = centre + offsets * size

    def at(picture: Grey, places: np.ndarray) -> np.ndarray:
        x, y = np.floor(places / here.scale).astype(np.intp).transpose(2, 0, 1)
        return picture.fine[np.clip(y, 0, height - 1), np.clip(x, 0, width - 1)].astype(np.float32)

    return np.abs(at(here, places) - at(there, places + to)).mean(1)
