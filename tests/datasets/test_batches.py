"""Pipelines: everything once an epoch, the same stream from a seed, and after a resume the very next batch."""

from __future__ import annotations

import json
from functools import partial

import numpy as np
import pytest

from dvsnet_jax.datasets.augment.labelled import LabelledAugmentation, augment_labelled
from dvsnet_jax.datasets.combined import Mixed
from dvsnet_jax.datasets.samples import LabelledImage
from dvsnet_jax.errors import InputError

pytest.importorskip("grain")
from dvsnet_jax.datasets.batches import Batches


class Numbered:
    """Samples that say their number, counted from `first`: image[0, 0, 0] and label."""

    def __init__(self, count, broken=None, grows=False, first=0):
        self.count, self.broken, self.grows, self.first = count, broken, grows, first

    def __len__(self):
        return self.count

    def __getitem__(self, index):
        if index == self.broken:
            raise InputError(f"file {index}: cannot be read")
        size, said = 6 + index * self.grows, self.first + index
        return LabelledImage(np.full((size, 8, 3), said, np.uint8), np.full((size, 8), said, np.uint8))


augment = partial(augment_labelled, limits=LabelledAugmentation(crop=(5, 7)))


def numbers(batches):
    return [batch.labels[:, 0, 0].tolist() for batch in batches]


def flat(batches):
    return [number for batch in numbers(batches) for number in batch]


def equal(first, second):
    return all(np.array_equal(a, b) for a, b in zip(first, second, strict=True))


def test_an_epoch_has_everything_once():
    batches = numbers(Batches(Numbered(10), batch_size=4, seed=0, epochs=2))
    assert [len(batch) for batch in batches] == [4, 4, 4, 4, 4]
    seen = [number for batch in batches for number in batch]
    assert sorted(seen[:10]) == sorted(seen[10:]) == list(range(10))
    assert seen[:10] != list(range(10)) and seen[:10] != seen[10:]
    assert numbers(Batches(Numbered(5), batch_size=2, seed=0, epochs=1, shuffle=False)) == [[0, 1], [2, 3], [4]]


def test_without_epochs_it_goes_on_with_full_batches():
    batches = Batches(Numbered(3), batch_size=2, seed=0)
    assert [len(next(batches).labels) for _ in range(7)] == [2] * 7


def test_the_seed_decides_and_threads_do_not():
    def images(seed, threads):
        batches = Batches(Numbered(7), batch_size=3, seed=seed, augment=augment, threads=threads)
        return [next(batches) for _ in range(5)]

    first = images(1, 0)
    assert all(equal(a, b) for a, b in zip(first, images(1, 4), strict=True))
    assert not all(equal(a, b) for a, b in zip(first, images(2, 0), strict=True))
    assert first[0].image.shape == (3, 5, 7, 3) and first[0].labels.dtype == np.uint8


def test_a_sample_looks_different_the_next_time():
    batches = Batches(Numbered(1), batch_size=1, seed=0, augment=augment)
    looks = {next(batches).image.tobytes() for _ in range(5)}
    assert len(looks) == 5


@pytest.mark.parametrize("threads", [0, 3])
def test_resuming_gives_the_very_next_batch(threads):
    def fresh():
        return Batches(Numbered(11), batch_size=2, seed=3, augment=augment, threads=threads)

    batches = fresh()
    for _ in range(8):  # into the second epoch
        next(batches)
    saved = json.loads(json.dumps(batches.state()))
    expected = [next(batches) for _ in range(9)]
    other = fresh()
    other.restore(saved)
    assert all(equal(next(other), batch) for batch in expected)
    batches.restore(saved)  # and back in the same pipeline
    assert equal(next(batches), expected[0])


