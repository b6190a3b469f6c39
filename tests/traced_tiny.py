"""Imported by what runs that are killed are forked from: the tiny network is traced there, once for all of them."""

from __future__ import annotations

import sys
from pathlib import Path

import jax
from tiny import TINY

from dvsnet_jax import Budget
from dvsnet_jax.checkpoints import seeded_params

sys.path.append(str(Path(__file__).parent.parent / "eval"))
from campaign.tracing import trace

trace(TINY.replace(policy=Budget(0.5)), jax.eval_shape(lambda: seeded_params(TINY)), (64, 96), (64, 128))
