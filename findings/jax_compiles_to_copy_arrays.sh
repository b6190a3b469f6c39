#!/usr/bin/env bash
# In JAX 0.10.2 `jnp.asarray` and `jnp.array` of a numpy array compile a program that copies it, another one for every shape: to read
# a network's weights so takes as many compilations as it has shapes, a second or two for some eighty. `jax.device_put` of a numpy
# array compiles nothing, and takes a whole tree of them.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --disable-pip-version-check jax==0.10.2 jaxlib==0.10.2 numpy==2.4.6
cd "$folder" && JAX_PLATFORMS=cpu venv/bin/python - <<'PYTHON'
import logging
import time

import jax
import jax.numpy as jnp
import numpy as np

print("jax", jax.__version__)
compiled = []


class Counted(logging.Handler):
    def emit(self, record):
        if record.getMessage().startswith("Compiling "):
            compiled.append(record.getMessage().split()[1])


jax.config.update("jax_log_compiles", True)
logging.getLogger("jax").addHandler(Counted())
logging.getLogger("jax").propagate = False
jax.device_put(np.zeros(1))  # begins what JAX begins once
weights = {f"layer {number}": np.zeros((3, 3, 16, number + 1), np.float32) for number in range(80)}
for name, way in {
    "device_put": jax.device_put,
    "asarray": lambda tree: jax.tree.map(jnp.asarray, tree),
    "asarray, once more": lambda tree: jax.tree.map(jnp.asarray, tree),
    "array": lambda tree: jax.tree.map(jnp.array, {key: array[..., None] for key, array in tree.items()}),
}.items():
    compiled.clear()
    began = time.perf_counter()
    jax.block_until_ready(way(weights))
    print(f"{name}: {len(compiled)} programs of {sorted(set(compiled))} for {len(weights)} shapes, {time.perf_counter() - began:.2f} s")
    assert len(compiled) == {"device_put": 0, "asarray": 80, "asarray, once more": 0, "array": 80}[name]
PYTHON
