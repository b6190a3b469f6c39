"""Batches for training: shuffled, sharded by process, augmented by seed, resumable to the exact sample. Made by grain.

    source = LabelledFiles(cityscapes.list_labelled(root, "train"))
    batches = Batches(source, batch_size=8, seed=0, augment=partial(augment_labelled, limits=LabelledAugmentation()),
                      process=jax.process_index(), processes=jax.process_count())
    for step, batch in zip(range(steps), batches):
        ...
        saved = batches.state()          # a small dict of numbers and strings; goes into JSON
    batches.restore(saved)               # the next batch is the one that followed `state()`

What a sample looks like depends on the seed and on its place in the endless stream of samples, and on nothing else:
not on threads, on when the run was killed, or on how many processes share the stream. `grain` comes with the extra
`train` and is imported only when a pipeline is made.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Generic, TypeVar

import numpy as np

from dvsnet_jax.datasets.combined import Mixed
from dvsnet_jax.errors import InputError

Augment = Callable[[Any, np.random.Generator], Any]

Sample = TypeVar("Sample", bound=tuple)
_ENDLESS = 2**40  # samples; of a truly endless set grain 0.2 cannot count the batches


class Batches(Generic[Sample]):
    """An iterator over batches: samples (NamedTuples of arrays) with every field stacked, `[batch, ...]`."""

    def __init__(
        self,
        source: Sequence[Sample],
        *,
        batch_size: int,
        seed: int,
        augment: Augment | None = None,
        shuffle: bool = True,
        epochs: int | None = None,
        process: int = 0,
        processes: int = 1,
        threads: int | None = None,
        ahead: int = 4,
    ) -> None:
        """`source` has a length and gives samples by number; it is read from several threads at once. Of a `Mixed` one
        samples are taken by shares: the sets take turns in a fixed order that keeps to the shares within every few
        samples, and each is shuffled and begun again by itself.

        `batch_size` is that of one process. Each epoch is shuffled again, then dealt out to the processes one sample
        at a time, so that together they see everything once an epoch. `augment(sample, generator)` gets a
        generator of its own for each sample. With `epochs` the iterator ends after so many, the last batch being what
        is left; without, it never ends and all batches are full. `threads` read (by default as many as there are
        cores, at most 16, 0 reads when asked), up to `ahead` batches before they are needed.

        Raises `InputError` where grain is not installed, for an empty source, for numbers out of range, for epochs of a
        mixture, which has none, and where the shard of this process is empty.
        """
        grain = _grain()
        parts = source.sources if isinstance(source, Mixed) else (source,)
        if not all(len(part) for part in parts):
            raise InputError("the data source is empty, expected at least 1 sample; check the folder and the split")
        if batch_size < 1 or not 0 <= process < processes or (epochs is not None and epochs < 1):
            raise InputError(
                f"batch_size {batch_size}, process {process} of {processes}, epochs {epochs}: expected at least 1 "
                "sample, a process counted from 0 below their number, and at least 1 epoch or None"
            )
        if epochs is not None and len(source) * epochs < processes:
            raise InputError(
                f"{len(source)} samples for {processes} processes: some would get none; use fewer processes"
            )
        if epochs is not None and isinstance(source, Mixed):
            raise InputError("a mixture by shares has no epochs: its sets end at different times; leave epochs out")
        threads = min(16, os.cpu_count() or 1) if threads is None else threads

        def endless(part: Sequence[Sample], part_seed: int) -> Any:
            dataset = grain.MapDataset.source(part).seed(part_seed)
            if shuffle:
                dataset = dataset.shuffle()
            # Repeated before it is dealt out: else shards of unequal size would drift into different epochs.
            return dataset.repeat(epochs or _ENDLESS // len(part) + 1)

        if isinstance(source, Mixed):
            # Seeds of their own: a set that is named twice is in two different orders.
            streams = [endless(part, seed + number) for number, part in enumerate(parts)]
            dataset = grain.MapDataset.mix(streams, source.shares)
        else:
            dataset = endless(source, seed)
        if augment is not None:
            dataset = dataset.random_map(augment)
        dataset = dataset[process::processes].batch(batch_size, batch_fn=_stacked)
        options = grain.ReadOptions(num_threads=threads, prefetch_buffer_size=ahead if threads else 0)
        self._iterator = iter(dataset.to_iter_dataset(options))
        self._made_with: dict[str, Any] = {
            "samples": len(source), "seed": seed, "batch_size": batch_size, "shuffle": shuffle, "epochs": epochs,
            "process": process, "processes": processes,
        }  # fmt: skip
        if isinstance(source, Mixed):
            self._made_with |= {"sizes": [len(part) for part in parts], "shares": list(source.shares)}

    def __iter__(self) -> Iterator[Sample]:
        return self

    def __next__(self) -> Sample:
        return next(self._iterator)

    def state(self) -> dict[str, Any]:
        """Where the iterator is: plain numbers and strings, for a JSON file beside the checkpoint."""
        return {**self._made_with, "grain": self._iterator.get_state()}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Goes to where `state` was taken, in this process or another run.

        Raises `InputError` where the state is of a pipeline made with other numbers: it would not be the same stream.
        """
        if missing := [name for name in (*self._made_with, "grain") if name not in state]:
            raise InputError(f"the data state lacks {', '.join(missing)}; expected what `Batches.state` gave")
        for name, value in self._made_with.items():
            if state[name] != value:
                raise InputError(
                    f"the data state has {name} {state[name]}, but this run has {value}; resume with what it began with"
                )
        self._iterator.set_state(state["grain"])


def _stacked(samples: Sequence[Sample]) -> Sample:
    try:
        return type(samples[0])(*(np.stack(arrays) for arrays in zip(*samples, strict=True)))
    except ValueError as error:
        shapes = sorted({str(np.shape(sample[0])) for sample in samples})
        raise InputError(
            f"samples of {', '.join(shapes)} do not stack into a batch; augment with a crop, or use batch_size 1"
        ) from error


def _grain() -> Any:
    try:
        import grain.python as grain  # heavy, and only training needs it
    except ImportError as error:
        raise InputError(
            "grain is not installed, but reading training data needs it: pip install 'dvsnet-jax[train]'"
        ) from error
    return grain