@pytest.mark.parametrize("count", [12, 13])
def test_shards_are_disjoint_and_cover_everything(count):
    shards = [
        Batches(Numbered(count), batch_size=1, seed=5, epochs=3, process=process, processes=3) for process in range(3)
    ]
    streams = [flat(shard) for shard in shards]
    # Dealt out in turn: put together they are the stream that one process would see.
    together = [streams[place % 3][place // 3] for place in range(3 * count)]
    assert together == flat(Batches(Numbered(count), batch_size=1, seed=5, epochs=3))
    for epoch in range(3):
        assert sorted(together[epoch * count : (epoch + 1) * count]) == list(range(count))


def test_a_sample_is_augmented_alike_whoever_reads_it():
    one = Batches(Numbered(8), batch_size=1, seed=5, augment=augment)
    two = [Batches(Numbered(8), batch_size=1, seed=5, augment=augment, process=p, processes=2) for p in (0, 1)]
    for place in range(12):
        assert equal(next(one), next(two[place % 2]))


def mixed(**options):
    """20 % of three samples (0, 1, 2), 50 % of forty (100 …), 30 % of one (200)."""
    source = Mixed((Numbered(3), Numbered(40, first=100), Numbered(1, first=200)), (0.2, 0.5, 0.3))
    return Batches(source, batch_size=4, seed=1, **options)


def test_a_mixture_keeps_to_its_shares_and_each_set_to_its_epochs():
    batches = mixed()
    seen = np.array([next(batches).labels[:, 0, 0] for _ in range(200)]).ravel()
    kind = seen // 100
    for start in range(0, 800, 20):  # at any time, not on average alone
        counts = np.bincount(kind[start : start + 20], minlength=3)
        assert np.abs(counts - (4, 10, 6)).max() <= 1, counts
    small, large = seen[kind == 0], seen[kind == 1]
    assert all(sorted(small[at : at + 3]) == [0, 1, 2] for at in range(0, len(small) - 3, 3))
    assert all(sorted(large[at : at + 40]) == list(range(100, 140)) for at in range(0, len(large) - 40, 40))
    assert large[:40].tolist() != large[40:80].tolist()


def test_a_set_that_is_in_a_mixture_twice_is_in_two_orders():
    twice = Batches(Mixed((Numbered(40), Numbered(40, first=100)), (0.5, 0.5)), batch_size=2, seed=0)
    seen = np.array([next(twice).labels[:, 0, 0] for _ in range(40)]).ravel().astype(int)
    first, second = seen[seen < 100], seen[seen >= 100] - 100
    assert sorted(first) == sorted(second) and first.tolist() != second.tolist()


@pytest.mark.parametrize("threads", [0, 3])
def test_a_mixture_resumes_at_the_very_next_sample(threads):
    batches = mixed(augment=augment, threads=threads)
    for _ in range(7):
        next(batches)
    saved = json.loads(json.dumps(batches.state()))
    expected = [next(batches) for _ in range(9)]
    other = mixed(augment=augment, threads=threads)
    other.restore(saved)
    assert all(equal(next(other), batch) for batch in expected)


def test_processes_share_a_mixture():
    shards = [mixed(process=process, processes=2) for process in range(2)]
    streams = [[n for _ in range(10) for n in next(shard).labels[:, 0, 0].tolist()] for shard in shards]
    alone = mixed()
    together = [n for _ in range(20) for n in next(alone).labels[:, 0, 0].tolist()]
    assert [streams[place % 2][place // 2] for place in range(80)] == together


def test_a_mixture_that_cannot_be_is_refused():
    with pytest.raises(InputError, match="a mixture by shares has no epochs"):
        mixed(epochs=1)
    with pytest.raises(InputError, match="the data source is empty"):
        Batches(Mixed((Numbered(3), Numbered(0)), (0.5, 0.5)), batch_size=1, seed=0)
    other = Mixed((Numbered(3), Numbered(40), Numbered(1)), (0.2, 0.6, 0.2))
    with pytest.raises(InputError, match=r"the data state has shares \[0.2, 0.5, 0.3\], but this run has"):
        Batches(other, batch_size=4, seed=1).restore(mixed().state())


def test_what_cannot_be_is_refused():
    with pytest.raises(InputError, match="the data source is empty"):
        Batches(Numbered(0), batch_size=1, seed=0)
    with pytest.raises(InputError, match="process 2 of 2"):
        Batches(Numbered(4), batch_size=1, seed=0, process=2, processes=2)
    with pytest.raises(InputError, match="1 samples for 2 processes"):
        Batches(Numbered(1), batch_size=1, seed=0, processes=2, epochs=1)
    with pytest.raises(InputError, match="do not stack into a batch; augment with a crop"):
        next(Batches(Numbered(4, grows=True), batch_size=4, seed=0, threads=0))
    with pytest.raises(InputError, match="file 2: cannot be read"):
        list(Batches(Numbered(4, broken=2), batch_size=2, seed=0, epochs=1, threads=2))
    state = Batches(Numbered(4), batch_size=2, seed=0).state()
    with pytest.raises(InputError, match="the data state has seed 0, but this run has 1"):
        Batches(Numbered(4), batch_size=2, seed=1).restore(state)
    with pytest.raises(InputError, match="the data state lacks samples"):
        Batches(Numbered(4), batch_size=2, seed=1).restore({"grain": {}})
