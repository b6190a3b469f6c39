"""Sources made of sources: one after another, mixed by shares, or read once and kept."""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Generic, TypeVar

Sample = TypeVar("Sample")


@dataclass(frozen=True)
class Concatenated(Sequence[Sample], Generic[Sample]):
    """Several sources as one, in their order."""

    sources: tuple[Sequence[Sample], ...]

    def __len__(self) -> int:
        return sum(map(len, self.sources))

    def __getitem__(self, index: int) -> Sample:  # type: ignore[override]  # no slices
        for source in self.sources:
            if index < len(source):
                return source[index]
            index -= len(source)
        raise IndexError(index)


@dataclass(frozen=True)
class Mixed(Concatenated[Sample]):
    """Several sources of which training takes samples by shares, not by size. By number they stand in their order."""

    shares: tuple[float, ...]
    """Of each source, above 0; they sum to 1."""


class Remembered(Sequence[Sample], Generic[Sample]):
    """A source read once and kept in memory: for small sets on slow machines. Its samples must not be written to."""

    def __init__(self, source: Sequence[Sample]) -> None:
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            self._samples = list(pool.map(source.__getitem__, range(len(source))))

    def __len__(self) -> int:
        return len(self._samples)

    def __getitem__(self, index: int) -> Sample:  # type: ignore[override]  # no slices
        return self._samples[index]
