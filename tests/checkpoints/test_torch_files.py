"""What trainings with torch leave beside their weights, and what is not read."""

from __future__ import annotations

import argparse
import fractions

import numpy as np
import pytest

from dvsnet_jax.checkpoints.foreign.torch_files import read_torch
from dvsnet_jax.errors import InputError

torch = pytest.importorskip("torch")

WEIGHTS = {"w": torch.ones(2)}


@pytest.mark.parametrize("value", [np.float64(1.5), np.float32(2), np.int64(-3), np.bool_(True)], ids=lambda v: v.dtype)
@pytest.mark.parametrize("legacy", [False, True])
def test_numpys_numbers_are_plain_values(tmp_path, value, legacy):
    torch.save({"state_dict": WEIGHTS, "best": value}, tmp_path / "a.pth", _use_new_zipfile_serialization=not legacy)
    content = read_torch(tmp_path / "a.pth")
    assert content["best"] == value and content["best"].dtype == value.dtype
    assert content["state_dict"]["w"].tolist() == [1, 1]


def test_what_argparse_read_is_too(tmp_path):
    torch.save({"state_dict": WEIGHTS, "args": argparse.Namespace(lr=0.1)}, tmp_path / "a.pth")
    assert read_torch(tmp_path / "a.pth")["args"].lr == 0.1


def test_other_objects_are_named_and_what_to_do(tmp_path):
    torch.save({"state_dict": WEIGHTS, "when": fractions.Fraction(1, 3)}, tmp_path / "a.pth")
    with pytest.raises(InputError, match=r"a\.pth: .* alone, but fractions\.Fraction too; .*torch\.save") as caught:
        read_torch(tmp_path / "a.pth")
    assert "\x1b" not in str(caught.value)
    # And nothing is allowed from now on.
    assert argparse.Namespace not in torch.serialization.get_safe_globals()
