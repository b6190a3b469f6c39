#!/usr/bin/env bash
# A TPU's compiler, which runs without a TPU, writes an estimate of its cycles beside nearly every kernel of a program, but
# none beside a gather: a sum over the kernels leaves the warp out, whatever it takes. (Cycles are of kernels that compute.)
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
from jax.experimental import topologies
from jax.sharding import SingleDeviceSharding

print("jax", jax.__version__, "libtpu", version("libtpu"))
device = topologies.get_topology_desc(platform="tpu", topology_name="v5e:2x2").devices[0]


def kernels(function, *arguments):
    """How many kernels of the compiled program have an estimate, and how many have none; the estimates' sum."""
    placed = [jax.ShapeDtypeStruct(a.shape, a.dtype, sharding=SingleDeviceSharding(device)) for a in arguments]
    text = jax.jit(function).trace(*placed).lower(lowering_platforms=("tpu",)).compile().as_text()
    lines = [line for line in text[text.index("ENTRY") :].splitlines() if " fusion(" in line]
    found = [re.search(r'"estimated_cycles":"(\d+)"', line) for line in lines]
    return len(list(filter(None, found))), found.count(None), sum(int(match[1]) for match in found if match)


table, rows = jnp.zeros((4096, 64)), jnp.zeros(1_048_576, jnp.int32)
gather = kernels(lambda table, rows: table.at[rows].get(mode="promise_in_bounds"), table, rows)
product = kernels(lambda a, b: a @ b, jnp.zeros((1024, 1024)), jnp.zeros((1024, 1024)))
print("a million rows gathered: %d kernels with an estimate, %d without; %d cycles in all" % gather)
print("a product of 1024×1024: %d kernels with an estimate, %d without; %d cycles in all" % product)
assert gather[1] == 1 and product[1] == 0
assert product[2] > 10_000
PYTHON
