#!/usr/bin/env bash
# flax's `avg_pool` of bfloat16 sums in bfloat16, one number after the other, where means, sums, convolutions and products of
# matrices of JAX keep their sums in float32: a sum that has reached 256 swallows every further 1. The mean of 64×128 ones is 0.25,
# of 32×32 random numbers from 0 to 1 half of what it should be. That is every pyramid pooling (PSPNet, UperNet) and pooled branch
# (ASPP) that is written so, and what torchax 0.0.13 makes of torch's `avg_pool2d` and `adaptive_avg_pool2d`, which in torch itself
# sum in float32. Seen with flax 0.12.8 and jax 0.10.2 on a CPU.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --disable-pip-version-check jax==0.10.2 flax==0.12.8 numpy==2.4.6
cd "$folder" && JAX_PLATFORMS=cpu venv/bin/python - <<'PYTHON'
import flax
import flax.linen as nn
import jax
import jax.numpy as jnp

print("flax", flax.__version__, "jax", jax.__version__)
ones = jnp.ones((1, 64, 128, 1), jnp.bfloat16)
pooled = {name: float(nn.avg_pool(ones.astype(name), (64, 128)).squeeze()) for name in ("bfloat16", "float32")}
print("mean of 64×128 ones: avg_pool", pooled, "jnp.mean of bfloat16", float(ones.mean()))
assert pooled == {"bfloat16": 0.25, "float32": 1.0} and float(ones.mean()) == 1

features = jax.random.uniform(jax.random.key(0), (1, 64, 128, 32), jnp.bfloat16)
for side, least, most in ((8, 0.0, 0.01), (32, 0.3, 0.7), (64, 0.7, 0.9)):
    found = jax.jit(lambda x, side=side: nn.avg_pool(x, (side, side), (side, side)))(features).astype(jnp.float32)
    windows = features.astype(jnp.float32).reshape(1, 64 // side, side, 128 // side, side, 32)
    missing = 1 - float(found.mean() / windows.mean((2, 4)).mean())
    largest = float(jnp.abs(found - windows.mean((2, 4))).max() / 0.5)
    print(f"means of {side}×{side} numbers from 0 to 1: {missing:.1%} too small, at most {largest:.1%} off")
    assert least <= missing <= most
PYTHON
