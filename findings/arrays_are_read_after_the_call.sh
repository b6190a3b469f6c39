#!/usr/bin/env bash
# A function of jax.jit that is given a numpy array on a CPU does not read it when it is called but when it runs, after all that was
# called before it. Whoever fills one array with frame after frame (a camera's buffer, shared memory, `capture.read(frame)`) gets results
# of later frames for earlier ones, of all eight here for the last. `jax.device_put`, with `may_alias=False` as well, and `jnp.asarray`
# do not help, and `jnp.array`, which copies, copies as late. Nothing is said, and where a step is quick, or one waits for each
# result, all looks right. numpy's own copy helps. Seen with JAX 0.10.2.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --disable-pip-version-check jax==0.10.2 jaxlib==0.10.2 numpy==2.4.6
cd "$folder" && JAX_PLATFORMS=cpu venv/bin/python - <<'PYTHON'
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np

print("jax", jax.__version__)
HEIGHT, WIDTH, COUNT = 360, 640, 8


@jax.jit
def step(state, frame):
    """Some work on the state, as a network's, and the brightest pixel of the frame."""
    state = jax.lax.fori_loop(0, 20, lambda _, each: jnp.tanh(each @ each), state)
    return state, frame.max() + (0 * state[0, 0]).astype(jnp.uint8)


def run(given, wait=False):
    """The brightest pixel of frames that are all 1, all 2 … all COUNT, each written into the same array."""
    buffer, state, found = np.zeros((HEIGHT, WIDTH, 3), np.uint8), jnp.eye(500) / 2, []
    for number in range(1, COUNT + 1):
        buffer[:] = number
        state, brightest = step(state, given(buffer))
        found.append(int(brightest) if wait else brightest)
    return [int(each) for each in found]


ways = {
    "the array itself": lambda array: array, "jax.device_put": jax.device_put,
    "jax.device_put, may_alias=False": partial(jax.device_put, may_alias=False), "jnp.asarray": jnp.asarray, "jnp.array": jnp.array,
}  # fmt: skip
right = list(range(1, COUNT + 1))
run(np.copy)  # compiles
for name, given in ways.items():
    found, waited = run(given), run(given, wait=True)
    print(f"{name}: {found}; waiting for each result {waited}")
    assert waited == right and sum(one != other for one, other in zip(found, right, strict=True)) > COUNT // 2
print(f"numpy's copy: {run(np.copy)}")
assert run(np.copy) == right
PYTHON
