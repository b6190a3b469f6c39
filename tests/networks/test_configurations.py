"""Configurations that cannot be: refused when they are made, with what was given."""

from __future__ import annotations

import pytest
from tiny import TINY

from dvsnet_jax import DeepLabFastConfig, FlowNet2sConfig
from dvsnet_jax.config import DeepLabV2Config


@pytest.mark.parametrize(
    ("kind", "given", "says"),
    [
        (DeepLabFastConfig, {"blocks": (1, 1, 1)}, "four block counts and widths of at least 1 are needed"),
        (DeepLabFastConfig, {"blocks": (1, 1, 0, 1)}, "four block counts and widths of at least 1 are needed"),
        (DeepLabFastConfig, {"head_width": 0}, "four block counts and widths of at least 1 are needed"),
        (DeepLabV2Config, {"blocks": (1, 1, 1, 1, 1)}, "four block counts and a width of at least 1 are needed"),
        (DeepLabV2Config, {"width": 0}, "four block counts and a width of at least 1 are needed"),
        (FlowNet2sConfig, {"channels": (4, 4, 8, 8, 8)}, "six channel counts of at least 2 are needed"),
        (FlowNet2sConfig, {"channels": (4, 4, 8, 8, 8, 1)}, "six channel counts of at least 2 are needed"),
    ],
)
def test_sizes_that_are_none(kind, given, says):
    ((name, value),) = given.items()
    with pytest.raises(ValueError, match=says) as raised:
        kind(**given)
    assert f"{name}={value}" in str(raised.value)


def test_what_is_no_policy():
    with pytest.raises(
        TypeError, match=r"policy is 'often', which lacks init, decide or targets; see dvsnet_jax\.policies"
    ):
        TINY.replace(policy="often")
