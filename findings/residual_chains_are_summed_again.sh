#!/usr/bin/env bash
# XLA:CPU (jax 0.10.2) fuses a residual network's sums into each of their readers: unit 24's relu(x + y) is computed from the first
# unit's sum and all 24 branches again, so that a chain of n units reads n² / 2 maps. In DeepLab's ResNet-101 that was a fifth of the
# time on a CPU. lax.optimization_barrier does not help: it is removed before the fusion. Seen here: the largest fusion has 25
# operands, and with a barrier after every unit the same.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --disable-pip-version-check jax==0.10.2 numpy==2.4.6
cd "$folder" && JAX_PLATFORMS=cpu venv/bin/python - <<'PYTHON'
import re

import jax
import jax.numpy as jnp

UNITS = 24


def network(weights, x, keep):
    for narrow, wide in weights:
        x = keep(jax.nn.relu(x + jax.nn.relu(x @ narrow) @ wide))
    return x


weights = [(jnp.ones((256, 64)), jnp.ones((64, 256)))] * UNITS
x = jnp.ones((1024, 256))
print("jax", jax.__version__, "units", UNITS)
for name, keep in (("plain", lambda x: x), ("barrier", jax.lax.optimization_barrier)):
    text = jax.jit(network, static_argnums=2).lower(weights, x, keep).compile().as_text()
    operands = [line.count("%") - 2 for line in text.splitlines() if re.search(r"= \S+ fusion\(", line)]
    print(f"{name}: {len(operands)} fusions, the largest with {max(operands)} operands")
    assert max(operands) >= UNITS
PYTHON
