#!/usr/bin/env bash
# Of float32 weights a TPU multiplies bfloat16 copies. Where a network stands in a `lax.while_loop` that often takes no turn,
# the compiler makes these copies in front of the loop, so that they are paid for whether it runs or not. What keeps XLA from
# moving work elsewhere does not keep it from that: `lax.optimization_barrier` inside the loop, over weights and what the loop
# carries, changes nothing, nor does a choice of weights by what it carries. Weights that are bfloat16 already cost nothing.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --disable-pip-version-check jax==0.10.2 jaxlib==0.10.2 libtpu==0.0.42.1 numpy==2.4.6
export JAX_PLATFORMS=cpu TPU_SKIP_MDS_QUERY=1 TPU_WORKER_HOSTNAMES=localhost TPU_ACCELERATOR_TYPE=v5litepod-4
export ALLOW_MULTIPLE_LIBTPU_LOAD=1
cd "$folder" && venv/bin/python 2>messages - <<'PYTHON' || { cat messages >&2; exit 1; }
import re
from importlib.metadata import version

import jax
import jax.numpy as jnp
from jax import lax
from jax.experimental import topologies
from jax.sharding import SingleDeviceSharding

print("jax", jax.__version__, "libtpu", version("libtpu"))


def plain(weights, images):
    return weights


def behind_a_barrier(weights, images):
    return lax.optimization_barrier((weights, images))[0]


def chosen(weights, images):
    never = images[0, 0, 0, 0] > 1e30
    return [jnp.where(never, jnp.zeros_like(kernel), kernel) for kernel in weights]


def program(inside):
    def network(weights, images):
        for kernel in inside(weights, images):
            images = jnp.tanh(lax.conv_general_dilated(images, kernel, (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC")))
        return images

    def turns(weights, images, count):
        return lax.fori_loop(0, count, lambda _, images: network(weights, images), images)

    return turns


def in_front(device, inside, dtype):
    """Cycles of what the program does besides its loop."""

    def shape(*size, dtype=jnp.float32):
        return jax.ShapeDtypeStruct(size, dtype, sharding=SingleDeviceSharding(device))

    weights = [shape(3, 3, 512, 512, dtype=dtype) for _ in range(4)]
    traced = jax.jit(program(inside)).trace(weights, shape(1, 32, 32, 512, dtype=dtype), shape(dtype=jnp.int32))
    text = traced.lower(lowering_platforms=("tpu",)).compile().as_text()
    entry = text[text.index("\nENTRY") :]
    return sum(int(found) for found in re.findall(r'"estimated_cycles":"(\d+)"', entry[: entry.index("\n}")]))


for name in ("v5e:2x2", "v6e:2x2"):
    device = topologies.get_topology_desc(platform="tpu", topology_name=name).devices[0]
    float32 = {each.__name__: in_front(device, each, jnp.float32) for each in (plain, behind_a_barrier, chosen)}
    bfloat16 = in_front(device, plain, jnp.bfloat16)
    print(f"{name[:3]}, cycles besides the loop:", ", ".join(f"{key} {value:,}" for key, value in float32.items()), f"bfloat16 {bfloat16:,}")
    assert all(value > 5 * bfloat16 for value in float32.values())
PYTHON
