#!/usr/bin/env bash
# Space to depth is what a TPU's first convolution of images is known to want: 2×2 pixels of three channels become one of
# twelve, and stride 2 becomes stride 1. Where the device itself takes the pixels apart its compiler estimates that to take
# five to eleven times as long as the plain convolution, since every tile is turned over for it; given the blocks, no less.
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
import numpy as np
from jax import lax
from jax.experimental import topologies
from jax.sharding import SingleDeviceSharding

print("jax", jax.__version__, "libtpu", version("libtpu"))
ORDER = ("NHWC", "HWIO", "NHWC")


def plain(images, kernel):
    return lax.conv_general_dilated(images, kernel, (2, 2), [(3, 3)] * 2, dimension_numbers=ORDER)


def taken_apart(images):
    n, height, width, channels = images.shape
    blocks = images.reshape(n, height // 2, 2, width // 2, 2, channels).transpose(0, 1, 3, 2, 4, 5)
    return blocks.reshape(n, height // 2, width // 2, 4 * channels)


def with_blocks(blocks, kernel):
    padded = jnp.pad(kernel, ((1, 0), (1, 0), (0, 0), (0, 0)))
    apart = padded.reshape(4, 2, 4, 2, 3, -1).transpose(0, 2, 1, 3, 4, 5).reshape(4, 4, 12, -1)
    return lax.conv_general_dilated(blocks, apart, (1, 1), [(2, 1)] * 2, dimension_numbers=ORDER)


def space_to_depth(images, kernel):
    return with_blocks(taken_apart(images), kernel)


few, small = np.random.default_rng(0).normal(size=(1, 8, 12, 3)), np.random.default_rng(1).normal(size=(7, 7, 3, 5))
assert np.allclose(plain(few, small), space_to_depth(few, small), atol=1e-4)  # the same function


def cycles(device, function, *shapes):
    arguments = [jax.ShapeDtypeStruct(s, jnp.float32, sharding=SingleDeviceSharding(device)) for s in shapes]
    text = jax.jit(function).trace(*arguments).lower(lowering_platforms=("tpu",)).compile().as_text()
    return sum(int(found) for found in re.findall(r'"estimated_cycles":"(\d+)"', text[text.index("ENTRY") :]))


images, kernel = (4, 288, 544, 3), (7, 7, 3, 24)
for name in ("v5e:2x2", "v6e:2x2", "v5p:2x2x1"):
    device = topologies.get_topology_desc(platform="tpu", topology_name=name).devices[0]
    direct, apart = cycles(device, plain, images, kernel), cycles(device, space_to_depth, images, kernel)
    given = cycles(device, with_blocks, (4, 144, 272, 12), kernel)
    print(f"{name[:3]}: plain {direct:,} cycles, space to depth {apart:,}, of which the convolution alone {given:,}")
    assert apart > 3 * direct and given > direct
PYTHON
