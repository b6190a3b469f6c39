#!/usr/bin/env bash
# `jax.device_put(x, may_alias=False)` is documented to copy `x`. On a CPU it does not where a numpy array begins at an address that
# 64 divides, as decoders' and cameras' frame buffers do: the JAX array is that memory, and becomes the next frame when that is read
# into it. Elsewhere it copies, so that the same code is right or wrong by the address. `jnp.array` and, without a dtype,
# `jnp.asarray` copy; `jnp.asarray` with the dtype that the array has already does not. Seen with JAX 0.10.2.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --disable-pip-version-check jax==0.10.2 jaxlib==0.10.2 numpy==2.4.6
cd "$folder" && JAX_PLATFORMS=cpu venv/bin/python - <<'PYTHON'
import jax
import jax.numpy as jnp
import numpy as np

print("jax", jax.__version__)


def buffer(offset, shape=(720, 1280, 3)):
    """A frame whose address is so many bytes past a multiple of 64."""
    memory = np.zeros(np.prod(shape) + 128, np.uint8)
    start = -memory.ctypes.data % 64 + offset
    return memory[start : start + np.prod(shape)].reshape(shape)


WAYS = {
    "device_put(x, may_alias=False)": lambda x: jax.device_put(x, may_alias=False),
    "device_put(x, device, may_alias=False)": lambda x: jax.device_put(x, jax.devices()[0], may_alias=False),
    "asarray(x, uint8)": lambda x: jnp.asarray(x, jnp.uint8),
    "asarray(x)": jnp.asarray,
    "array(x)": jnp.array,
}
seen = {}
for name, way in WAYS.items():
    for offset in (0, 1):
        frame = buffer(offset)
        put = jax.block_until_ready(way(frame))
        frame[:] = 200  # the next frame
        seen[name, offset] = "follows" if int(put[0, 0, 0]) == 200 else "stays"
        print(f"{name} of a buffer at 64 n + {offset}: {seen[name, offset]}")
documented = {(name, offset): "stays" for name in WAYS for offset in (0, 1)}
different = {key for key in seen if seen[key] != documented[key]}
assert different == {(name, 0) for name in list(WAYS)[:3]}, different
PYTHON
