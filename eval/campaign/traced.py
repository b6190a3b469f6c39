"""Imported by what the campaign's processes are forked from: the step of its network is traced there."""

from __future__ import annotations

import jax
from campaign.small_network import CONFIG, SIZE
from campaign.tracing import trace

from dvsnet_jax.checkpoints import seeded_params

trace(CONFIG, jax.eval_shape(lambda: seeded_params(CONFIG)), SIZE, (64, 128))
